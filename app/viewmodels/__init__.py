"""Qt-free state per panel, each with a revision counter; screens pull it at their own rate."""
