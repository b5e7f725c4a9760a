"""Maps of features: decoder directions laid out in the plane so that neighbours stay neighbours, and their clusters.

The layout is made in the manner of UMAP (McInnes, Healy, Melville 2018, *UMAP: Uniform Manifold Approximation and
Projection*, arXiv 1802.03426): exact nearest neighbours by cosine, a graph of fuzzy memberships, and places that
attract along its edges and repel otherwise. It starts from principal components, and every step is the same to the bit
for the same seed, threads and machine. Clusters are communities of the same graph.
"""
