"""The feature index built from a model and an autoencoder: activations encoded, logit effects, nearest neurons.

Files and merging are `store.index`.
"""
