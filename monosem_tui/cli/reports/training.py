"""What `monosem train` prints at its end."""

from __future__ import annotations

from dataclasses import asdict

from monosem_tui.cli import output
from monosem_tui.cli.reports.evaluation import figures
from store.run import RunFolder


def report(run: RunFolder, *, json: bool) -> None:
    """Print where the run is and how good it is."""
    record = run.record()
    if json:
        results = asdict(record.results)
        output.emit_json(
            {"name": run.name, "path": str(run.path), "results": results, "eval": record.evaluation or None}
        )
        return
    output.emit_text(f"{run.path}  {record.spec.title()}")
    for line in figures(record.evaluation) if record.evaluation else []:
        output.emit_text(line)
    if run.features.is_file():
        output.narrate(f"browse it with: monosem tui {run.path}")
    elif record.provenance.array:
        output.narrate(f"measure it on other activations with: monosem eval {run.path} --activations FILE")
    else:
        output.narrate(f"index it with: monosem index {run.path}")
