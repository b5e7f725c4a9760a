"""Questions to the feature index: examples, histograms, co-firing, n-grams, filters, sorting, search by pattern.

Reads through `store.index` alone and writes no file; how answers are shown is up to `monosem_tui`.
"""
