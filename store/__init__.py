"""Everything on disk: run folders, activation shards, the feature index, notes, and questions to them.

The shared leaf of the packages: it needs numpy, h5py and the standard library alone, so a notebook on a laptop can read
a store that a GPU box wrote. Models and training are in `engine`, screens and commands in `monosem_tui`.
"""
