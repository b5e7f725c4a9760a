"""The command line: typed signatures, the error frame, and everything that prints."""
