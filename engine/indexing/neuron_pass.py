"""Read the neurons of an MLP on the tokens of a run's index: one pass of the model, up to that layer.

Tokens and contexts are those that the index holds, so neither the text nor the tokenizer is needed. Shapes: N tokens,
B contexts of a forward pass, T positions, D neurons.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.activations import finite, forward_contexts
from engine.jobs.subject import open_model
from engine.jobs.trained_run import is_of_array, settings_again, trained_settings
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import Site, resolve_site
from engine.runtime.free_memory import free_disk, gigabytes
from engine.runtime.progress import Progress
from store.files.errors import MonosemError, disk_errors
from store.files.owner_lock import owned
from store.files.sealed_hdf5 import read_seal
from store.index.neuron_file import create_neurons, neuron_path
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings

LOW, HIGH, GOAL = 2.0**-6, 2.0**8, 3
"""Largest values of a neuron that need no power of two; others are moved to about 2 to the power of GOAL."""


def neuron_site(run: RunFolder, progress: Progress) -> tuple[LanguageModel, Site]:
    """Return a run's model, without weights, and the site of the neurons of the run's layer.

    Raises:
        MonosemError: the run has no model, reads no layer, or that layer has no neurons.
    """
    settings, layer = trained_settings(run), run.record().spec.layer
    if is_of_array(settings):
        raise MonosemError(f"{run.name} is of an array: it has no language model, so no neurons")
    if layer is None:
        raise MonosemError(f"{run.name} reads a module by its path, which has no layer whose neurons could be meant")
    lm = open_model(settings_again(run, ReopenSettings()), progress)
    return lm, resolve_site(lm, "mlp_act", layer)


def read_neurons(run: RunFolder, progress: Progress) -> None:
    """Write neurons.h5 of a run with a whole index.

    Raises:
        MonosemError: as `neuron_site` does, the index is not merged, the model has changed since, or the disk is full.
    """
    lm, site = neuron_site(run, progress)
    path = neuron_path(run)
    with FeatureStore.open(run.path) as store:
        if not store.merged:
            raise MonosemError(f"{run.path} has no whole index", f"Finish it first: monosem index {run.path} --resume.")
        if store.plan.model_digest and lm.digest != store.plan.model_digest:
            raise MonosemError(f"{lm.name} is not the model that {run.name} was indexed with: its weights have changed")
        _check_disk(run, 2 * store.n_tokens * site.d_in)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with owned(path.parent / ".lock"):
            _write(store, lm, site, run, progress)


def _write(store: FeatureStore, lm: LanguageModel, site: Site, run: RunFolder, progress: Progress) -> None:
    blocks = neuron_blocks(store, lm, site)
    counted_N = store.layout.counted_tokens()
    first_ND = next(blocks)
    unit_D = _units(first_ND[counted_N[: len(first_ND)]])
    assert site.layer is not None
    digest, path = read_seal(run.features).sha256, neuron_path(run)
    with (
        create_neurons(path, digest, site.layer, unit_D, store.n_tokens) as writer,
        progress.task("reading neurons", store.n_tokens, "tokens") as bar,
    ):
        writer.add(first_ND)
        bar.advance(len(first_ND))
        for acts_ND in blocks:
            writer.add(acts_ND)
            bar.advance(len(acts_ND))
    if writer.clipped:
        progress.say(f"{writer.clipped} activations of neurons are too large to store: the largest possible are stored")


def neuron_blocks(store: FeatureStore, lm: LanguageModel, site: Site) -> Iterator[NDArray[np.float32]]:
    """Yield the activations [n, D] of consecutive tokens of an index, some contexts at a time."""
    start_C = store.layout.contexts.start
    length_C = np.diff(start_C, append=store.n_tokens)
    size = forward_contexts(store.plan.context)
    for at in range(0, len(start_C), size):
        lengths_B = length_C[at : at + size]
        first = int(start_C[at])
        tokens_n = store.tokens(first, first + int(lengths_B.sum()))
        mask_BT = np.arange(int(lengths_B.max())) < lengths_B[:, None]
        tokens_BT = np.zeros(mask_BT.shape, np.int64)
        tokens_BT[mask_BT] = tokens_n
        mask = torch.from_numpy(mask_BT).to(lm.device)
        (acts_BTD,) = capture_all(
            lm, [site], torch.from_numpy(tokens_BT).to(lm.device), None if mask_BT.all() else mask
        )
        yield finite(acts_BTD[mask].float()).cpu().numpy()


def _units(sample_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return powers of two that bring neurons with very large or small values near to 1."""
    most_D = np.abs(sample_ND).max(axis=0, initial=0).astype(np.float64)
    far_D = (most_D > 0) & ((most_D < LOW) | (most_D > HIGH))
    exponent_D = np.where(far_D, np.rint(np.log2(np.where(far_D, most_D, 1))) - GOAL, 0)
    return (2.0**exponent_D).astype(np.float32)


def _check_disk(run: RunFolder, n_bytes: int) -> None:
    free = free_disk(run.path)
    if free is not None and n_bytes > free:
        raise MonosemError(
            f"the neurons of {run.name} need {gigabytes(n_bytes)} of disk, and {gigabytes(free)} are free",
            "Index fewer tokens, or free some space.",
        )
