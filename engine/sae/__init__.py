"""Sparse autoencoders, one architecture per file: encoder, decoder and loss. Optimisation is in engine.training,
reading other projects' dictionaries in engine.formats."""
