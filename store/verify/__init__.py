"""Proof that a run's files are those that were written: digests, and each part recomputed from another."""
