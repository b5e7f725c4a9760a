"""A run folder: run.json, its lock, weights, training events, checkpoints and activation shards.

The feature index inside a run is `store.index`; notes about it are `store.notes`.
"""
