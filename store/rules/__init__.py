"""Rules over tokens that a store decides alone, the search for those that explain features, and kinds of features.

A rule is a predicate over the tokens of the indexed corpus (`grammar`), evaluated once for all features (`places`). The
documents are cut into two halves (`halves`): rules and thresholds are chosen on one, every figure is measured on the
other (`measures`), where its 95 % interval comes from documents drawn again.
"""
