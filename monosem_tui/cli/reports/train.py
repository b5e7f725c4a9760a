"""Output of `monosem train` at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports.eval import stored_figures
from monosem_tui.draw.numbers import compact, known
from store.run.counted_noun import TOKEN
from store.run.events import EndEvent, TrainEvent, read_events
from store.run.folder import RunFolder, RunRecord

_COLUMNS = (
    output.Column("run", shrinks=True),
    output.Column("status"),
    output.Column("site", shrinks=True),
    output.Column("arch"),
    *output.right("d_sae", "k", "l1", "EV", "L0", "alive", "CE"),
)


def report(runs: Sequence[RunFolder], *, json: bool) -> None:
    """Print the runs and their quality: one in words, several in a table."""
    if json:
        found = [_json(run) for run in runs if run.exists()]
        output.emit_json(found[0] if len(runs) == 1 else found)
    elif len(runs) == 1:
        _one(runs[0])
    else:
        _table([run for run in runs if run.exists()])


def _table(runs: Sequence[RunFolder]) -> None:
    """Print a row for each run; all of a grid read the same activations."""
    records = [run.record() for run in runs]
    noun = records[0].noun if records else TOKEN
    columns = (*_COLUMNS, *output.right(noun.many, noun.per_second))
    output.emit_table(columns, [_row(run, record) for run, record in zip(runs, records, strict=True)])


def _json(run: RunFolder) -> dict[str, Any]:
    record = run.record()
    return {
        "name": run.name,
        "path": str(run.path),
        "status": record.current_status(),
        "results": asdict(record.results),
        "eval": record.evaluation or None,
    }


def _row(run: RunFolder, record: RunRecord) -> list[str]:
    spec, results = record.spec, record.results
    events = list(read_events(run.events))
    end = next((event for event in events if isinstance(event, EndEvent)), None)
    last = next((event for event in reversed(events) if isinstance(event, TrainEvent)), None)
    if results.explained_variance is None and last is not None:
        results = replace(results, explained_variance=last.explained_variance, l0=last.l0, tokens=last.tokens)
    return [
        run.name,
        record.current_status(),
        spec.place(),
        spec.arch,
        str(spec.d_sae),
        known(spec.k, "d"),
        known(spec.l1, "g"),
        known(results.explained_variance, ".3f"),
        known(results.l0, ".1f"),
        known(results.alive, lambda alive: f"{alive / spec.d_sae:.1%}"),
        known(results.ce_recovered_zero, ".3f"),
        known(results.tokens, compact),
        known(None if end is None else round(end.tok_s), compact),
    ]


def _one(run: RunFolder) -> None:
    record = run.record()
    output.emit_text("\n".join([f"{run.path}  {record.spec.title()}", *stored_figures(run)]))
    if run.features.is_file():
        output.narrate(f"browse it with: monosem tui {run.path}")
    elif record.provenance.array:
        output.narrate(f"measure it on other activations with: monosem eval {run.path} --activations FILE")
    else:
        output.narrate(f"index it with: monosem index {run.path}")
