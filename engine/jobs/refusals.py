"""Wrong requests that small files show, refused before torch is imported: a second instead of fifteen.

Whatever the files do not say is left to the checks of the opened model.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from engine.model.config_file import config_file
from engine.model.extra_packages import check_placing
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.settings.subject import DEVICE_HINT, OLD_AUTO, SPREAD, ReopenSettings, SubjectSettings
from store.settings.train import TrainGrid, TrainSettings

DEVICES, DTYPES = ("auto", "cpu", "mps", "cuda", SPREAD), ("auto", "float32", "bfloat16", "float16")
PLACES = ("site", "layer", "site_out", "layer_out")


def check_subject(settings: SubjectSettings, *, chat: bool = False, for_plan: bool = False) -> None:
    """Refuse a device, dtype, weights, model, site, layer or context that cannot be.

    `chat` needs a chat template; a plan needs no tokenizer.

    Raises:
        MonosemError: the files of the model, or the names alone, show that it cannot work.
    """
    if settings.dtype not in (*DTYPES, OLD_AUTO):
        raise MonosemError(f"no dtype is called {settings.dtype!r}", f"Use {', '.join(DTYPES)}.")
    if settings.device.partition(":")[0] not in DEVICES:
        raise MonosemError(f"no device is called {settings.device!r}", DEVICE_HINT)
    check_placing(settings.weights, settings.device)
    model = config_file(settings.model, needs_weights=not for_plan)
    if model is None:
        return
    model.check_site(settings.site, settings.layer)
    if settings.site_out:
        model.check_site(settings.site_out, settings.layer_out)
    model.check_context(settings.context)
    if not for_plan:
        model.check_text(chat=chat)


def check_grid(grid: TrainGrid, *, resume: bool, for_plan: bool = False) -> None:
    """`check_subject` for a new training on a model's activations."""
    asked = grid.settings
    if not asked.activations and not (resume and "model" not in asked.given):
        lists = {name: tuple(getattr(grid, name)) or (getattr(asked, name),) for name in PLACES}
        for values in product(*lists.values()):
            check_subject(asked.changed(**dict(zip(lists, values, strict=True))), for_plan=for_plan)


def check_again(run: RunFolder, asked: ReopenSettings, *, chat: bool = False, for_plan: bool = False) -> None:
    """`check_subject` for a trained run that is opened again, perhaps with another model."""
    settings = run.settings("train", TrainSettings) if run.exists() else None
    if settings is None or (settings.activations and Path(settings.activations).suffix):
        return
    given = {name: value for name in ("device", "dtype", "weights") if (value := getattr(asked, name)) is not None}
    model = asked.model or (str(run.path) if run.model.is_dir() else settings.model)
    check_subject(settings.changed(**given, model=model), chat=chat, for_plan=for_plan)
