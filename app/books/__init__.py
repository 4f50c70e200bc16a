"""Order books: levels, synchronisation by the venue's sequence rules, depth per band and how far it is known."""
