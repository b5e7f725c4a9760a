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
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engine.progress import Silent
from engine.train import train
from store.reader import FeatureStore
from store.run import RunFolder
from store.weights import load_sae
from tests.bench.page import Table
from tests.bench.peer import ROOT, PeerFailed, answer, ask, pinned, threads
from tests.bench.stories import LAYER, Missing, Stories
from tests.bench.subjects import Looked, random_llama
from tests.bench.timing import grouped, ratio

PYTHON = ROOT / ".venv-dashboard" / "bin" / "python"
LISTED = Path(__file__).parent / "peers_dashboard.txt"
K = 16
COLUMNS = ("feature pages", "by", "time", "least – greatest", "features/s", "growth", "kept", "monosem beside it")


@dataclass(frozen=True)
class Work:
    """An autoencoder, and in how many rounds SAEDashboard makes its pages."""

    d_sae: int
    theirs: int


@dataclass(frozen=True)
class Plan:
    """Autoencoders, the smallest first, on how many tokens they are trained and looked at, and how many rounds."""

    works: tuple[Work, ...]
    trained: int
    tokens: int
    rounds: int


FULL = Plan((Work(1024, 3), Work(4096, 1)), trained=200_000, tokens=131_072, rounds=3)
QUICK = Plan((Work(64, 1), Work(128, 0)), trained=20_000, tokens=8192, rounds=1)


@dataclass(frozen=True)
class Made:
    """All pages of one autoencoder, made once."""

    seconds: float
    apart: float
    """Seconds of them for reading pages (monosem) or writing JSON (SAEDashboard)."""
    examples: int
    """Texts on the pages."""
    size: int
    """Bytes on disk."""
    count_F: Sequence[float]
    """Tokens on which each feature fires."""


@dataclass
class Contender:
    """One of the two at one autoencoder, and what it made in each round."""

    name: str
    d_sae: int
    make: Callable[[], Made]
    """May raise PeerFailed."""
    rounds: int
    made: list[Made] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> list[float]:
        """Of each round."""
        return [one.seconds for one in self.made]

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
class Pair:
    """Both at one autoencoder."""

    ours: Contender
    theirs: Contender

    def beside(self) -> str:
        """How many times as fast monosem is, round by round."""
        done = len(self.theirs.made)
        return f"{ratio(self.theirs.seconds, self.ours.seconds[:done]):.1f} ×" if done else "–"

    def agreement(self) -> float | None:
        """The share of activations that both count alike, over the features; None where one has not counted."""
        if not self.theirs.made:
            return None
        ours_F, theirs_F = (np.asarray(one.made[-1].count_F, float) for one in (self.ours, self.theirs))
        return float(1 - np.abs(ours_F - theirs_F).sum() / (ours_F + theirs_F).sum())


@dataclass(frozen=True)
class Bench:
    """Where the pages are made, and of what."""

    looked: Looked
    folder: Path
    plan: Plan

    def trained(self, d_sae: int) -> RunFolder:
        """An autoencoder, trained if it is not there yet."""
        run = RunFolder(self.folder / f"run{d_sae}")
        if not run.sae.is_file():
            given = {"model": str(self.looked.model), "data": self.looked.data, "layer": LAYER, "index": False}
            train(run, given | {"d_sae": d_sae, "k": K, "tokens": self.plan.trained}, Silent(), resume=False)
        return run

    def monosem(self, d_sae: int) -> Made:
        """What `monosem index` does in a process of its own, and every page read."""
        run = self.trained(d_sae)
        command = [sys.executable, "-m", "tests.bench.pages", str(run.path), str(self.plan.tokens)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads())}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        found = answer(done.stdout)
        with FeatureStore.open(run.path) as store:
            count_F = store.columns.count_F.tolist()
        return Made(found["seconds"], found["reading"], found["examples"], found["bytes"], count_F)

    def saedashboard(self, d_sae: int) -> Made:
        """SAEDashboard's runner on the tokens of monosem's index; may raise PeerFailed."""
        run, contexts, sae = self.trained(d_sae), self.folder / "contexts.npy", self.folder / "sae.npz"
        with FeatureStore.open(run.path) as store:
            ids_CT = store.tokens(0, store.n_tokens).reshape(-1, store.plan.context).astype(np.int64)
        np.save(contexts, ids_CT)
        np.savez(sae, **load_sae(run.sae).tensors)
        model = (self.looked.model, contexts, self.looked.bos)
        found = ask("feature_pages.py", *model, sae, LAYER, K, self.folder / "pages.json", python=PYTHON)
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
    name = f"SAEDashboard {pinned('sae-dashboard', LISTED)}"
    pairs = [
        Pair(
            Contender("monosem", work.d_sae, lambda d=work.d_sae: bench.monosem(d), plan.rounds),
            Contender(name, work.d_sae, lambda d=work.d_sae: bench.saedashboard(d), work.theirs),
        )
        for work in plan.works
    ]
    for number in range(1, plan.rounds + 1):
        for pair in pairs:
            pair.ours.turn(number)
            pair.theirs.turn(number)
    return Table(COLUMNS, rows(pairs), notes(pairs, plan, looked))


def rows(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """Two lines a pair; growth is relative to the first pair's, round by round."""
    first = pairs[0]
    found = []
    for pair in pairs:
        found.append(_row(pair.ours, first.ours, _ours_kept, "1"))
        if pair.theirs.rounds:
            found.append(_row(pair.theirs, first.theirs, _theirs_kept, pair.beside()))
    return found


def _row(one: Contender, first: Contender, kept: Callable[[Contender], str], beside: str) -> tuple[str, ...]:
    what = f"{grouped(one.d_sae)} features"
    if one.failure:
        return (what, one.name, "–", "–", "–", "–", "–", f"failed: {one.failure}")
    took = median(one.seconds)
    limits = f"{min(one.seconds):.1f} – {max(one.seconds):.1f} s"
    rounds = min(len(one.made), len(first.made))
    growth = f"{ratio(one.seconds[:rounds], first.seconds[:rounds]):.2f} ×" if rounds and one is not first else "1"
    return (what, one.name, f"{took:.1f} s", limits, grouped(one.d_sae / took), growth, kept(one), beside)


def _ours_kept(one: Contender) -> str:
    made = one.made[-1]
    return f"all {grouped(sum(made.count_F))} activations, {made.size / 1e6:.1f} MB"


def _theirs_kept(one: Contender) -> str:
    made = one.made[-1]
    return f"{grouped(made.examples / one.d_sae)} texts a feature, JSON of {made.size / 1e6:.1f} MB"


def notes(pairs: Sequence[Pair], plan: Plan, looked: Looked) -> tuple[str, ...]:
    """What was measured, and what part of it is files."""
    first = pairs[0]
    reading = f"{median(one.apart for one in first.ours.made):.1f} s of monosem's for {grouped(first.ours.d_sae)}"
    texts = grouped(first.ours.made[-1].examples / first.ours.d_sae)
    parts = [f"Of the times, {reading} features are the reading of pages ({texts} texts each, as the terminal shows)"]
    if first.theirs.made:
        parts.append(f"{median(one.apart for one in first.theirs.made):.1f} s of SAEDashboard's the writing of JSON")
    alike = [f"{100 * share:.2f} %" for pair in pairs if (share := pair.agreement()) is not None]
    same = f" Of the activations, both count {' and '.join(alike)} alike." if alike else ""
    return (
        f"{looked.name}, output of layer {LAYER}, {grouped(plan.tokens)} tokens, TopK with k {K}, trained on "
        f"{grouped(plan.trained)} tokens. Both from a loaded model to the last page, in processes of their own, "
        f"{threads()} threads: `monosem index` (tokenizing, sweep, sort, merge) and every feature's page read from the "
        "store, beside the runner of SAEDashboard with its defaults and its JSON. Median of "
        f"{plan.rounds} rounds in turn, where SAEDashboard took part in all. Growth is relative to the first size. "
        f"{'; '.join(parts)}.{same}",
    )
