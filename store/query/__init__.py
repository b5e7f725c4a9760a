"""Questions to the feature index: examples, histograms, co-firing, n-grams, filters, sorting, search by pattern.

Reads through `store.index` only; nothing here writes a file.
"""
