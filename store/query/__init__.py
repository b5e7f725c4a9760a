"""Questions to the feature index: examples, histograms, co-firing, n-grams, filters, sorting, search by pattern.

Reads through `store.index` alone and writes no file; how answers are shown is up to `monosem_tui`.

`find` reads the inverted order once, in blocks of features. A slice descends, so running sums of hits are precision and
recall at every threshold; equal activations are taken together. Features that fire on no matching token are excluded
beforehand by the forward rows of those tokens. Later members of a set come from the same pass over the tokens that the
set does not cover yet. Memory is a few bytes per token and a few arrays per feature, whatever the number of
activations.

`filters` answers `token:` from every position of the token (corpus/tokens, forward rows, a sum per feature) and `like:`
with one product with all of W_dec. A program that must stay responsive searches through `find_process`.
"""
