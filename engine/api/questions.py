"""Questions to indexed runs from Python: which features track a pattern, what explains them, which two runs share."""

from __future__ import annotations

from collections.abc import Sequence

from engine.api.runs import RunLike, TrainedRun, open_run
from engine.commands import baselines
from engine.commands import map as map_command
from engine.commands.compare import ComparedSource, compare_runs
from engine.commands.explain import ModelReport, author_of, explain_by_model
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Progress
from store.comparison.figures import Comparison
from store.files.errors import MonosemError
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.map.feature_map import FeatureMap
from store.notes.explanations import Explanation, Explanations
from store.query.detectors import open_detectors
from store.query.find import Found
from store.query.pattern_search import Inquiry, search_pattern
from store.rules.rule_run import chosen_features, planned, work
from store.run.feature_source import Baseline, FeatureSource
from store.run.folder import RunFolder
from store.settings.compare import CompareSettings
from store.settings.explain import ExplainSettings
from store.settings.map import MapSettings
from store.settings.model_author import AuthorSettings


def find(run: RunLike, pattern: str | Inquiry) -> Found:
    """Find the features that track a regular expression over the indexed text.

    Of `"RUN:neurons"`, neurons: of D, number d stands for high values of neuron d, number D + d for low ones.

    Raises:
        MonosemError: it is not a regular expression, nothing matches, there is no index, or a baseline is not made.
    """
    inquiry = pattern if isinstance(pattern, Inquiry) else Inquiry(pattern)
    source = _source(run)
    with FeatureStore.open(source.path) as store, open_detectors(store, source.neurons) as neurons:
        *_, last = search_pattern(store, inquiry, detectors=neurons)
    assert last.found is not None
    return last.found


def explain(
    run: RunLike,
    features: Sequence[int] | None = None,
    settings: ExplainSettings | None = None,
    author: AuthorSettings | None = None,
    *,
    progress: Progress | None = None,
) -> dict[int, Explanation]:
    """Explain features, measured on documents that the author never saw; return the explanations by feature.

    They are kept in explanations.jsonl; known ones are not looked for again. A feature that a model has no explanation
    for is left out.

    Args:
        run: the run, or a baseline that is made; of `"RUN:neurons"`, directions of neurons, numbered as by `find`.
        features: their numbers; None for all that fire, of rules only.
        settings: the author: rules, or `by` the address of a server of models or hf:FOLDER.
        author: which model, and how thoroughly its explanations are tested.
        progress: where to report to.

    Raises:
        MonosemError: the run has no whole index, there is no such feature or author, or the model cannot be asked.
    """
    asked, shown = settings or ExplainSettings(), progress or NotebookProgress()
    asked.check_author()
    source = _source(run)
    if asked.by_model and source.neurons is None:
        return _explained_by_model(open_run(run), features, asked, author or AuthorSettings(), shown)
    if asked.by_model:
        raise MonosemError("neurons are explained by rules only", "Leave `by` out.")
    plan = planned(source.path, _all(source) if features is None else features, asked, source.neurons)
    explanations = {}
    with shown.task("explaining", len(plan.features), "features") as bar:
        for one in work(plan):
            explanations[one.feature] = one
            bar.advance(1)
    return explanations


def _all(source: ComparedSource) -> Sequence[int]:
    """Return the features of a source that fire; of neurons, both directions of each."""
    if source.neurons is not None:
        with NeuronActs.open(source.neurons) as acts:
            return range(2 * acts.n_neurons)
    with FeatureStore.open(source.path) as store:
        return chosen_features(store, range(store.d_sae))


def _explained_by_model(
    run: TrainedRun, features: Sequence[int] | None, asked: ExplainSettings, author: AuthorSettings, progress: Progress
) -> dict[int, Explanation]:
    if features is None:
        raise MonosemError("which `features`? A model is asked about each of them")
    author = author.changed(seed=asked.seed)
    report = ModelReport(author_of(asked.by, author))
    with explained():
        explain_by_model(run.path, features, asked.by, author, progress, report, again=asked.again)
    standing = Explanations.load(run.path).by(report.author)
    return {feature: standing[feature] for feature in features if feature in standing}


def compare(
    first: RunLike,
    second: RunLike,
    settings: CompareSettings | None = None,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the features of two runs on the text that their indexes share, keep the comparison, and return it.

    Either may be a baseline that is made: `"runs/demo:neurons"`.

    Raises:
        MonosemError: an index is missing or unfinished, they share no text, or a baseline is not made.
    """
    sources = [_source(run) for run in (first, second)]
    (found,) = compare_runs(sources, settings or CompareSettings(), progress or NotebookProgress())
    return found.comparison


def map_features(run: RunLike, settings: MapSettings | None = None, *, progress: Progress | None = None) -> FeatureMap:
    """Lay out a run's features in the plane by their decoder directions, keep the map, and return it.

    Raises:
        MonosemError: the run has no whole index, too few of its features fire, or umap-learn is asked for and missing.
    """
    path, shown = open_run(run).path, progress or NotebookProgress()
    with explained():
        return map_command.map_features(path, settings or MapSettings(), shown).map


def make_baseline(run: RunLike, baseline: Baseline, *, progress: Progress | None = None) -> None:
    """Make a baseline of a run, which `find`, `explain` and `compare` then take as `"RUN:BASELINE"`.

    Args:
        run: a run with a whole index.
        baseline: `neurons`, `random` or `seed`.
        progress: where to report to.

    Raises:
        MonosemError: the run has none, or the disk is too small for it.
    """
    baselines.make_baseline(open_run(run).folder, baseline, progress or NotebookProgress())


def _source(run: RunLike) -> ComparedSource:
    """Return a side of a comparison: a run, or a baseline of it."""
    if isinstance(run, TrainedRun) or (source := FeatureSource.parse(str(run))).baseline is None:
        path = open_run(run).path
        return ComparedSource(path, path.name, None, RunFolder(path))
    return baselines.made_source(open_run(source.run).folder, source.baseline)
