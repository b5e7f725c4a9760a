"""Everything that computes: text to activations to sparse autoencoders to the feature index."""
