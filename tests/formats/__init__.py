"""Autoencoders of other libraries."""
