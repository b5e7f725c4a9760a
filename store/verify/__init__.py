"""Checks that a run's files are what was written: digests, and each part of an index recomputed from another.

Behind `monosem verify`; nothing here repairs or writes a file.

A damaged file is read in a child process (`damage_probe`). After the digests, an index is checked against itself: both
orders hold the same entries, on counted tokens; contexts cover the corpus; columns over the corpus follow from the
entries, norms and cosines from the weights; and for 64 features no nearer neighbour was left out. All of it in blocks:
memory does not grow with the number of activations.
"""
