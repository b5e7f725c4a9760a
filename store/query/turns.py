"""How a feature's activation is spread over the turns of conversations."""

from __future__ import annotations

import numpy as np

from store.index.reader import FeatureStore
from store.settings.roles import ROLES


def role_shares(store: FeatureStore, feature: int) -> tuple[tuple[str, float], ...]:
    """Return the share of a feature's total activation in turns of each role, and in the template, the largest first.

    Empty for a corpus without conversations and for a dead feature; shares of 0 are left out.

    Raises:
        MonosemError: there is no such feature.
    """
    roles_N, postings = store.layout.roles, store.postings(feature)
    if roles_N is None or not len(postings.act):
        return ()
    sum_R = np.bincount(roles_N[postings.token], weights=postings.act.astype(np.float64), minlength=1 + len(ROLES))
    shares = zip(("template", *ROLES), (sum_R / sum_R.sum()).tolist(), strict=True)
    return tuple(sorted(((name, share) for name, share in shares if share), key=lambda one: -one[1]))
