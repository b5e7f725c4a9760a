"""Runs on a user's own array of activations: what can be asked of them, where they come from, how good they are.

Without model and text there is no cross-entropy; an index has rows in place of tokens (engine.indexing.array_index).
"""

from __future__ import annotations

from dataclasses import replace

from engine.data.arrays import Array, ArrayBlocks, names_array, open_array
from engine.jobs.train_settings import resolved
from engine.runtime.devices import made_on, pick_device
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.folder import Provenance
from store.settings.setting import Settings
from store.settings.train import TrainSettings

OF_TEXT = ("model", "data", "layer", "site", "layer_out", "site_out", "context", "packing")
"""Settings without a meaning where there are only activations."""


def array_settings(asked: TrainSettings) -> TrainSettings:
    """Return the settings of a training on an array, without model, text and site.

    Raises:
        MonosemError: one is given that needs a model or text.
    """
    refuse_of_text(asked, str(asked.activations))
    return asked.changed(model="", data="", site="")


def refuse_of_text(asked: Settings, activations: str) -> None:
    """Refuse settings that an array has no use for."""
    for name in OF_TEXT:
        if name in asked.given:
            raise MonosemError(f"`{name}` has no meaning with the array {activations}", f"Leave `{name}` out.")


def named_array(activations: str) -> Array:
    """Open the array that a setting names.

    Raises:
        MonosemError: it is no array file, or holds no activations.
    """
    if not names_array(activations):
        raise MonosemError(f"{activations} is not an array file", "Give an .npy, .h5 or .safetensors file.")
    return open_array(activations)


def check_row_width(array: Array, d_in: int, d_out: int | None) -> None:
    """Check that rows hold what an autoencoder reads, with a transcoder's target beside it.

    Raises:
        MonosemError: they have another width.
    """
    width = d_in + (d_out or 0)
    if array.d_in == width:
        return
    wanted = f"{width} values" if d_out is None else f"{d_in} values and explains {d_out} beside them"
    turned = " It may be transposed." if array.n == width else ""
    raise MonosemError(
        f"the autoencoder reads {wanted}, but the rows of {array.spec} have {array.d_in}",
        f"Give activations of the site it was trained on.{turned}",
    )


def array_blocks(array: Array, settings: TrainSettings, progress: Progress) -> ArrayBlocks:
    """Return the rows to train on; report how they are stored, and if none can be held out."""
    buffer = resolved(settings, array.d_in).buffer
    assert buffer is not None
    progress.say(array.describe())
    if array.chunk > array.block_rows:
        progress.say(f"it is stored in chunks of {array.chunk} rows: a contiguous copy would be read faster")
    if not array.has_held_out:
        progress.say("fewer than 20 rows: nothing can be held out, so evaluation is on the training rows")
    return ArrayBlocks(array, buffer, settings.order_seed)


def array_provenance(array: Array, digest: str, settings: TrainSettings) -> Provenance:
    """Everything needed to repeat a training on an array."""
    made = made_on(pick_device(settings.device))
    shape = [array.n, array.d_in]
    return replace(made, array=array.spec, array_shape=shape, array_digest=digest, seed=settings.seed)
