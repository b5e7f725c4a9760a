"""The quality of an autoencoder: explained variance, L0, cross-entropy recovered, and planted concepts told."""
