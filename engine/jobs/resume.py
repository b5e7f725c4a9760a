"""Work that is resumed goes on with what it began with: the same settings, the same model, the same text."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any, TypeVar

from store.files.errors import MonosemError
from store.run.folder import Provenance, RunFolder

S = TypeVar("S")


def has_begun(run: RunFolder, command: str, given: Mapping[str, Any], *, resume: bool) -> bool:
    """Whether a command has written its settings into a run.

    Work that was stopped before it wrote anything is resumed by beginning it; `given` says what it is to be.

    Raises:
        MonosemError: it is to be resumed, but neither the folder nor the user says what.
    """
    if run.exists() and command in run.record().config:
        return True
    if resume and not given.keys() - {"device"}:
        raise MonosemError(f"there is nothing to resume in {run.path}", "Leave --resume out to begin.")
    return False


def agreeing(stored: S, given: Mapping[str, Any], run: RunFolder, *, free: Set[str]) -> S:
    """The stored settings (a dataclass), those named in `free` changed to what is given.

    Raises:
        MonosemError: another one is given with another value than it was stored with.
    """
    for name, value in given.items():
        begun = getattr(stored, name)
        if begun != value and name not in free:
            flag = "--" + name.replace("_", "-")
            raise MonosemError(
                f"{run.path} was begun with {f'{flag} {begun}' if begun is not None else f'no {flag}'}, not {value}",
                "Leave the flag out to resume, or choose another --out.",
            )
    return replace(stored, **{name: value for name, value in given.items() if name in free})  # type: ignore[type-var]


def changed(run: RunFolder, found: Provenance) -> str:
    """Which of model, text and array differs from the run's, though it may go by the same name; "" if none does."""
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
            f"{name} is not what {run.path} was begun with: its content has changed", "Choose another --out."
        )
