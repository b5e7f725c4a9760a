"""Work that is resumed goes on with what it began with: the same settings, the same model, the same text."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from store.files.errors import MonosemError
from store.run.folder import Provenance, RunFolder, RunRecord
from store.settings.setting import Settings

S = TypeVar("S", bound=Settings)


def has_begun(run: RunFolder, command: str, asked: Settings, *, resume: bool) -> bool:
    """Whether a command has written its settings into a run.

    Work that was stopped before it wrote anything is resumed by beginning it with the settings that are given now.

    Raises:
        MonosemError: it is to be resumed, but neither the folder nor the user says what.
    """
    if run.exists() and command in run.record().config:
        return True
    if resume and not set(asked.given) - {"device"}:
        raise MonosemError(f"there is nothing to resume in {run.path}", "Leave `resume=True` out to begin.")
    return False


def begin(
    run: RunFolder, command: str, settings: Settings, provenance: Provenance, *, resume: bool, **changes: Any
) -> None:
    """Write into run.json what a command works with, and `changes`.

    Raises:
        MonosemError: it is resumed, and a model or text has changed since it began.
    """
    if not run.exists():
        run.create(RunRecord())
    elif resume and command in run.record().config:
        check_unchanged(run, provenance)
    config = run.record().config | {command: asdict(settings)}  # type: ignore[call-overload]
    run.update(config=config, provenance=provenance, **changes)


def differing(found: Any, wanted: Any) -> str:
    """Return the names of fields in which two dataclasses of a kind differ, separated by commas."""
    return ", ".join(
        field.name for field in fields(wanted) if getattr(found, field.name) != getattr(wanted, field.name)
    )


def agreeing(stored: S, asked: S, run: RunFolder, *, free: Set[str]) -> S:
    """Return the stored settings, those named in `free` changed to what is given.

    Raises:
        MonosemError: a setting is given with another value than it was stored with, and is not free.
    """
    for name in asked.given:
        value, begun = getattr(asked, name), getattr(stored, name)
        if begun != value and name not in free:
            known = f"no `{name}`" if begun is None else f"`{name}={begun}`"
            raise MonosemError(
                f"{run.path} was begun with {known}, not {value}",
                f"Leave `{name}` out to resume, or choose another `out`.",
            )
    return replace(stored, **{name: getattr(asked, name) for name in asked.given if name in free})  # type: ignore[type-var]


def changed(run: RunFolder, found: Provenance) -> str:
    """Return which of model, text and array differs from the run's, even under the same name; "" if none does."""
    begun = run.record().provenance
    for name, old, new in (
        (found.model, begun.model_digest, found.model_digest),
        (found.corpus, begun.corpus_digest, found.corpus_digest),
        (found.array, begun.array_digest, found.array_digest),
    ):
        if old and old != new:
            return name
    return ""


def check_unchanged(run: RunFolder, found: Provenance) -> None:
    """Refuse to go on with another model or text than the run's.

    Raises:
        MonosemError: a digest differs from the one in run.json.
    """
    name = changed(run, found)
    if name:
        raise MonosemError(
            f"{name} is not what {run.path} was begun with: its content has changed", "Choose another `out`."
        )
