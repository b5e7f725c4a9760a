"""Lines, colours and numbers: pure helpers from strings and numbers to styled spans.

Knows nothing of features, runs or screens.
"""
