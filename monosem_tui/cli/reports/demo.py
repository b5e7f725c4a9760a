"""Output of `monosem demo` where it cannot open the app."""

from __future__ import annotations

from monosem_tui.cli import output
from monosem_tui.cli.reports import summary
from monosem_tui.cli.reports.eval import figures
from monosem_tui.cli.run_lookup import Place
from store.run.folder import RunFolder

FEATURES, EXAMPLES = 10, 3


def report(run: RunFolder) -> None:
    """Print the run's folder, its figures, ten features with their strongest examples, and how to browse it."""
    output.emit_text(f"{run.path}  {run.record().spec.title()}\n")
    for line in figures(run.record().evaluation):
        output.emit_text(line)
    output.emit_text("")
    summary.features(Place(run.path, run), FEATURES, EXAMPLES, output.page_width())
    output.emit_text(f"\nbrowse it with: monosem tui {run.path}")
