"""Studies from Python: several models, layers, sizes and seeds on one text, trained, explained and compared."""

from __future__ import annotations

from pathlib import Path

from engine.commands.study import run_study
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.progress import Progress
from store.settings.study import Study
from store.study.figures import StudyFigures


def study(asked: Study, out: str | Path, *, progress: Progress | None = None) -> StudyFigures:
    """Do all of a study that its folder lacks, and return its figures; the same call goes on after a stop.

    Args:
        asked: models with their grids of dictionaries, and what to measure.
        out: the study's folder; the one it lies in exists.
        progress: where to report to.

    Raises:
        MonosemError: a setting is impossible, or disagrees with what the folder holds.
        WorkFailed: a training failed.
    """
    return run_study(asked, Path(out), progress or NotebookProgress())
