"""The layout of umap-learn (the extra `map`), which finds neighbours in its own way and starts from eigenvectors."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.settings.map import MapSettings

PACKAGE = "umap-learn"


def need_umap() -> None:
    """Refuse where umap-learn is missing.

    Raises:
        MonosemError: it is.
    """
    if find_spec("umap") is None:
        raise MonosemError(
            f"layout=umap takes the package {PACKAGE}, which is not installed",
            "pip install 'monosem[map]', or leave `layout` out: the built-in one needs nothing.",
        )


def umap_places(rows_ND: NDArray[np.float32], settings: MapSettings) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Return places [N, 2] by umap-learn with metric cosine, and the versions of what made them.

    Its `n_neighbors` counts a feature itself, as Neuronpedia's and *Towards Monosemanticity*'s figures do.
    """
    from umap import UMAP

    reducer = UMAP(
        n_neighbors=min(settings.neighbours, len(rows_ND) - 1),
        min_dist=settings.min_dist,
        n_epochs=settings.epochs,
        metric="cosine",
        random_state=settings.seed,
        n_jobs=1,
    )
    places = np.asarray(reducer.fit_transform(rows_ND), np.float32)
    names = (PACKAGE, "numba", "scikit-learn", "pynndescent")
    return places, {name: version(name) for name in names}
