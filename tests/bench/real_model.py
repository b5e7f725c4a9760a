"""Training on a model of hundreds of millions of parameters: beside its own forward, and beside SAELens.

The model is a folder (GEMMA=FOLDER), read in bfloat16. Each round measures, in turn, the forward to the layer alone,
each of monosem's trainings (`monosem train`, the tokenizer and the forward in its time) and each of SAELens'. Both
train on as many tokens of the same text in batches of the same size, and are judged on the same held-out activations
without outliers.

Shapes: C contexts, T positions, N activations, D = d_in.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel, describe_model
from engine.model.sites import Site, resolve_site
from engine.runtime.devices import dtype_name
from store.run.events import EndEvent, read_events
from store.run.folder import RunFolder
from tests.bench.page import Table
from tests.bench.peer import PeerFailed, ask, pinned, threads
from tests.bench.quality import Quality, of_reconstructions, of_run
from tests.bench.stories import CONTEXTS_AT_ONCE, Missing, contexts_of
from tests.bench.timing import grouped, ratio, spread
from tests.bench.topk import CPU, Size, default_products, started, trainer_settings
from tests.shared_data import ROOT

MONOSEM = Path(sys.executable).parent / "monosem"
TEXT, HELD_OUT = "text/openwebtext_1000.jsonl", "text/wikitext2_valid.txt"
COLUMNS = ("", "by", "tokens/s", "least – greatest", "of the forward", "peak memory", "explained variance", "alive")
STEPS, OPERATIONS = 4, 7
"""Steps of a profile, and the number of operations that it names."""


@dataclass(frozen=True)
class Plan:
    """Dictionaries, and how long each is trained."""

    sizes: tuple[int, ...]
    layer: int
    k: int
    tokens: int
    batch: int
    rounds: int
    timed: int
    """Contexts of one measurement of the forward."""
    held_out: int
    """Contexts to judge by."""


FULL = Plan((4096, 8192), 9, 32, 200_000, 4096, rounds=2, timed=256, held_out=80)
QUICK = Plan((64,), 0, 4, 1024, 256, rounds=1, timed=2, held_out=2)


@dataclass(frozen=True)
class Trained:
    """One training."""

    tokens_s: float
    quality: Quality
    peak: int
    """Bytes resident at most."""


@dataclass
class Course:
    """All trainings of a size by one library."""

    name: str
    training: Callable[[], Trained]
    done: list[Trained] = field(default_factory=list)
    failure: str = ""

    def train(self) -> None:
        """Train once more, unless it failed before."""
        if self.failure:
            return
        try:
            self.done.append(self.training())
        except PeerFailed as failed:
            self.failure = str(failed)

    def row(self, what: str, forward: Sequence[float]) -> tuple[str, ...]:
        """Return its line in the table."""
        if self.failure:
            return (what, self.name, "–", "–", "–", "–", "–", f"failed: {self.failure}")
        speeds = [one.tokens_s for one in self.done]
        variance = median(one.quality.explained_variance for one in self.done)
        alive = median(one.quality.alive for one in self.done)
        peak = f"{max(one.peak for one in self.done) / 1e9:.2f} GB"
        share = f"{ratio(speeds, forward):.2f}"
        return (
            what,
            self.name,
            grouped(median(speeds)),
            spread(speeds),
            share,
            peak,
            f"{variance:.4f}",
            f"{100 * alive:.1f} %",
        )


@dataclass(frozen=True)
class Bench:
    """A model opened up to the layer, its texts, and a folder for what is made."""

    plan: Plan
    lm: LanguageModel
    site: Site
    text: Path
    folder: Path
    contexts_CT: NDArray[np.int64]
    x_ND: NDArray[np.float32]
    """Held-out activations, ordinary tokens only."""

    @classmethod
    def open(cls, plan: Plan, folder: Path) -> Bench:
        """Load the model, and encode both texts.

        Raises:
            Missing: the model or a text is not here.
        """
        model = Path(os.environ.get("GEMMA") or "gemma-3-270m")
        text, held_out = (ROOT / name for name in (TEXT, HELD_OUT))
        for path, name in ((model, "GEMMA"), (text, "MONOSEM_SHARED"), (held_out, "MONOSEM_SHARED")):
            if not path.exists():
                raise Missing(f"{path} is missing; name another by make bench {name}=...")
        lm = describe_model(str(model), device=CPU, dtype="auto")
        site = resolve_site(lm, "resid_post", plan.layer)
        lm.load([site.module])
        lm.read_tokenizer()
        found = cls(plan, lm, site, text, folder, _contexts(lm, text), np.empty((0, 0), np.float32))
        x_ND = torch.cat(list(found.forward(_contexts(lm, held_out)[: plan.held_out]))).float()
        outlier_N = OrdinaryTokens.measured(x_ND, places_of(site.d_in, None), 5.0).outliers(x_ND)
        np.save(folder / "contexts.npy", found.contexts_CT)
        np.save(folder / "held_out.npy", x_ND[~outlier_N].numpy())
        return cls(plan, lm, site, text, folder, found.contexts_CT, x_ND[~outlier_N].numpy())

    @torch.inference_mode()
    def forward(self, contexts_CT: NDArray[np.int64]) -> Sequence[torch.Tensor]:
        """Return activations of some contexts, the first position of each left out."""
        pieces = torch.split(torch.from_numpy(contexts_CT), CONTEXTS_AT_ONCE)
        return [capture_all(self.lm, [self.site], ids, torch.ones_like(ids))[0][:, 1:].flatten(0, 1) for ids in pieces]

    def forward_tokens_s(self) -> float:
        """Time the forward alone."""
        some_CT = self.contexts_CT[: self.plan.timed]
        began = time.perf_counter()
        self.forward(some_CT)
        return some_CT.size / (time.perf_counter() - began)

    def monosem(self, d_sae: int) -> Trained:
        """Train by `monosem train`, all else by default."""
        run, plan = RunFolder(Path(tempfile.mkdtemp(dir=self.folder)) / "run"), self.plan
        wanted = {"model": self.lm.name, "data": self.text, "layer": plan.layer, "d-sae": d_sae, "k": plan.k}
        wanted |= {"tokens": plan.tokens, "batch": plan.batch, "out": run.path}
        flags = [part for name, value in wanted.items() for part in (f"--{name}", str(value))]
        peak = _peak([str(MONOSEM), "train", "--no-index", *flags])
        last = read_events(run.events)[-1]
        assert isinstance(last, EndEvent)
        return Trained(last.tok_s, of_run(run.path, self.x_ND), peak)

    def saelens(self, d_sae: int) -> Trained:
        """Train by SAELens' runner, the model in bfloat16 too; may raise PeerFailed."""
        out, plan = self.folder / "reconstructed.npy", self.plan
        numbers = (plan.layer, d_sae, plan.k, plan.tokens)
        files = (self.folder / "held_out.npy", out, "bfloat16")
        found = ask("saelens_training.py", self.lm.name, self.folder / "contexts.npy", *numbers, *files)
        quality = of_reconstructions(out, float(found["alive"]), self.x_ND)
        return Trained(float(found["tokens_s"]), quality, int(found["peak"]))


def _contexts(lm: LanguageModel, text: Path) -> NDArray[np.int64]:
    """Return token ids [C, T]: each document's with BOS at its head, laid end to end; the tail is left out."""
    content = text.read_text(encoding="utf-8")
    documents = [json.loads(line)["text"] for line in content.splitlines()] if text.suffix == ".jsonl" else [content]
    assert lm.tokenizer is not None
    return contexts_of(lm.tokenizer(documents)["input_ids"])


def _peak(command: list[str]) -> int:
    """Run a command, and return the most bytes that were resident.

    Raises:
        RuntimeError: it failed.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads())}
    process = os.posix_spawn(command[0], command, environment)
    _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    return used.ru_maxrss * 1024


def step_profile(plan: Plan, d_sae: int, x_ND: NDArray[np.float32]) -> str:
    """Return tokens/s of the training's step alone, and the shares of its most expensive operations."""
    batch = min(plan.batch, len(x_ND))
    size = Size(x_ND.shape[1], d_sae, plan.k, batch)
    trainer = started(trainer_settings(size, 10**6, default_products()), torch.from_numpy(x_ND))
    batches = [torch.from_numpy(x_ND[first : first + batch]) for first in range(0, len(x_ND) - batch + 1, batch)]
    for x_BD in islice(batches * STEPS, STEPS):
        trainer.step(x_BD)
    began = time.perf_counter()
    for x_BD in islice(batches * STEPS, STEPS):
        trainer.step(x_BD)
    speed = STEPS * batch / (time.perf_counter() - began)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for x_BD in islice(batches * STEPS, STEPS):
            trainer.step(x_BD)
    averages = sorted(found.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in averages)
    shares = ", ".join(
        f"{one.key.removeprefix('aten::').strip('_')} {100 * one.self_cpu_time_total / total:.0f} %"
        for one in averages[:OPERATIONS]
    )
    return f"The step alone at {grouped(d_sae)} features: {grouped(speed)} tokens/s; of its time {shares}."


def measure(plan: Plan = FULL) -> Table:
    """Measure everything in rounds.

    Raises:
        Missing: the model or a text is not here.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.open(plan, Path(folder))
        courses: dict[int, list[Course]] = {}
        for size in plan.sizes:
            ours = Course("monosem", lambda size=size: bench.monosem(size))  # type: ignore[misc]
            theirs = Course(f"SAELens {pinned('sae-lens')}", lambda size=size: bench.saelens(size))  # type: ignore[misc]
            courses[size] = [ours, theirs]
        bench.forward_tokens_s()
        forward = []
        for turn in range(1, plan.rounds + 1):
            forward.append(bench.forward_tokens_s())
            sys.stderr.write(f"round {turn}: forward {grouped(forward[-1])} tokens/s\n")
            for size, both in courses.items():
                for course in both:
                    course.train()
                    found = course.failure or f"{grouped(course.done[-1].tokens_s)} tokens/s"
                    sys.stderr.write(f"round {turn}: {grouped(size)} features: {course.name}: {found}\n")
        first = (f"the forward to layer {plan.layer} alone", "", grouped(median(forward)), spread(forward), "1")
        rows = [(*first, "", "", "")]
        rows += [one.row(f"{grouped(size)} features", forward) for size, both in courses.items() for one in both]
        profiles = [step_profile(plan, size, bench.x_ND) for size in plan.sizes]
        return Table(COLUMNS, rows, (_note(bench), *profiles))


def _note(bench: Bench) -> str:
    plan, network = bench.plan, bench.lm.network
    weights = sum(parameter.nbytes for parameter in network.parameters())
    return (
        f"{Path(bench.lm.name).name}, `resid_post` {plan.layer}, computed in {dtype_name(network.dtype)}, "
        f"{grouped(plan.tokens)} tokens of {bench.text.name} in batches of {grouped(plan.batch)}, k {plan.k}; its "
        f"weights up to the layer: {weights / 1e9:.2f} GB. Judged on {grouped(len(bench.x_ND))} ordinary tokens of "
        f"{Path(HELD_OUT).name}. Median of {plan.rounds} rounds in turn, {threads()} threads."
    )
