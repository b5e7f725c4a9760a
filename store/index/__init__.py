"""The feature index: every activation, by token and by feature, written in segments, merged, and read.

Questions that need more than one slice of it (filters, examples, find) live in `store.query`.
"""
