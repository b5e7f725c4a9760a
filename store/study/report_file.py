"""report.json of a study: the figures of its runs and pairs, read again."""

from __future__ import annotations

from pathlib import Path

from store.files.atomic import read_json
from store.files.errors import MonosemError
from store.files.typed_json import JsonError, decode
from store.study.figures import StudyFigures

REPORT = "report.json"


def report_of(run: Path) -> Path | None:
    """Return the report of the study that a run folder lies in (STUDY/runs/RUN); None where there is none."""
    runs = run.resolve().parent
    report = runs.parent / REPORT
    return report if runs.name == "runs" and report.is_file() else None


def read_report(path: Path) -> StudyFigures:
    """Read the figures of a study.

    Raises:
        MonosemError: the file is missing, damaged or of something else.
    """
    try:
        return decode(StudyFigures, read_json(path))
    except JsonError as error:
        raise MonosemError(f"{path} is no report of a study: {error}", "`monosem study` writes it again.") from error
