"""Settings as data: one table of keys from which validation, the command line and documentation come."""
