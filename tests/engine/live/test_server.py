"""The model's own process, started as the terminal starts it and spoken to over its pipes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from engine.live.from_recipe import prompt_of
from engine.live.generation import Generation
from engine.live.live_model import open_live
from engine.runtime.progress import Silent
from store.live import wire
from store.live.clamp import parse_clamp
from store.live.model_outputs import Step
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings
from tests.cli.live_runs import live_run
from tests.engine.small import words
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[3]
PROMPT = words([5, 9, 33, 12])
DRAWN: dict[str, Any] = {"temperature": 1.2, "seed": 40, "max_new": 12}
CLAMPS = ("3=max*40@response", "7=off")
A = TypeVar("A")


class Child:
    """The process, and what it has said."""

    def __init__(self, folder: Path, *more: str, python: list[str] | None = None) -> None:
        self.log = folder / "serve.log"
        words_ = wire.command(self.log) if python is None else python
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*words_, *more], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._rest = b""
        self.said: list[wire.Request | wire.Answer] = []

    def tell(self, *requests: wire.Request) -> None:
        self.raw(b"".join(wire.encode(request) for request in requests))

    def raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def hear(self) -> wire.Request | wire.Answer:
        """The next answer; the test fails where none comes."""
        assert self.process.stdout is not None
        ends = time.monotonic() + PATIENCE
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, ends - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            assert piece, f"it said nothing more; its log: {self.log.read_text() if self.log.exists() else ''}"
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        self.said.append(wire.decode(line))
        return self.said[-1]

    def until(self, kind: type[A]) -> A:
        """Answers up to the first of a kind, which is given; a failure on the way fails the test."""
        while True:
            answer = self.hear()
            if isinstance(answer, kind):
                return answer
            assert not isinstance(answer, wire.Failed), answer

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return live_run(tmp_path_factory.mktemp("live") / "run")


@pytest.fixture(scope="module")
def loaded(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process for all tests that leave it alive."""
    child = Child(tmp_path_factory.mktemp("child"))
    hello = child.until(wire.Hello)
    assert (hello.protocol, hello.pid) == (wire.PROTOCOL, child.process.pid)
    child.tell(wire.Load(id=1, run=str(run.path)))
    ready = child.until(wire.Ready)
    assert (ready.id, ready.d_sae, ready.max_context, ready.context) == (1, 40, 64, 16)
    assert (ready.chat, ready.knows_maxima, ready.device) == (False, True, "cpu")
    assert any(isinstance(answer, wire.Working) for answer in child.said)
    yield child
    assert child.close() == 0


@pytest.fixture
def child(loaded: Child) -> Child:
    """Return the loaded server, at rest between two texts."""
    loaded.tell(wire.Stop(id=0))
    while not isinstance(loaded.hear(), wire.Stopped):
        pass
    loaded.said.clear()
    return loaded


def session(run: RunFolder, clamps: tuple[str, ...] = CLAMPS, *, detail: bool = False) -> Generation:
    """The same text, written here."""
    live = open_live(run, ReopenSettings(), Silent())
    recipe = Recipe(prompt=PROMPT, sampling=Sampling(**DRAWN))
    force = [parse_clamp(clamp) for clamp in clamps]
    return Generation(live, prompt_of(live, recipe), force, recipe.sampling, detail=detail)


def start(
    number: int, prompt: str = PROMPT, clamps: tuple[str, ...] = (), *, chat: bool = False, **drawn: Any
) -> wire.Start:
    return wire.Start(id=number, recipe=Recipe(prompt=prompt, clamps=clamps, chat=chat, sampling=Sampling(**drawn)))


def finish(session: Generation) -> Generation:
    while session.step() is not None:
        pass
    return session


def stepped(child: Child, number: int) -> list[Step]:
    return [one.step for one in child.said if isinstance(one, wire.Stepped) and one.id == number]


def test_a_text_as_it_is_written_here(child: Child, run: RunFolder) -> None:
    child.tell(start(2, clamps=CLAMPS, **DRAWN), wire.Go(id=3))
    started, rested = child.until(wire.Started), child.until(wire.Rested)
    own = finish(session(run))
    assert started.prompt == own.prompt.tokens
    assert started.clamps == CLAMPS
    steps = stepped(child, 3)
    assert [one.number for one in steps] == list(range(len(steps)))
    assert [one.base.token for one in steps if one.base] == own.base.tokens
    assert [one.clamped.token for one in steps if one.clamped] == own.clamped.tokens
    assert [one.kl for one in steps if one.kl is not None] == pytest.approx(own.kl, abs=1e-5)
    assert [one.own_logprob for one in steps if one.clamped] == pytest.approx(own.own_logprobs, abs=1e-5)
    assert [act.feature for act in steps[0].acts] == [3, 7]
    assert (rested.id, rested.base_end, rested.clamped_end) == (3, own.base.end, own.clamped.end)


def test_so_many_tokens_then_other_clamps_then_on(child: Child, run: RunFolder) -> None:
    child.tell(start(2, **DRAWN), wire.Go(id=3, tokens=4))
    assert child.until(wire.Rested).base_end is None
    assert len(stepped(child, 3)) == 4
    child.tell(wire.ChangeClamps(id=4, clamps=CLAMPS), wire.Go(id=5))
    changed = child.until(wire.Changed)
    assert (changed.clamps, changed.from_token) == (CLAMPS, 4)
    child.until(wire.Rested)
    own = session(run, ())
    for _ in range(4):
        own.step()
    own.change([parse_clamp(clamp) for clamp in CLAMPS])
    finish(own)
    tokens = [one.clamped.token for one in stepped(child, 3) + stepped(child, 5) if one.clamped]
    assert tokens == own.clamped.tokens
    assert tokens != own.base.tokens


def test_changes_while_it_writes_obey_from_the_token_they_name(child: Child) -> None:
    child.tell(start(2, seed=1, temperature=1.0, max_new=59), wire.Go(id=3))
    child.until(wire.Stepped)
    child.tell(wire.ChangeClamps(id=4, clamps=("3=50",)))
    changed = child.until(wire.Changed)
    child.until(wire.Rested)
    for step in stepped(child, 3):
        if step.clamped:
            assert (len(step.acts) == 1) == (step.number >= changed.from_token)


def test_pause_and_branch(child: Child, run: RunFolder) -> None:
    child.tell(start(2, clamps=CLAMPS, **DRAWN), wire.Go(id=3))
    child.until(wire.Stepped)
    child.tell(wire.Pause(id=4))
    child.until(wire.Rested)
    child.tell(wire.Go(id=5))
    child.until(wire.Rested)
    child.tell(wire.WatchFeature(id=9, feature=3))
    child.tell(wire.Branch(id=6, token=3), wire.ChangeClamps(id=7, clamps=()), wire.Go(id=8))
    assert child.until(wire.Branched).token == 3
    child.until(wire.Rested)
    child.tell(wire.WatchFeature(id=10, feature=None), wire.Pause(id=11), wire.Stop(id=12))
    child.until(wire.Stopped)
    own = session(run, detail=True)
    found = [step.candidates for step in iter(own.step, None)]
    assert [step.candidates for step in stepped(child, 3) + stepped(child, 5)] == found
    acts = own.text_acts(3)
    own.back(3)
    own.change([])
    finish(own)
    first, *watched = [one for one in child.said if isinstance(one, wire.Watched)]
    for sent, known in zip((first.base, first.clamped), acts, strict=True):
        np.testing.assert_allclose(sent, known, atol=1e-5)
    assert [one.first for one in watched] == list(range(2, len(own.base.tokens) - 1))
    for part, known in zip(("base", "clamped"), own.text_acts(3), strict=True):
        sent = [act for one in watched for act in getattr(one, part)]
        np.testing.assert_allclose(sent, known[2:], atol=1e-5)
    assert [one.clamped.token for one in stepped(child, 8) if one.clamped] == own.clamped.tokens[3:]


def test_reading_a_text(child: Child, run: RunFolder) -> None:
    from engine.live.inspection import contexts_of, inspect_contexts, typed_document

    child.tell(wire.Inspect(id=2, text=PROMPT, top=3, ablate=True))
    (read,) = child.until(wire.Inspected).contexts
    live = open_live(run, ReopenSettings(), Silent())
    (own,) = inspect_contexts(live, contexts_of(live, typed_document(PROMPT)), 3, Silent(), ablate=True)
    assert [(one.token, one.counted, one.active) for one in read] == [(o.token, o.counted, o.active) for o in own]
    for one, other in zip(read, own, strict=True):
        assert [f.feature for f in one.firings] == [f.feature for f in other.firings]
        for f, g in zip(one.firings, other.firings, strict=True):
            assert (f.activation, f.loss_change) == pytest.approx((g.activation, g.loss_change), abs=1e-5)


def test_a_sweep_and_one_that_is_broken_off(child: Child) -> None:
    recipe = Recipe(prompt=PROMPT, sweep="3=0,max*20", sampling=Sampling(temperature=1.0, max_new=6))
    child.tell(wire.StartSweep(id=2, recipe=recipe))
    swept = child.until(wire.Swept).sweep
    assert [one.clamp for one in swept.strengths] == ["3=0", "3=max*20"]
    assert all(len(one.text.tokens) == len(one.kl) for one in swept.strengths)
    strengths = ",".join(["3=0"] + ["1"] * 30)
    child.tell(
        wire.StartSweep(id=3, recipe=replace(recipe, sweep=strengths, sampling=Sampling(max_new=60))), wire.Stop(id=4)
    )
    answers = [child.hear() for _ in range(2)]
    assert answers == [wire.Failed(id=3, what="broken off"), wire.Stopped(id=4)]


WRONG: dict[str, tuple[wire.Request, str]] = {
    "no text": (wire.Go(id=9), "no text is being written"),
    "no run": (wire.Load(id=9, run="/nowhere"), "/nowhere"),
    "no clamp": (start(9, "w1", clamps=("3=x",)), "'x' is not a strength"),
    "no feature": (start(9, "w1", clamps=("99=1",)), "no feature 99"),
    "no chat": (start(9, "w1", chat=True), "no chat template"),
    "too long": (start(9, words([1] * 70)), "contexts of up to 64"),
    "nothing to read": (wire.Inspect(id=9, text=""), "no text to inspect"),
}


@pytest.mark.parametrize("case", [case for case in WRONG if case != "no run"])
def test_wrong_requests_are_answers(child: Child, case: str) -> None:
    request, why = WRONG[case]
    child.tell(request)
    failed = child.hear()
    assert isinstance(failed, wire.Failed)
    assert failed.id == 9
    assert why in failed.what


def test_lines_that_are_no_requests(child: Child) -> None:
    for line in (
        b"\x00\xff\n",
        b"{}\n",
        b"[1]\n",
        b'{"type": "go"}\n',
        b'{"type": "hello", "protocol": 1, "pid": 1}\n',
    ):
        child.raw(line)
        failed = child.hear()
        assert isinstance(failed, wire.Failed)
        assert failed.id == 0
        assert failed.what.startswith("not understood")
    child.raw(b"\n")
    child.tell(wire.Inspect(id=2, text=PROMPT))
    child.until(wire.Inspected)


def test_it_ends_with_its_stdin_and_with_idleness(tmp_path: Path) -> None:
    child = Child(tmp_path)
    child.until(wire.Hello)
    assert child.close() == 0
    idle = Child(tmp_path, "--idle", "0.05")
    assert isinstance(idle.hear(), wire.Hello)
    assert idle.until(wire.Gone).why == "idle for 0.05 seconds"
    assert idle.process.wait(PATIENCE) == 0


def test_it_ends_when_its_parent_dies(tmp_path: Path) -> None:
    """The server ends although another process holds its stdin open."""
    parent = """
import subprocess, sys
from pathlib import Path
from store.live import wire
subprocess.Popen(wire.command(Path(sys.argv[1])), stdin=0, stdout=1)
"""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=read,
        stdout=subprocess.PIPE,
    )
    os.close(read)
    assert process.stdout is not None
    heard, _ = process.communicate(timeout=PATIENCE)  # until the grandchild, too, has closed its stdout
    os.close(write)
    assert heard == b"" or b"hello" in heard


STRAY = "import sys\nsys.stdout.write('stray\\n')\nsys.stdout.flush()\nsys.exit(3)\n"


def test_a_stray_engine_in_the_folder_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text(STRAY)
    child = Child(tmp_path)
    child.until(wire.Hello)
    assert child.close() == 0
    # And the trap is one: without -P it would have been taken.
    unsafe = [word for word in wire.command(tmp_path / "log") if word != "-P"]
    done = subprocess.run(unsafe, cwd=tmp_path, capture_output=True, check=False, env={**os.environ})
    assert (done.returncode, done.stdout) == (3, b"stray\n")


def test_what_libraries_print_does_not_stand_among_the_answers(tmp_path: Path) -> None:
    script = (
        "import os, sys; from engine.live import server\n"
        "run = server.ModelServer.run\n"
        "def loud(self):\n    print('library'); os.write(1, b'C library\\n'); sys.stdout.flush(); run(self)\n"
        "server.ModelServer.run = loud\nserver.main(sys.argv[1:])"
    )
    log = tmp_path / "serve.log"
    child = Child(tmp_path, python=[sys.executable, "-c", script, "--log", str(log)])
    assert isinstance(child.hear(), wire.Hello)
    child.tell(wire.Go(id=1))
    assert isinstance(child.hear(), wire.Failed)  # it has printed by then
    child.close()
    assert sorted(log.read_text().splitlines()) == ["C library", "library"]


def test_errors_of_the_model_are_answers_and_the_process_goes_on(tmp_path: Path, run: RunFolder) -> None:
    """A run that is not there, an error with a traceback in the log, memory that runs out: one line each."""
    script = (
        "import sys, torch; from engine.live import decoder, server\n"
        "kept, calls = decoder.Decoder.feed, []\n"
        "def feed(*given):\n"
        "    calls.append(1)\n"
        "    if len(calls) < 3: raise RuntimeError('CUDA error: device-side assert')\n"
        "    return torch.empty(1 << 60) if len(calls) == 5 else kept(*given)\n"
        "decoder.Decoder.feed = feed\nserver.main(sys.argv[1:])"
    )
    log = tmp_path / "serve.log"
    child = Child(tmp_path, python=[sys.executable, "-c", script, "--log", str(log)])
    child.tell(WRONG["no run"][0])
    while not isinstance(failed := child.hear(), wire.Failed):
        pass
    assert "/nowhere" in failed.what
    child.tell(wire.Load(id=1, run=str(run.path)))
    child.until(wire.Ready)
    for number in (2, 3):
        child.tell(start(10 * number), wire.Go(id=number))
        child.until(wire.Started)
        failed = child.hear()
        assert isinstance(failed, wire.Failed)
        assert (failed.id, failed.what) == (number, "RuntimeError: CUDA error: device-side assert")
    assert "Traceback" in log.read_text()
    child.tell(start(4), wire.Go(id=5))
    while not isinstance(failed := child.hear(), wire.Failed):
        pass
    assert (failed.id, failed.what) == (5, "out of memory")
    assert len(stepped(child, 5)) == 2
    child.tell(start(6, max_new=5), wire.Go(id=7))
    child.until(wire.Rested)
    assert len(stepped(child, 7)) == 5
    assert child.close() == 0
