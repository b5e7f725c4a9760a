"""Sparse autoencoders: one architecture a file, behind the interface of `base`."""
