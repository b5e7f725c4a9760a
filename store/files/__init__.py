"""Files that are complete or absent: errors a person can act on, atomic writes, sealed HDF5, arrays read in place.

Knows nothing of runs, features or models; everything else in `store` writes and reads through it.
"""
