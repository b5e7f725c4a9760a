"""The feature index: every activation by token and by feature, written in segments, merged into features.h5, and read.

Questions that need more than one slice of it (filters, examples, find) are in `store.query`.
"""
