"""Runs on a user's own array of activations: what can be asked of them, where they come from, how good they are.

There is no model and no text: so no cross-entropy, and no index.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from engine.arrays import Array, ArrayBlocks, names_array, open_array, sample_spans
from engine.corpus.order import Split
from engine.devices import hardware, pick_device, versions
from engine.evaluate import Evaluation, evaluate_rows, note
from engine.progress import Progress
from engine.sae.registry import from_weights
from engine.training.settings import TrainSettings
from store.errors import MonosemError
from store.run import Provenance, RunFolder
from store.weights import load_sae

OF_TEXT = ("model", "data", "layer", "site", "layer_out", "site_out", "context", "packing", "index_tokens")
"""Settings without a meaning where there are only activations."""


def is_of_array(settings: TrainSettings) -> bool:
    """Whether a training reads an array, not a model's activations."""
    return settings.activations is not None and names_array(settings.activations)


def array_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training on `given["activations"]`.

    Raises:
        MonosemError: one is given that needs a model or text.
    """
    refuse_of_text(given, given["activations"])
    if given.get("index"):
        raise MonosemError(
            f"{given['activations']} cannot be indexed: an index needs a model and text", "Leave --index out."
        )
    return {"model": "", "data": "", "site": ""} | dict(given)


def refuse_of_text(given: Mapping[str, Any], activations: str) -> None:
    """Refuse settings that an array has no use for."""
    for name in OF_TEXT:
        if name in given:
            flag = "--" + name.replace("_", "-")
            raise MonosemError(f"{flag} has no meaning with the array {activations}", "Leave the flag out.")


def array_blocks(array: Array, settings: TrainSettings, progress: Progress) -> ArrayBlocks:
    """The rows to train on; says what there is to know of them."""
    resolved = settings.resolved(array.d_in)
    assert resolved.buffer is not None
    progress.say(array.describe())
    if array.chunk > array.block_rows:
        progress.say(f"it is stored in chunks of {array.chunk} rows: a contiguous copy would be read faster")
    if not array.has_held_out:
        progress.say("fewer than 20 rows: nothing can be held out, so evaluation is on the training rows")
    return ArrayBlocks(array, resolved.buffer, settings.order_seed)


def array_provenance(array: Array, digest: str, settings: TrainSettings) -> Provenance:
    """Everything needed to repeat a training on an array."""
    return Provenance(
        versions=versions(),
        array=array.spec,
        array_shape=[array.n, array.d_in],
        array_digest=digest,
        seed=settings.seed,
        hardware=hardware(pick_device(settings.device)),
    )


def measure(
    run: RunFolder, array: Array, split: Split, tokens: int, settings: TrainSettings, progress: Progress
) -> Evaluation:
    """Measure a run's autoencoder on up to `tokens` rows of an array, whole blocks in seeded order.

    Raises:
        MonosemError: the array is of another width, or a value is no finite number.
    """
    sae = from_weights(load_sae(run.sae), pick_device(settings.device))
    if array.d_in != sae.settings.d_in:
        raise MonosemError(
            f"the autoencoder reads {sae.settings.d_in} values, but the rows of {array.spec} have {array.d_in}",
            "Give activations of the site it was trained on.",
        )
    if split == "heldout" and not array.has_held_out:
        split = "all"
    spans = sample_spans(array, split, tokens, settings.order_seed)

    def batches() -> Iterator[torch.Tensor]:
        with progress.task("reconstruction", sum(stop - start for start, stop in spans), "rows") as bar:
            for piece_ND in array.checked(spans):
                yield piece_ND
                bar.advance(len(piece_ND))

    return evaluate_rows(batches(), sae, array.spec, split)


def note_measure(run: RunFolder, array: Array, tokens: int, settings: TrainSettings, progress: Progress) -> Evaluation:
    """`measure` on the held-out rows, the figures noted in run.json. The caller holds the run's lock."""
    with run.working("evaluating"):
        found = measure(run, array, "heldout", tokens, settings, progress)
        note(run, found)
    return found


def measure_again(
    run: RunFolder, settings: TrainSettings, given: Mapping[str, Any], tokens: int, progress: Progress
) -> Evaluation:
    """`monosem eval` on an array: all of `given["activations"]`, else the held-out rows of the run's own.

    Only the latter is noted in run.json, and only where the array is, to the byte, what the run was trained on.
    """
    other = given.get("activations")
    refuse_of_text(given, other or str(settings.activations))
    settings = replace(settings, device=given.get("device", "auto"))
    if other is not None:
        if not names_array(other):
            raise MonosemError(f"{other} is no array", "Give an .npy, .h5 or .safetensors file.")
        return measure(run, open_array(other), "all", tokens, settings, progress)
    array = open_array(str(settings.activations))
    if array.digest(progress) != run.record().provenance.array_digest:
        progress.say(f"{array.spec} is not what the run was trained on, so run.json keeps its figures")
    elif os.access(run.path, os.W_OK):
        with run.locked():
            return note_measure(run, array, tokens, settings, progress)
    return measure(run, array, "heldout", tokens, settings, progress)
