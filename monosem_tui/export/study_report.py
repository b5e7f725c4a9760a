"""report.md and report.html of a study: its tables and plots, which can be read anywhere and load nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from monosem_tui.draw.html_parts import escaped, head, isolated, style_of
from monosem_tui.draw.safe_text import printable
from monosem_tui.export.study_plots import study_plots
from monosem_tui.export.study_tables import Table, study_tables
from store.files.atomic import json_text, write_text
from store.files.errors import disk_errors
from store.files.regular_file import own_folder
from store.study.figures import StudyFigures

_AGAIN = "`monosem study study.toml` makes all of it again; report.json holds every figure."
_STYLE = """
.wide { overflow-x: auto; } td + td, th + th { text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } th { font-weight: 600; padding-right: .4rem; }
svg.plot { height: auto; max-width: 44rem; fill: none; margin: .8rem 0; }
"""
_SPECIAL = "\\`*_{}[]<>|#"
"""Characters that mean something in Markdown."""


def write_study(figures: StudyFigures, folder: Path) -> list[Path]:
    """Write report.html, report.md, report.json and plots/ into a study's folder; return the files.

    Raises:
        MonosemError: the disk is full, or they cannot be written.
    """
    plots, tables = study_plots(figures), study_tables(figures)
    with disk_errors(folder):
        own_folder(folder / "plots").mkdir(exist_ok=True)
    texts = {
        "report.html": "\n".join(_html(figures, tables, list(plots.values()))) + "\n",
        "report.md": "\n".join(_markdown(figures, tables, list(plots))) + "\n",
        "report.json": json_text(json.loads(json.dumps(asdict(figures)))),
        **{f"plots/{name}": plot + "\n" for name, plot in plots.items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _html(figures: StudyFigures, tables: list[Table], plots: list[str]) -> Iterator[str]:
    yield from head(printable(figures.title), style_of(_STYLE))
    yield f"<h1>{isolated(printable(figures.title))}</h1>"
    yield f"<p>{_summary(figures)} <code>monosem study study.toml</code> makes all of it again.</p>"
    for table in tables:
        yield f"<h2>{escaped(table.title)}</h2>"
        yield f'<p class="dim">{escaped(table.note)}</p>'
        yield '<div class="wide"><table>'
        yield "<tr>" + "".join(f"<th>{escaped(column)}</th>" for column in table.columns) + "</tr>"
        for row in table.rows:
            yield "<tr>" + "".join(f"<td>{isolated(cell)}</td>" for cell in row) + "</tr>"
        yield "</table></div>"
    yield "<h2>Plots</h2>"
    yield from plots
    yield "</html>"


def _markdown(figures: StudyFigures, tables: list[Table], plots: list[str]) -> Iterator[str]:
    yield f"# {_plain(printable(figures.title))}"
    yield ""
    yield f"{_summary(figures)} {_AGAIN}"
    for table in tables:
        yield from ["", f"## {table.title}", "", table.note, ""]
        yield f"| {' | '.join(table.columns)} |"
        yield "|---|" + "--:|" * (len(table.columns) - 1)
        for row in table.rows:
            yield f"| {' | '.join(map(_plain, row))} |"
    for name in plots:
        yield from ["", f"![{name.removesuffix('.svg')}](plots/{name})"]


def _summary(figures: StudyFigures) -> str:
    models = dict.fromkeys(run.model for run in figures.runs)
    return f"{len(figures.runs)} runs of {len(models)} models, {len(figures.pairs)} pairs."


def _plain(text: str) -> str:
    """Return text whose characters have no meaning in Markdown."""
    return "".join("\\" + letter if letter in _SPECIAL else letter for letter in text)
