"""`monosem runs`: one row a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.text.numbers import compact
from store.errors import MonosemError
from store.events import TrainEvent, read_events
from store.run import RunFolder, list_runs

DAMAGED = "damaged"
_KINDS: dict[str, tuple[type, ...]] = {
    "layer": (int,),
    "d_sae": (int,),
    "tokens": (int,),
    "explained_variance": (float, int),
    "l0": (float, int),
}
"""Types of the columns that are no text; what a hand has written into run.json may be anything."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """What the list says of a run; the fields are the keys of `runs --json`. None where not known."""

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
    """A row, and a sentence to go with it where the run did not end well."""

    row: RunRow
    message: str = ""


def report(root: Path, *, json: bool) -> None:
    """Print the runs under `root`, the newest first; a damaged one is listed as such."""
    listed = [_listed(run) for run in list_runs(root)]
    if json:
        output.emit_json([asdict(item.row) for item in listed])
        return
    if not listed:
        output.narrate(f"there are no runs in {root}; `monosem demo` makes one")
        return
    _table([item.row for item in listed])
    for item in listed:
        if item.message:
            output.narrate(f"{item.row.name}: {item.message}")


def _listed(run: RunFolder) -> Listed:
    try:
        return _read(run)
    except MonosemError as error:
        return Listed(RunRow(name=run.name, path=str(run.path), status=DAMAGED), error.what)
    except OSError as error:
        return Listed(RunRow(name=run.name, path=str(run.path), status=DAMAGED), str(error))


def _read(run: RunFolder) -> Listed:
    record = run.record()
    spec, results, status = record.spec, record.results, record.current_status()
    tokens, variance, l0 = results.tokens, results.explained_variance, results.l0
    if tokens is None:
        points = [event for event in read_events(run.events) if isinstance(event, TrainEvent)]
        if points:
            tokens, variance, l0 = points[-1].tokens, points[-1].explained_variance, points[-1].l0
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
    for field in fields(row):
        value = getattr(row, field.name)
        if value is not None and type(value) not in _KINDS.get(field.name, (str,)):
            raise MonosemError(f"{run.run_json} is damaged: {field.name} is {value!r}")
    return Listed(row, str(record.message) if status in ("failed", "stopped") else "")


_COLUMNS = (
    output.Column("name", shrinks=True),
    output.Column("status"),
    output.Column("model", shrinks=True),
    output.Column("site", shrinks=True),
    output.Column("layer", ">"),
    output.Column("arch"),
    output.Column("d_sae", ">"),
    output.Column("tokens", ">"),
    output.Column("EV", ">"),
    output.Column("L0", ">"),
)


def _table(rows: list[RunRow]) -> None:
    def text(value: str | int | None) -> str:
        return "-" if value is None else str(value)

    output.emit_table(
        _COLUMNS,
        [
            (
                row.name,
                row.status,
                text(row.model),
                text(row.site),
                text(row.layer),
                text(row.arch),
                text(row.d_sae),
                "-" if row.tokens is None else compact(row.tokens),
                "-" if row.explained_variance is None else f"{row.explained_variance:.3f}",
                "-" if row.l0 is None else f"{row.l0:.1f}",
            )
            for row in rows
        ],
    )
