"""Tokens and activations: contexts from text, blocks of activations from a model, shards or an array, shuffled.

Readers of text are `engine.corpus`; which of these a training reads is decided in `engine.jobs`.
"""
