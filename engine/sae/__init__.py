"""Sparse autoencoders, one architecture per file: encoder, decoder and loss.

Optimisation is engine.training, reading other libraries' dictionaries engine.formats.
"""
