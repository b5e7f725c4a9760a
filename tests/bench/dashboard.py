"""Feature pages on the same tokens, beside SAEDashboard: how long those of all features take, and how that grows.

monosem sweeps, sorts and merges its index, which holds every activation, and reads each feature's page from it.
SAEDashboard makes its pages and writes them as JSON. Both start from a loaded model and autoencoder; Python, imports
and loading are in neither time. monosem's has the tokenizer's in it, SAEDashboard is given token ids.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engine.commands.train import train
from engine.runtime.progress import Silent
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.train import TrainSettings
from tests.bench.page import Table
from tests.bench.peer import ROOT, PeerFailed, answer, ask, pinned, threads
from tests.bench.stories import LAYER, Missing, Stories
from tests.bench.subjects import Looked, random_llama
from tests.bench.timing import grouped, ratio

PYTHON = ROOT / ".venv-dashboard" / "bin" / "python"
LISTED = Path(__file__).parent / "peers_dashboard.txt"
K = 16
COLUMNS = ("feature pages", "by", "time", "least – greatest", "features/s", "growth", "kept", "beside SAEDashboard")


@dataclass(frozen=True)
class Batches:
    """Features per batch of SAEDashboard, and number of rounds."""

    features: int
    contexts: int
    rounds: int

    def __str__(self) -> str:
        return f"{grouped(self.features)} features and {self.contexts} contexts at a time"


@dataclass(frozen=True)
class Work:
    """An autoencoder, and what SAEDashboard works on at a time there; it is compared by the first."""

    d_sae: int
    theirs: tuple[Batches, ...]


@dataclass(frozen=True)
class Plan:
    """Autoencoders, the smallest first, on how many tokens they are trained and looked at, and how many rounds."""

    works: tuple[Work, ...]
    trained: int
    tokens: int
    rounds: int


BEST = (1024, 64)
"""Features and contexts at a time at which SAEDashboard was fastest here."""
DEFAULT = (256, 64)
SMALL = (128, 64)
"""Settings for a machine with little memory."""
FULL = Plan(
    (
        Work(1024, (Batches(*BEST, rounds=2), Batches(*DEFAULT, rounds=1), Batches(*SMALL, rounds=1))),
        Work(4096, (Batches(*BEST, rounds=1),)),
    ),
    trained=200_000,
    tokens=131_072,
    rounds=3,
)
QUICK = Plan((Work(64, (Batches(*DEFAULT, rounds=1),)), Work(128, ())), trained=20_000, tokens=8192, rounds=1)


@dataclass(frozen=True)
class Made:
    """All pages of one autoencoder, made once."""

    seconds: float
    apart: float
    """Seconds of them for reading pages (monosem) or writing JSON (SAEDashboard)."""
    examples: int
    """Texts on the pages."""
    size: int
    """Size on disk in bytes."""
    count_F: Sequence[float]
    """Tokens on which each feature fires."""
    more: tuple[float, int] = (0.0, 0)
    """Of monosem: seconds, not in `seconds`, for reading pages with SAEDashboard's texts, and how many those are."""


@dataclass
class Contender:
    """One of the two at one autoencoder, and what it made in each round."""

    name: str
    d_sae: int
    make: Callable[[], Made]
    """Makes the pages once; may raise PeerFailed."""
    rounds: int
    made: list[Made] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> list[float]:
        """Of each round."""
        return [one.seconds for one in self.made]

    @property
    def indexing(self) -> list[float]:
        """Of each round, what is left without `apart`."""
        return [one.seconds - one.apart for one in self.made]

    def turn(self, number: int) -> None:
        """Make the pages in round `number`, from 1, if there is such a round."""
        if self.failure or number > self.rounds:
            return
        try:
            self.made.append(self.make())
            said = f"{self.seconds[-1]:.1f} s, {self.made[-1].apart:.1f} s of them reading or writing pages"
        except PeerFailed as failed:
            self.failure = said = str(failed)
        sys.stderr.write(f"round {number}: {self.d_sae} features: {self.name}: {said}\n")


@dataclass(frozen=True)
class Size:
    """All contenders at one autoencoder."""

    ours: Contender
    theirs: Sequence[Contender]
    """By batches; the first is the one that monosem is compared with."""

    def turn(self, number: int) -> None:
        """Measure each tool in turn."""
        for contender in (self.ours, *self.theirs):
            contender.turn(number)

    def times(self, ours: Sequence[float]) -> str:
        """Ratio of SAEDashboard's time to ours, per round."""
        done = self.theirs[0].seconds if self.theirs else []
        return f"{ratio(done, ours[: len(done)]):.1f} ×" if done else "–"

    def agreement(self) -> float | None:
        """The share of activations that both count alike, over the features; None where one has not counted."""
        if not self.theirs or not self.theirs[0].made:
            return None
        ours_F, theirs_F = (np.asarray(one.made[-1].count_F, float) for one in (self.ours, self.theirs[0]))
        return float(1 - np.abs(ours_F - theirs_F).sum() / (ours_F + theirs_F).sum())


@dataclass(frozen=True)
class Bench:
    """The subject, the folder of the pages, and the amounts."""

    looked: Looked
    folder: Path
    plan: Plan

    def trained(self, d_sae: int) -> RunFolder:
        """An autoencoder, trained if it is not there yet."""
        run = RunFolder(self.folder / f"run{d_sae}")
        if not run.sae.is_file():
            given = {"model": str(self.looked.model), "data": self.looked.data, "layer": LAYER, "index": False}
            train(
                run,
                TrainSettings(**(given | {"d_sae": d_sae, "k": K, "tokens": self.plan.trained})),
                Silent(),
                resume=False,
            )
        return run

    def monosem(self, d_sae: int) -> Made:
        """Run `monosem index` in a process of its own, and read every page."""
        run = self.trained(d_sae)
        command = [sys.executable, "-m", "tests.bench.pages", str(run.path), str(self.plan.tokens)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads())}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        found = answer(done.stdout)
        with FeatureStore.open(run.path) as store:
            count_F = store.columns.count_F.tolist()
        more = (found["more_reading"], found["more_examples"])
        return Made(found["seconds"], found["reading"], found["examples"], found["bytes"], count_F, more)

    def saedashboard(self, d_sae: int, batches: Batches) -> Made:
        """SAEDashboard's runner on the tokens of monosem's index; may raise PeerFailed."""
        run, contexts, sae = self.trained(d_sae), self.folder / "contexts.npy", self.folder / "sae.npz"
        with FeatureStore.open(run.path) as store:
            ids_CT = store.tokens(0, store.n_tokens).reshape(-1, store.plan.context).astype(np.int64)
        np.save(contexts, ids_CT)
        np.savez(sae, **load_sae(run.sae).tensors)
        given = (self.looked.model, contexts, self.looked.bos, sae, LAYER, K, batches.features, batches.contexts)
        found = ask("feature_pages.py", *given, self.folder / "pages.json", python=PYTHON)
        return _theirs(found, ids_CT.size)


def _theirs(found: dict[str, Any], tokens: int) -> Made:
    counts = [tokens * density for density in found["densities"]]
    return Made(found["seconds"], found["writing"], found["examples"], found["bytes"], counts)


def measure(plan: Plan = FULL) -> Table:
    """All pages of all autoencoders, of the stories' model where it is at hand, else of a random one of its shape."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            stories = Stories.find()
            looked = Looked.at(stories.model, str(stories.text))
        except Missing:
            looked = random_llama(Path(folder) / "model")
        return measure_of(plan, looked, Path(folder))


def measure_of(plan: Plan, looked: Looked, folder: Path) -> Table:
    """The same of a given model and text, in `folder`."""
    bench = Bench(looked, folder, plan)
    sizes = [_size(bench, work, plan.rounds) for work in plan.works]
    for number in range(1, plan.rounds + 1):
        for size in sizes:
            size.turn(number)
    return Table(COLUMNS, rows(sizes), notes(sizes, plan, looked))


def _size(bench: Bench, work: Work, rounds: int) -> Size:
    name = f"SAEDashboard {pinned('sae-dashboard', LISTED)}"
    theirs = [
        Contender(f"{name}, {one}", work.d_sae, partial(bench.saedashboard, work.d_sae, one), one.rounds)
        for one in work.theirs
    ]
    return Size(Contender("monosem", work.d_sae, partial(bench.monosem, work.d_sae), rounds), theirs)


def rows(sizes: Sequence[Size]) -> list[tuple[str, ...]]:
    """The lines of each size; growth is relative to the same line of the first size, round by round."""
    first = sizes[0]
    found = []
    for size in sizes:
        ours, what = size.ours, f"{grouped(size.ours.d_sae)} features"
        lines = [("monosem: index, and every page", ours.seconds, first.ours.seconds, _ours_kept(ours))]
        lines += [("monosem: index alone", ours.indexing, first.ours.indexing, "the same")]
        for name, seconds, before, kept in lines:
            found.append((what, name, *_times(ours.d_sae, seconds, before), kept, size.times(seconds)))
        for theirs in size.theirs:
            before = next((one.seconds for one in first.theirs if one.name == theirs.name), [])
            found.append((what, theirs.name, *_cells(theirs, before, ours)))
    return found


def _cells(theirs: Contender, before: Sequence[float], ours: Contender) -> tuple[str, ...]:
    if theirs.failure or not theirs.made:
        return (*["–"] * 5, f"failed: {theirs.failure}")
    pages, index = (ratio(theirs.seconds, side[: len(theirs.seconds)]) for side in (ours.seconds, ours.indexing))
    return (*_times(theirs.d_sae, theirs.seconds, before), _theirs_kept(theirs), f"monosem {pages:.1f}, {index:.1f} ×")


def _times(d_sae: int, seconds: Sequence[float], first: Sequence[float]) -> tuple[str, str, str, str]:
    """Median, limits, features a second, growth."""
    took, rounds = median(seconds), min(len(seconds), len(first))
    growth = f"{ratio(seconds[:rounds], first[:rounds]):.2f} ×" if rounds else "–"
    return (f"{took:.1f} s", f"{min(seconds):.1f} – {max(seconds):.1f} s", grouped(d_sae / took), growth)


def _ours_kept(one: Contender) -> str:
    made = one.made[-1]
    return f"all {grouped(sum(made.count_F))} activations, {made.size / 1e6:.1f} MB"


def _theirs_kept(one: Contender) -> str:
    made = one.made[-1]
    return f"{grouped(made.examples / one.d_sae)} texts a feature, JSON of {made.size / 1e6:.1f} MB"


def notes(sizes: Sequence[Size], plan: Plan, looked: Looked) -> tuple[str, ...]:
    """Measured times, and the share of writing files."""
    first = sizes[0]
    ours = first.ours.made
    size = f"{grouped(first.ours.d_sae)} features"
    more = median(one.more[0] for one in ours)
    sentences = [
        f"{looked.name}, output of layer {LAYER}, {grouped(plan.tokens)} tokens, TopK with k {K}, trained on "
        f"{grouped(plan.trained)} tokens.",
        f"Both begin with a loaded model and write to disk, in processes of their own, {threads()} threads; monosem's "
        "time has the tokenizer's in it, SAEDashboard is given token ids. It has its defaults, but for what it does at "
        f"a time; those are {DEFAULT[0]} features and {DEFAULT[1]} contexts.",
        f"Median of {plan.rounds} rounds in turn. Growth and the last column are ratios within a round; the latter is "
        "how many times as long SAEDashboard takes, at its best, or, in its own rows, as that row does it: than "
        "monosem with every page, and than its index alone.",
        f"A page of monosem has {grouped(ours[-1].examples / first.ours.d_sae)} longer texts, as in the terminal; with "
        f"{grouped(ours[-1].more[1] / first.ours.d_sae)} of 11 tokens, as in SAEDashboard, reading those of {size} "
        f"takes {more:.1f} s instead of {median(one.apart for one in ours):.1f} s.",
    ]
    if first.theirs and first.theirs[0].made:
        writing = median(one.apart for one in first.theirs[0].made)
        sentences.append(f"Of SAEDashboard's time for {size} {writing:.1f} s are for writing JSON.")
    alike = [f"{100 * share:.2f} %" for one in sizes if (share := one.agreement()) is not None]
    if alike:
        sentences.append(f"Of the activations, both count {' and '.join(alike)} alike.")
    return (" ".join(sentences),)
