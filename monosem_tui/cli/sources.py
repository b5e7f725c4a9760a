"""Sources of features that commands take: runs, indexes, and baselines of runs, made on request."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.cli.run_lookup import Place, find_place
from monosem_tui.draw.numbers import duration
from store.files.errors import MonosemError
from store.index.baselines import baseline_state
from store.index.neuron_file import neuron_path
from store.run.feature_source import BASELINES, TITLES, Baseline, FeatureSource, baseline_folder
from store.run.folder import RunFolder


@dataclass(frozen=True)
class FoundSource:
    """A source of features: an index, or the neurons beside one."""

    place: Place
    """The index: a baseline's own, or, of neurons, that of the run whose tokens they were read on."""
    text: str
    """The source as it was typed."""
    baseline: Baseline | None = None

    @property
    def neurons(self) -> Path | None:
        """The file of neurons; None where features are meant."""
        run = self.place.run
        return neuron_path(run) if self.baseline == "neurons" and run is not None else None

    @property
    def name(self) -> str:
        """`demo`, `demo:random`."""
        if self.baseline is None or self.place.run is None:
            return self.place.name
        path = self.place.path.resolve()
        own = path if self.baseline == "neurons" else path.parents[1]
        return f"{own.name}:{self.baseline}"


def find_source(text: str, root: Path, *, make: bool) -> FoundSource:
    """Find a run, an index, or a baseline of a run; one that is missing is made if `make`.

    Raises:
        MonosemError: there is no such run or baseline, or the baseline is not made yet; what it costs, and how to.
    """
    source = FeatureSource.parse(text)
    place = find_place(source.run, root)
    if source.baseline is None:
        return FoundSource(place, text)
    run = place.run
    if run is None:
        raise MonosemError(
            f"{source.run} is an index without its run, which has no baselines", "Give the run's folder."
        )
    if baseline_state(run, source.baseline) != "made":
        if not make:
            raise MonosemError(
                f"{text} {_lack(run, source.baseline)}: {cost_line(run, source.baseline)}", "--make makes it, once."
            )
        _make(run, source.baseline)
    if source.baseline == "neurons":
        return FoundSource(place, text, source.baseline)
    made = RunFolder(baseline_folder(run, source.baseline))
    return FoundSource(Place(made.path, made), text, source.baseline)


def _lack(run: RunFolder, baseline: Baseline) -> str:
    """Return what a baseline lacks, as a sentence goes on."""
    words = {"begun": "is begun, not finished", "outdated": "is of another text than the index is of now"}
    return words.get(baseline_state(run, baseline), "is not made yet")


def _make(run: RunFolder, baseline: Baseline) -> None:
    """Say what a baseline will take, then make it."""
    from engine.commands.baselines import forecast_baseline, make_baseline
    from monosem_tui.cli.progress import ConsoleProgress

    progress = ConsoleProgress()
    forecast = forecast_baseline(run, baseline, progress)
    if forecast is None:
        said = cost_line(run, baseline)
    elif forecast.refusals:
        raise forecast.refusals[0]
    else:
        seconds = forecast.plan.seconds
        kept = sum(need.kept for need in forecast.plan.disk)
        said = f"{'' if seconds is None else f'about {duration(seconds)}, '}{_bytes(kept)} of disk"
    output.narrate(f"{TITLES[baseline]}: {said}")
    make_baseline(run, baseline, progress)


def cost_line(run: RunFolder, baseline: Baseline) -> str:
    """Return what a baseline costs, known without trying: `a training of about 48 s, its index and evaluation; 58 MB`.

    Raises:
        MonosemError: the run has no such baseline.
    """
    from engine.commands.baselines import baseline_cost

    cost = baseline_cost(run, baseline)
    if baseline == "neurons":
        at_most = "" if cost.seconds is None else f" of at most {duration(cost.seconds)}"
        return f"one pass of the model{at_most}, {_bytes(cost.n_bytes)} of disk"
    about = "" if cost.seconds is None else f" of about {duration(cost.seconds)}"
    return f"a training{about}, its index and evaluation, {_bytes(cost.n_bytes)} of disk"


@dataclass(frozen=True)
class MissingBaseline:
    """A baseline of a run that is not made: its name, what it is, its cost in words, and the command that makes it."""

    source: str
    what: str
    cost: str
    command: str


def missing_baselines(sources: Sequence[FoundSource]) -> list[MissingBaseline]:
    """Return the baselines of runs that are not made, but could be."""
    found = []
    for source in sources:
        run = source.place.run
        if source.baseline is not None or run is None:
            continue
        for baseline in BASELINES:
            try:
                if baseline_state(run, baseline) != "made":
                    cost = cost_line(run, baseline)
                    name = f"{source.text}:{baseline}"
                    command = shlex.join(["monosem", "compare", source.text, name, "--make"])
                    found.append(MissingBaseline(name, TITLES[baseline], cost, command))
            except MonosemError:  # it has none, or its model is not here
                continue
    return found


def _bytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
