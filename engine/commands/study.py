"""`monosem study`: dictionaries of several models on one text, trained, indexed, explained and compared.

A study folder holds models/NAME, the language models that it trains; runs/NAME…, an ordinary run each; and
compared.json, by which a comparison is known not to be needed again. What is done is kept: the same study in the same
folder goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

from engine.commands.baselines import make_baseline
from engine.commands.compare import ComparedSource, compare_runs
from engine.commands.dry_run import Forecast, forecast_lm, forecast_training
from engine.commands.train import Job, train_all
from engine.commands.train_lm import train_lm
from engine.corpus.planted.concept_patterns import named_concepts
from engine.jobs.grid import variants
from engine.runtime.progress import Progress
from store.comparison.file import comparison_path, load_comparison
from store.files.atomic import write_json
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import own_folder, read_whole
from store.files.sealed_hdf5 import read_seal
from store.files.typed_json import JsonError, decode, parse
from store.query.labels import read_labels
from store.rules.kind_file import measured_kinds
from store.rules.rule_run import planned as planned_rules
from store.rules.rule_run import work
from store.run.feature_source import BASELINES, Baseline, baseline_folder
from store.run.folder import RunFolder
from store.settings.study import Study, StudyModel
from store.study.figures import StudyFigures
from store.study.gather import (
    ComparedRuns,
    Place,
    StudiedRun,
    drawn_features,
    pair_figures,
    run_figures,
    with_universal,
)

COMPARED = "compared.json"


def _pairs(places: Sequence[Place]) -> list[tuple[int, int]]:
    """Return the pairs of runs that are compared, by their numbers."""
    return [
        (first, second)
        for first, second in combinations(range(len(places)), 2)
        if places[first].differences(places[second]) == 1
    ]


@dataclass(frozen=True)
class StudyForecast:
    """Disk, memory and time of a study's trainings, and the numbers of its runs and pairs."""

    parts: tuple[tuple[str, Sequence[RunFolder], Forecast], ...]
    """Name, runs and forecast of each language model and each pass of trainings."""
    unknown: tuple[str, ...]
    """Models whose trainings cannot be planned yet, because the study trains them first."""
    runs: int
    pairs: int


def study_forecast(study: Study, out: Path, progress: Progress) -> StudyForecast:
    """Return what the trainings of a study would take; nothing is written.

    Raises:
        MonosemError: a setting is impossible, or a model or the text cannot be read.
    """
    check(study)
    parts: list[tuple[str, Sequence[RunFolder], Forecast]] = []
    unknown: list[str] = []
    places: list[Place] = []
    for model in study.models:
        jobs = jobs_of(model, out)
        places += [Place.of(model.name, job.settings) for job in jobs]
        lm = RunFolder(out / "models" / model.name)
        if model.lm is not None and not lm.model.is_dir():
            parts.append((f"{model.name}, the language model", [lm], forecast_lm(lm, model.lm, progress, resume=True)))
            unknown.append(model.name)
            continue
        forecast = forecast_training(jobs, progress, resume=True)
        parts.append((model.name, [job.run for job in jobs], forecast))
    return StudyForecast(tuple(parts), tuple(unknown), len(places), len(_pairs(places)))


def run_study(study: Study, out: Path, progress: Progress) -> StudyFigures:
    """Do all of a study that is not done yet, and return its figures.

    Args:
        study: what to do.
        out: the study's folder; it is made where it is missing.
        progress: receives reports.

    Raises:
        MonosemError: a setting is impossible, or disagrees with what the folder holds, or that has links inside.
        WorkFailed: a training failed.
        KeyboardInterrupt: stopped on request; the same call goes on.
    """
    check(study)
    with disk_errors(out):
        out.mkdir(exist_ok=True)
        for name in ("runs", "models"):
            own_folder(out / name).mkdir(exist_ok=True)
    runs = [run for model in study.models for run in _trained(model, out, progress)]
    shown = [*runs, *_baselines(runs, study, progress)]
    chosen = {run.name: _explained(run, study, progress) for run in shown}
    pairs = _compared(runs, study, out, progress)
    settings = study.settings
    concepts = [named_concepts(name) for name in settings.concepts]
    with progress.task("gathering figures", len(shown), "runs") as bar:
        found = []
        for run in shown:
            found.append(run_figures(run, chosen[run.name], concepts, settings))
            bar.advance(1)
    found = with_universal(found, pairs)
    return StudyFigures(settings.title, tuple(found), tuple(map(pair_figures, pairs)))


def check(study: Study) -> None:
    """Refuse a study before its work.

    Raises:
        MonosemError: it has no model, two of one name, an author that is not `rules`, or lists that cannot be read.
    """
    names = [model.name for model in study.models]
    if not names:
        raise MonosemError("the study has no model", "Add a table [[models]] with a name and a model.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MonosemError(f"two models of the study are named {twice!r}", "Give each a name of its own.")
    if study.explain.by != "rules":
        raise MonosemError(f"a study explains by rules, not by {study.explain.by!r}", "Leave by out of [explain].")
    _wanted_baselines(study)
    if study.settings.labels:
        read_labels(study.settings.labels)
    for name in study.settings.concepts:
        named_concepts(name)


def jobs_of(model: StudyModel, out: Path) -> list[Job]:
    """Return the trainings of one model of a study in the folder `out`."""
    grid = model.grid
    if model.lm is not None:
        grid = replace(grid, settings=grid.settings.changed(model=str(out / "models" / model.name)))
    return [Job(RunFolder(out / "runs" / f"{model.name}{one.ending}"), one.settings) for one in variants(grid)]


def _trained(model: StudyModel, out: Path, progress: Progress) -> list[StudiedRun]:
    """Train what is missing of one model, and return its runs."""
    progress.say(f"model {model.name}")
    if model.lm is not None:
        train_lm(RunFolder(out / "models" / model.name), model.lm, progress, resume=True)
    jobs = jobs_of(model, out)
    train_all(jobs, progress, resume=True)
    return [StudiedRun(job.run.path, job.run.name, Place.of(model.name, job.settings)) for job in jobs]


def _baselines(runs: Sequence[StudiedRun], study: Study, progress: Progress) -> list[StudiedRun]:
    """Make the baselines of all runs, and return those with random weights, whose figures stand beside the runs'."""
    found = []
    for run in runs:
        folder = RunFolder(run.path)
        for baseline in _wanted_baselines(study):
            progress.say(f"{run.name}:{baseline}")
            make_baseline(folder, baseline, progress)
            if baseline == "random":
                place = replace(run.place, model=f"{run.place.model}:random")
                found.append(StudiedRun(baseline_folder(folder, baseline), f"{run.name}:random", place))
    return found


def _wanted_baselines(study: Study) -> list[Baseline]:
    """Return the baselines of a study.

    Raises:
        MonosemError: there is no such baseline.
    """
    unknown = next((one for one in study.settings.baselines if one not in BASELINES), None)
    if unknown is not None:
        raise MonosemError(f"no baseline is named {unknown!r}", f"There are {', '.join(BASELINES)}.")
    return [one for one in BASELINES if one in study.settings.baselines]


def _explained(run: StudiedRun, study: Study, progress: Progress) -> tuple[int, ...]:
    """Measure kinds, explain what is not explained yet, and return the features that the study is of."""
    chosen = drawn_features(run.path, study.settings.explained, study.settings.seed)
    measured_kinds(run.path, study.explain.seed)
    plan = planned_rules(run.path, chosen, study.explain)
    if plan.waiting:
        with progress.task(f"explaining {run.name}", len(plan.features), "features") as bar:
            for _ in work(plan):
                bar.advance(1)
    return chosen


def _compared(runs: Sequence[StudiedRun], study: Study, out: Path, progress: Progress) -> list[ComparedRuns]:
    """Compare what differs in one thing, and keep for the next time which settings and indexes each is of."""
    kept = out / COMPARED
    keys, found = _known_keys(kept), []
    pairs = _pairs([run.place for run in runs])
    with progress.task("comparing", len(pairs), "pairs") as bar:
        for first, second in ((runs[a], runs[b]) for a, b in pairs):
            place, name = comparison_path(first.path, second.name), f"{first.name} {second.name}"
            key = _key(first, second, study)
            if keys.get(name) == key and place.is_file():
                comparison = load_comparison(place)
            else:
                sides = [ComparedSource(run.path, run.name, run=RunFolder(run.path)) for run in (first, second)]
                (one,) = compare_runs(sides, study.compare, progress)
                comparison = one.comparison
                keys[name] = key
                write_json(kept, keys)
            found.append(ComparedRuns(first, second, comparison))
            bar.advance(1)
    return found


def _key(first: StudiedRun, second: StudiedRun, study: Study) -> str:
    """Return a digest of all that a comparison depends on."""
    seals = [read_seal(RunFolder(run.path).features).sha256 for run in (first, second)]
    return hashlib.sha256(json.dumps([*seals, asdict(study.compare), _wanted_baselines(study)]).encode()).hexdigest()


def _known_keys(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return decode(dict[str, str], parse(read_whole(path)))
    except JsonError:
        return {}
