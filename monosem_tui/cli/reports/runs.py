"""Output of `monosem runs`: one row per run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.draw.numbers import compact, known
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
    output.emit_table(_COLUMNS, [_cells(item.row) for item in listed])
    for item in listed:
        if item.message:
            output.narrate(f"{item.row.name}: {item.message}")


_COLUMNS = (
    output.Column("name", shrinks=True),
    output.Column("status"),
    output.Column("model", shrinks=True),
    output.Column("site", shrinks=True),
    *output.right("layer"),
    output.Column("arch"),
    *output.right("d_sae", "trained", "EV", "L0"),
)


def _cells(row: RunRow) -> list[str]:
    names = (row.name, row.status, row.model, row.site, row.layer, row.arch, row.d_sae)
    figures = (
        known(row.tokens, compact),
        known(row.explained_variance, ".3f"),
        known(row.l0, ".1f"),
    )
    return [*("-" if name is None else str(name) for name in names), *figures]
