"""Checks that a run's files are what was written: digests, and each part of an index recomputed from another.

Behind `monosem verify`; nothing here repairs or writes a file.
"""
