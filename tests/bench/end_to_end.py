"""From text to a trained TopK autoencoder on a real model, beside SAELens: how fast, and how good on other text.

Both train on as many tokens of the same text; both are judged on the same held-out activations by one formula. Time is
what training takes with the model's forward in it: for monosem what it logs at the end, encoding the text included; for
SAELens its runner's, encoded text given. Loading the model, evaluation and index are in neither.

Shapes: C contexts, T positions, N activations, D = d_in.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from store.run.events import EndEvent, read_events
from store.run.folder import RunFolder
from tests.bench.page import Table
from tests.bench.peer import PeerFailed, ask, pinned, threads
from tests.bench.quality import Quality, of_reconstructions, of_run
from tests.bench.stories import CONTEXT, LAYER, Stories, activations, forward
from tests.bench.timing import grouped, ratio, spread

MONOSEM = Path(sys.executable).parent / "monosem"
GOAL = 0.920
"""Held-out explained variance that monosem's shortest sufficient training is looked for, or SAELens' own, if better."""


COLUMNS = (
    "training",
    "by",
    "time",
    "tokens/s",
    "least – greatest",
    "explained variance, held out",
    "alive",
    "beside SAELens",
)


@dataclass(frozen=True)
class Case:
    """A training that both do."""

    d_sae: int
    k: int
    tokens: int

    def __str__(self) -> str:
        return f"{grouped(self.d_sae)} features, k {self.k}, {grouped(self.tokens)} tokens"


@dataclass(frozen=True)
class Plan:
    """Trainings, rounds of them, and how much text judges and times."""

    cases: tuple[Case, ...]
    """The first is the one whose quality monosem is to reach with fewer tokens."""
    ladder: tuple[int, ...]
    """Tokens of the shorter trainings, ascending."""
    rounds: int
    held_out: int
    """Contexts for evaluation."""
    timed: int
    """Contexts of one measurement of the model's forward."""


FULL = Plan(
    (Case(1024, 16, 1_000_000), Case(8192, 32, 300_000)),
    (50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 500_000, 1_000_000),
    rounds=3,
    held_out=400,
    timed=800,
)
QUICK = Plan((Case(128, 8, 60_000),), (20_000, 60_000), rounds=1, held_out=32, timed=64)


@dataclass(frozen=True)
class Trained:
    """One training: what it took and what came of it."""

    seconds: float
    tokens_s: float
    quality: Quality


@dataclass
class Course:
    """All trainings of one contender in one case."""

    name: str
    trained: list[Trained] = field(default_factory=list)
    failure: str = ""

    @property
    def tokens_s(self) -> list[float]:
        """Of each round."""
        return [one.tokens_s for one in self.trained]

    @property
    def seconds(self) -> list[float]:
        """Of each round."""
        return [one.seconds for one in self.trained]

    def row(self, what: str, beside: str) -> tuple[str, ...]:
        """Its line in the table."""
        if self.failure or not self.trained:
            return (what, self.name, "–", "–", "–", "–", "–", f"failed: {self.failure}")
        speed, seen = grouped(median(self.tokens_s)), spread(self.tokens_s)
        variance = median(one.quality.explained_variance for one in self.trained)
        alive = median(one.quality.alive for one in self.trained)
        took = f"{median(self.seconds):.1f} s"
        return (what, self.name, took, speed, seen, f"{variance:.4f}", f"{100 * alive:.1f} %", beside)


@dataclass
class Short:
    """monosem's shortest training that is as good as it has to be, and how often it was done."""

    goal: float
    case: Case | None
    """None where no training of the ladder is good enough."""
    course: Course = field(default_factory=lambda: Course("monosem"))

    def row(self, theirs: Course, tokens: int) -> tuple[str, ...]:
        """Its line in the table, beside SAELens' whole training."""
        what = f"the fewest tokens that reach {self.goal:.4f}"
        if self.case is None:
            return (what, self.course.name, "–", "–", "–", "–", "–", "not reached")
        beside = ""
        if not theirs.failure:
            share = ratio(self.course.seconds, theirs.seconds)
            beside = f"{share:.2f} of its time for {grouped(tokens)} tokens"
        return self.course.row(f"{what}: {grouped(self.case.tokens)}", beside)


@dataclass(frozen=True)
class Bench:
    """Folder of the trainings."""

    stories: Stories
    folder: Path
    contexts: Path
    """The training text's token ids, for SAELens."""
    held_out: Path
    x_ND: NDArray[np.float32]
    """Tokens of `held_out`."""

    def monosem(self, case: Case) -> Trained:
        """`monosem train` with its defaults."""
        run = RunFolder(Path(tempfile.mkdtemp(dir=self.folder)) / "run")
        wanted = {
            "--model": self.stories.model,
            "--data": self.stories.text,
            "--layer": LAYER,
            "--d-sae": case.d_sae,
            "--k": case.k,
            "--tokens": case.tokens,
            "--out": run.path,
        }
        flags = [str(part) for pair in wanted.items() for part in pair]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads())}
        command = [str(MONOSEM), "train", "--no-index", *flags]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        last = read_events(run.events)[-1]
        assert isinstance(last, EndEvent)
        return Trained(last.seconds, last.tok_s, of_run(run.path, self.x_ND))

    def saelens(self, case: Case) -> Trained:
        """SAELens' runner; may raise PeerFailed."""
        out = self.folder / "reconstructed.npy"
        numbers = (LAYER, case.d_sae, case.k, case.tokens)
        found = ask("saelens_training.py", self.stories.model, self.contexts, *numbers, self.held_out, out)
        quality = of_reconstructions(out, float(found["alive"]), self.x_ND)
        return Trained(float(found["seconds"]), float(found["tokens_s"]), quality)


def measure(plan: Plan = FULL) -> Table:
    """All cases.

    Raises:
        Missing: the model or a text is not here.
    """
    stories = Stories.find()
    with tempfile.TemporaryDirectory() as folder:
        return _measure(plan, _bench(plan, stories, Path(folder)))


def _bench(plan: Plan, stories: Stories, folder: Path) -> Bench:
    contexts, held_out = folder / "contexts.npy", folder / "held_out.npy"
    np.save(contexts, stories.contexts(stories.text))
    x_ND = activations(stories.network(), stories.contexts(stories.held_out)[: plan.held_out])
    np.save(held_out, x_ND)
    return Bench(stories, folder, contexts, held_out, x_ND)


def _measure(plan: Plan, bench: Bench) -> Table:
    ours = {case: Course("monosem") for case in plan.cases}
    theirs = {case: Course(f"SAELens {pinned('sae-lens')}") for case in plan.cases}
    short: Short | None = None
    for turn in range(1, plan.rounds + 1):
        for case in plan.cases:
            _train(ours[case], lambda case=case: bench.monosem(case), f"round {turn}: {case}")
            _train(theirs[case], lambda case=case: bench.saelens(case), f"round {turn}: {case}")
            if case is plan.cases[0]:
                short = short or _shortest(plan, bench, theirs[case])
                if short.case:
                    _train(short.course, lambda case=short.case: bench.monosem(case), f"round {turn}: {short.case}")
    rows = [row for case in plan.cases for row in _rows(case, ours[case], theirs[case])]
    if short:
        rows.append(short.row(theirs[plan.cases[0]], plan.cases[0].tokens))
    rows.append(_forward(plan, bench))
    return Table(COLUMNS, rows, _notes(plan, bench))


def _train(course: Course, training: Callable[[], Trained], what: str) -> None:
    if course.failure:
        return
    try:
        done = training()
        course.trained.append(done)
        said = f"{grouped(done.tokens_s)} tokens/s, explained variance {done.quality.explained_variance:.4f}"
    except PeerFailed as failed:
        course.failure = said = str(failed)
    sys.stderr.write(f"{what}: {course.name}: {said}\n")


def _rows(case: Case, ours: Course, theirs: Course) -> list[tuple[str, ...]]:
    times = "" if theirs.failure else f"{ratio(ours.tokens_s, theirs.tokens_s):.2f} × as fast"
    return [ours.row(str(case), times), theirs.row(str(case), "")]


def _shortest(plan: Plan, bench: Bench, theirs: Course) -> Short:
    """Look for monosem's shortest training of the ladder that is good enough."""
    goal = max([GOAL, *(one.quality.explained_variance for one in theirs.trained)])
    for tokens in plan.ladder:
        case = replace(plan.cases[0], tokens=tokens)
        found = bench.monosem(case).quality.explained_variance
        sys.stderr.write(f"{case}: explained variance {found:.4f}, wanted {goal:.4f}\n")
        if found >= goal:
            return Short(goal, case)
    return Short(goal, None)


def _forward(plan: Plan, bench: Bench) -> tuple[str, ...]:
    """The model's own work up to the layer, which is part of everyone's time."""
    network = bench.stories.network()
    contexts_CT = np.load(bench.contexts)[: plan.timed]
    speeds = []
    for _ in range(plan.rounds + 1):
        start = time.perf_counter()
        for _ in forward(network, contexts_CT):
            pass
        speeds.append(contexts_CT.size / (time.perf_counter() - start))
    found = speeds[1:]
    return (f"the model's forward to layer {LAYER}, float32", "", "", grouped(median(found)), spread(found), "", "", "")


def _notes(plan: Plan, bench: Bench) -> Sequence[str]:
    return (
        f"{bench.stories.model.name}, output of layer {LAYER}, trained on {bench.stories.text.name}, judged on "
        f"{grouped(len(bench.x_ND))} tokens of {bench.stories.held_out.name} ({CONTEXT} tokens a context; BOS "
        "and each context's first position left out). Time is training's with the model's forward; monosem's "
        f"has the tokenizer's in it. Median of {plan.rounds} rounds in turn, {threads()} threads. `monosem "
        "train --k K --d-sae F --tokens N`, all else by default; SAELens with its defaults at a learning rate "
        "of 1e-3.",
    )
