"""Building the feature index from a model and an autoencoder: encoding, logit effects, nearest neurons.

The files of the index, and their merging, are store.index.
"""
