"""A run's row in the list of runs, on the command line and in the app."""

from __future__ import annotations

from dataclasses import dataclass

from store.files.errors import MonosemError
from store.run.events import TrainEvent, read_events
from store.run.folder import RunFolder, RunRecord

DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A row of the list; the fields are the keys of `runs --json`, None where unknown."""

    name: str
    path: str
    status: str
    model: str | None = None
    layer: int | None = None
    site: str | None = None
    arch: str | None = None
    d_sae: int | None = None
    tokens: int | None = None
    explained_variance: float | None = None
    l0: float | None = None


@dataclass(frozen=True)
class Listed:
    """A row, and a sentence about a run that did not end well."""

    row: RunRow
    message: str = ""


def listed_run(run: RunFolder) -> Listed:
    """Return a run's row; an unreadable run is listed as damaged."""
    try:
        record = run.record()
        points = [e for e in read_events(run.events) if isinstance(e, TrainEvent)] if _unmeasured(record) else []
        return listed(run, record, points[-1] if points else None)
    except MonosemError as error:
        return damaged(run, error.what)
    except OSError as error:
        return damaged(run, str(error))


def damaged(run: RunFolder, message: str) -> Listed:
    """Return the row of an unreadable run."""
    return Listed(RunRow(name=run.name, path=str(run.path), status=DAMAGED), message)


def _unmeasured(record: RunRecord) -> bool:
    return record.results.tokens is None


def listed(run: RunFolder, record: RunRecord, last: TrainEvent | None) -> Listed:
    """Return the row of a run.

    Args:
        run: the run's folder.
        record: its run.json.
        last: the last log point of its training, used until there are results.
    """
    spec, results, status = record.spec, record.results, record.current_status()
    tokens, variance, l0 = results.tokens, results.explained_variance, results.l0
    if tokens is None and last is not None:
        tokens, variance, l0 = last.tokens, last.explained_variance, last.l0
    row = RunRow(
        name=run.name,
        path=str(run.path),
        status=status,
        model=spec.model or None,
        layer=spec.layer,
        site=spec.site or None,
        arch=spec.arch or None,
        d_sae=spec.d_sae or None,
        tokens=tokens,
        explained_variance=variance,
        l0=l0,
    )
    return Listed(row, record.message if status in ("failed", "stopped") else "")
