"""Settings of `monosem map`: how features are laid out in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from store.settings.setting import Settings, setting

Layout = Literal["graph", "umap", "pca"]
"""Ways to lay features out: our own in the manner of UMAP, umap-learn's, and principal components alone."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
Likeness = Literal["decoder", "contexts"]
"""Ways in which two features are alike: by the cosine of decoder directions, or by the contexts in which they fire."""
LIKENESSES: tuple[Likeness, ...] = get_args(Likeness)
FEW, EPOCHS, EPOCHS_OF_MANY = 10_000, 500, 200
"""Epochs up to so many features, and beyond, as umap-learn has them."""


@dataclass(frozen=True, kw_only=True)
class MapSettings(Settings):
    """Settings of a map.

    Neighbours and least distance are those of *Towards Monosemanticity*; Neuronpedia's maps have 5 and 0.005.
    """

    layout: Layout = setting("graph", "Layout: our own, umap-learn's (an extra), or principal components")
    by: Likeness = setting("decoder", "What makes features near: decoder directions, or contexts that both fire in")
    name: str | None = setting(None, "Name of the map", "NAME", unset="the layout's, with -contexts if it is by them")
    neighbours: int = setting(15, "Nearest features that a feature is kept together with", "N", least=2, most=500)
    min_dist: float = setting(0.05, "Least distance of neighbours on the map", "X", least=0.0, most=2.9)
    epochs: int | None = setting(
        None, "Epochs of the layout", "N", unset="500; 200 from 10 000 features on", least=1, most=10_000
    )
    seed: int = setting(0, "Of the layout", "N", most=2**32 - 1)

    @property
    def called(self) -> str:
        """Name of the map: as asked for, or by layout and likeness."""
        return self.name or (self.layout if self.by == "decoder" else f"{self.layout}-{self.by}")

    def epochs_of(self, n_features: int) -> int:
        """Return the epochs for a number of features."""
        return self.epochs or (EPOCHS if n_features <= FEW else EPOCHS_OF_MANY)
