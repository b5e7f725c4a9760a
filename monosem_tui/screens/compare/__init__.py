"""Compare: the open run beside the other runs that it was compared with, pair by pair.

Each module owns the keys of what it is named after: which comparison, the list of pairs, the page of one pair.
"""
