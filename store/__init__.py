"""What is on disk: run folders, activation shards, the feature index, notes.

This package is the one shared leaf: it needs numpy, h5py and the standard library, nothing else, so a notebook on a
laptop can read a store that a GPU box wrote.
"""
