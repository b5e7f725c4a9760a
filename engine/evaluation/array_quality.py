"""The quality of an autoencoder on an array of activations; without a model there is no cross-entropy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import torch

from engine.corpus.reading_order import Split
from engine.data.arrays import Array, open_array, sample_spans
from engine.data.ordinary_tokens import kept_limits
from engine.evaluation.figures import Evaluation, note
from engine.evaluation.quality import evaluate_rows
from engine.jobs.array_source import check_row_width, named_array, refuse_of_text
from engine.runtime.devices import pick_device
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.train import TrainSettings
from store.settings.trained_run import EvaluateSettings


def measure(
    run: RunFolder, array: Array, split: Split, tokens: int, settings: TrainSettings, progress: Progress
) -> Evaluation:
    """Measure a run's autoencoder on about `tokens` rows of an array, in whole blocks drawn by seed.

    Raises:
        MonosemError: the array has another width, or holds NaN or infinite values.
    """
    sae = from_weights(load_sae(run.sae), pick_device(settings.device))
    check_row_width(array, sae.settings.d_in, sae.settings.d_out)
    if split == "heldout" and not array.has_held_out:
        split = "all"
    spans = sample_spans(array, split, tokens, settings.order_seed)

    def batches() -> Iterator[torch.Tensor]:
        with progress.task("reconstruction", sum(stop - start for start, stop in spans), "rows") as bar:
            for piece_ND in array.checked(spans):
                yield piece_ND
                bar.advance(len(piece_ND))

    return evaluate_rows(batches(), sae, array.spec, split, kept_limits(run))


def note_measure(run: RunFolder, array: Array, tokens: int, settings: TrainSettings, progress: Progress) -> Evaluation:
    """Measure on the held-out rows, and record the figures in run.json. The caller holds the run's lock."""
    with run.working("evaluating"):
        found = measure(run, array, "heldout", tokens, settings, progress)
        note(run, found)
    return found


def measure_again(
    run: RunFolder, settings: TrainSettings, asked: EvaluateSettings, tokens: int, progress: Progress
) -> Evaluation:
    """`monosem eval` on an array: all of the one that is given, else the held-out rows of the run's own.

    Only the latter is noted in run.json, and only where the array is, to the byte, what the run was trained on.
    """
    other = asked.activations
    refuse_of_text(asked, other or str(settings.activations))
    settings = replace(settings, device=asked.device or "auto")
    if other is not None:
        return measure(run, named_array(other), "all", tokens, settings, progress)
    array = open_array(str(settings.activations))
    if "import" in run.record().config:  # what was held out from an import is unknown
        return measure(run, array, "all", tokens, settings, progress)
    if array.digest(progress) != run.record().provenance.array_digest:
        progress.say(f"{array.spec} is not what the run was trained on, so run.json keeps its figures")
    elif os.access(run.path, os.W_OK):
        with run.locked():
            return note_measure(run, array, tokens, settings, progress)
    return measure(run, array, "heldout", tokens, settings, progress)
