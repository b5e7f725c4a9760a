"""Tokens and activations: contexts from text; blocks of activations from a model, shards or an array; shuffling.

Reading text is engine.corpus; which source a training uses is decided in engine.jobs.
"""
