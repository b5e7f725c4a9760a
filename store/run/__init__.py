"""A run folder: run.json, its lock, weights, training events, checkpoints and activation shards.

The feature index in a run folder is `store.index`; notes on its features are `store.notes`.
"""
