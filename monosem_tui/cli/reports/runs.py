"""Output of `monosem runs`: one row per run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.draw.numbers import compact
from monosem_tui.model.run_summary import RunRow, listed_run
from store.run.folder import list_runs


def report(root: Path, *, json: bool) -> None:
    """Print the runs under `root`, the newest first; a damaged one is listed as such."""
    listed = [listed_run(run) for run in list_runs(root)]
    if json:
        output.emit_json([asdict(item.row) for item in listed])
        return
    if not listed:
        output.narrate(f"no runs yet in {root}; `monosem demo` makes one")
        return
    _table([item.row for item in listed])
    for item in listed:
        if item.message:
            output.narrate(f"{item.row.name}: {item.message}")


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
