"""Output of `monosem study`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.draw.numbers import duration
from monosem_tui.export.study_report import write_study
from monosem_tui.export.study_tables import study_tables
from store.study.figures import StudyFigures

if TYPE_CHECKING:
    from engine.commands.study import StudyForecast


def report(figures: StudyFigures, folder: Path, *, json: bool) -> None:
    """Write the report, and print its tables."""
    written = write_study(figures, folder)
    if json:
        output.emit_json(asdict(figures))
    else:
        for table in study_tables(figures):
            output.emit_text(table.title)
            columns = [output.Column(table.columns[0], shrinks=True), *output.right(*table.columns[1:])]
            output.emit_table(columns, [list(row) for row in table.rows])
            output.emit_text("")
    output.narrate(f"written: {written[0]}, {written[1].name}, {written[2].name} and plots/")


def report_forecast(forecast: StudyForecast, *, json: bool) -> None:
    """Print what a study would take, part by part."""
    from monosem_tui.cli.reports.dry_run import forecast_json
    from monosem_tui.cli.reports.dry_run import report as show

    if json:
        parts = [{"name": name, **forecast_json(runs, part)} for name, runs, part in forecast.parts]
        output.emit_json({"runs": forecast.runs, "pairs": forecast.pairs, "unknown": forecast.unknown, "parts": parts})
        return
    for name, runs, part in forecast.parts:
        output.emit_text(f"{name}:")
        show(runs, part, json=False)
        output.emit_text("")
    for name in forecast.unknown:
        output.emit_text(f"{name}: its dictionaries can be planned once its language model is trained")
    seconds = [part.plan.seconds for _, _, part in forecast.parts]
    if seconds and all(one is not None for one in seconds):
        output.emit_text(f"trainings and indexes: {duration(sum(one for one in seconds if one is not None))}")
    output.emit_text(
        f"then {forecast.runs} runs are explained, and {forecast.pairs} pairs compared: about as long as one "
        "explanation of a run, and one `monosem compare`, times that"
    )
