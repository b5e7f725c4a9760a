"""Terms of Map: features as points in the plane."""

from __future__ import annotations

from monosem_tui.terms.term import Term

PLANE = Term(
    "map",
    "a place in the plane for each feature that fires, such that those with similar decoder directions, or those that "
    "fire in the same contexts, lie together; axes mean nothing, and distances between clusters little",
    formula="edges to the 15 nearest by cosine attract, pairs drawn at random repel, from principal components on",
    source="McInnes, Healy, Melville 2018, arXiv 1802.03426",
)
CLUSTER = Term(
    "cluster",
    "features nearer to each other than to the rest, at one of up to four levels from coarse to fine; named by the "
    "tokens that they fire on more than others do",
    formula="communities of the graph of nearest features by modularity, at resolutions 1, 4, 16, 64",
    source="Blondel et al. 2008, arXiv 0803.0476",
)
TRUSTWORTHINESS = Term(
    "trustworthiness",
    "how far a map can be believed: whether the nearest places of a feature are among the nearest by cosine",
    formula="1 − 2 / (n k (2n − 3k − 1)) · Σ (rank by cosine − k) over the k = 15 nearest places whose rank exceeds k",
    unit="about 0.5 for places at random, 1 at best",
    typical="0.68 (stories260K, 1 024 features), 0.58 (Gemma 3 270M, 4 096 features); umap-learn's maps have the same",
    source="Venna and Kaski 2001",
)

MAP = (PLANE, CLUSTER, TRUSTWORTHINESS)
"""All of them."""
