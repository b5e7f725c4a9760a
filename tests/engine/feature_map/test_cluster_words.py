"""Names of clusters from shares of words alone."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from engine.feature_map.cluster_words import WEAK, Evidence, cluster_names


def test_a_cluster_that_nothing_tells_from_others_has_a_weak_name() -> None:
    """Both clusters have `the`, one of them somewhat more of it; `of` is as frequent in both."""
    share_NW = np.array([[0.5, 0.2, 0.1]] * 20 + [[0.0, 0.3, 0.1]] * 20, np.float32)
    nothing_N0 = csr_matrix((40, 0), dtype=np.float32)
    evidence = Evidence(["sea", "the", "of"], csr_matrix(share_NW), [], np.zeros((40, 0), np.float32), [], nothing_N0)
    cluster_LN = np.array([[0] * 20 + [1] * 20, [0] * 10 + [1] * 10 + [2] * 20], np.int32)
    assert cluster_names(cluster_LN, evidence) == [
        [["sea"], [f"{WEAK}the"]],
        [["sea"], ["sea"], [f"{WEAK}the"]],
    ]


def test_a_cluster_like_all_has_no_name() -> None:
    share_NW = csr_matrix(np.full((8, 2), 0.25, np.float32))
    evidence = Evidence(["the", "of"], share_NW, [], np.zeros((8, 0), np.float32), [], csr_matrix((8, 0)))
    assert cluster_names(np.array([[0] * 4 + [1] * 4], np.int32), evidence) == [[[], []]]
