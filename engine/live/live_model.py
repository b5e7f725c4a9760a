"""A loaded run: the language model, the dictionary at its sites, and the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.text_encoder import Encoding
from engine.jobs.subject import context_of, encoding_of, open_model, site_of, target_of
from engine.jobs.trained_run import check_width, is_of_array, need_sae, settings_again
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.model.vocabulary import vocabulary_of
from engine.runtime.progress import Progress
from engine.sae.base import Sae
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.segment import complete_segments
from store.index.vocabulary import Vocabulary
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.subject import ReopenSettings


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A language model and a dictionary of what happens inside it."""

    lm: LanguageModel
    encoding: Encoding
    sae: Sae
    source: Site
    """The site that features read."""
    target: Site
    """The site that features write to: another one for a transcoder."""
    context: int
    """Tokens per context, as in the training."""
    max_F: NDArray[np.float32] | None = None
    """Each feature's maximum over the index; None where there is no index."""
    kept: Path = Path()
    """The run's vocabulary.h5, if it has one."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every token."""
        return vocabulary_of(self.lm, self.kept)

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.sae.settings.d_sae

    def check_feature(self, feature: int) -> None:
        """Refuse a feature number out of range.

        Raises:
            MonosemError: it is not below d_sae.
        """
        if not 0 <= feature < self.d_sae:
            raise MonosemError(f"there is no feature {feature}", f"Features of this run are 0 to {self.d_sae - 1}.")

    def maximum(self, feature: int) -> float | None:
        """Return a feature's maximum over the index; None where there is no index."""
        return None if self.max_F is None else float(self.max_F[feature])


def open_live(run: RunFolder, asked: ReopenSettings, progress: Progress) -> LiveModel:
    """Open a run's model and dictionary; its text is not needed.

    Args:
        run: a run with sae.h5.
        asked: model, device and dtype where they differ from the training's.
        progress: receives reports.

    Raises:
        MonosemError: the run has no dictionary or no model, or they do not fit each other.
    """
    need_sae(run)
    settings = settings_again(run, asked)
    if is_of_array(settings):
        raise MonosemError(
            f"{run.path} was made on an array: there is no language model to run",
            "Train or import it with `model` for that.",
        )
    lm = open_model(settings, progress)
    weights, source, target = load_sae(run.sae), site_of(settings, lm), target_of(settings, lm)
    check_width(weights, source, target, lm)
    context, encoding = context_of(settings, lm), encoding_of(lm)
    sae = from_weights(weights, lm.device)
    return LiveModel(lm.load(), encoding, sae, source, target, context, _maxima(run), run.vocabulary)


def _maxima(run: RunFolder) -> NDArray[np.float32] | None:
    if not run.features.is_file() and not complete_segments(run.index):
        return None
    with FeatureStore.open(run.path) as store:
        return store.columns.max_F
