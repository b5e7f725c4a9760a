"""The quality of an autoencoder: explained variance, L0, cross-entropy recovered, F1 on planted concepts.

The feature index and its columns are engine.indexing.
"""
