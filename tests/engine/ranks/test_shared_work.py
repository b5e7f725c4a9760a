"""Two processes do what one does, to the byte, whoever was killed before; and how they end when one of them does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.ranks.group import ALONE
from engine.ranks.launcher import launch
from store.files.errors import MonosemError
from store.run.events import EndEvent, TrainEvent, read_events
from store.run.folder import RunFolder
from store.run.shards import shard_path
from store.run.weights import load_sae
from store.settings.architectures import TABLE
from tests.engine.ranks.at_work import OFTEN, RESUMED, Folder, killed, small_pieces, train_architectures
from tests.patience import eventually, wait_for_end


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A folder after two ranks have worked in it; what they have begun and not finished is finished by one process."""
    folder = Folder(tmp_path_factory.mktemp("ranks"))
    with small_pieces() as patch:
        folder.prepare()
        for name in ("alone", "together", "begun-alone", "begun-together"):
            folder.copy(name)
            folder.copy(f"{name}-array", of="plain-array")
        folder.index("alone")
        folder.index_array("alone-array")
        folder.extract("alone-shards")
        folder.train_one("alone-one")
        folder.sweep("alone-sweep")
        with killed(patch, steps=4 * 2):
            folder.sweep("begun-alone-sweep")
        train_architectures(folder, patch, ALONE)
        with killed(patch):
            folder.index("begun-alone")
        with killed(patch):
            folder.extract("begun-alone-shards")
        launch(2, "tests.engine.ranks.at_work", [str(folder.path)])
        folder.index("begun-together", resume=True)
        folder.extract("begun-together-shards", resume=True)
        folder.sweep("begun-together-sweep", resume=True)
        for arch in RESUMED:
            folder.train_wide("wide-broken-2", arch, resume=True)
        yield folder


@pytest.mark.parametrize("name", ["together", "begun-alone", "begun-together", "twice", "together-array"])
def test_an_index_is_the_same_to_the_byte(name: str, worked: Folder) -> None:
    one = RunFolder(worked.path / ("alone-array" if name.endswith("array") else "alone"))
    other = RunFolder(worked.path / name)
    assert other.features.read_bytes() == one.features.read_bytes()
    assert not other.index.exists()
    assert other.record().status == one.record().status


@pytest.mark.parametrize("name", ["together", "begun-alone", "begun-together"])
def test_shards_are_the_same_to_the_byte(name: str, worked: Folder) -> None:
    one, other = (RunFolder(worked.path / f"{it}-shards") for it in ("alone", name))
    files = sorted(path.name for path in one.activations.iterdir())
    assert sorted(path.name for path in other.activations.iterdir()) == files
    assert len(files) > 6
    for number in range(len(files)):
        wanted = shard_path(one.activations, number).read_bytes()
        assert shard_path(other.activations, number).read_bytes() == wanted
    assert other.record().status == "done"


def timeless(run: RunFolder) -> list[TrainEvent | EndEvent]:
    """The log lines of a training without its times."""
    return [
        replace(one, tok_s=0.0) if isinstance(one, TrainEvent) else replace(one, tok_s=0.0, seconds=0.0)
        for one in read_events(run.events)
    ]


@pytest.mark.parametrize("name", ["together", "begun-alone", "begun-together"])
def test_a_sweep_is_the_same_to_the_bit(name: str, worked: Folder) -> None:
    """Trainings are dealt to ranks whole; what they read is in the same order, whoever ran the model on it."""
    wanted = {path.name: RunFolder(path) for path in worked.path.glob("alone-sweep-*")}
    assert len(wanted) == 2
    for ending, one in wanted.items():
        other = RunFolder(worked.path / ending.replace("alone", name, 1))
        same_training(one, other)


def test_a_narrow_training_is_the_same_to_the_bit(worked: Folder) -> None:
    """One rank trains what all of them have run the model for."""
    same_training(RunFolder(worked.path / "alone-one"), RunFolder(worked.path / "together-one"))


@pytest.mark.parametrize("arch", OFTEN)
def test_features_are_trained_by_two(arch: str, worked: Folder) -> None:
    """Losses and explained variance are those of one process, up to rounding."""
    alone, together = (RunFolder(worked.path / f"wide-{number}-{arch}") for number in (1, 2))
    similar_training(alone, together)
    weights, others = (load_sae(run.sae).tensors for run in (alone, together))
    assert {name: one.shape for name, one in weights.items()} == {name: one.shape for name, one in others.items()}


@pytest.mark.parametrize("arch", RESUMED)
def test_features_are_dealt_anew_when_resumed(arch: str, worked: Folder) -> None:
    """Broken off with one process and resumed with two, and the other way round; two and two give the same bits."""
    run = {
        name: RunFolder(worked.path / f"wide-{name}-{arch}") for name in ("1", "2", "again-2", "broken-1", "broken-2")
    }
    similar_training(run["1"], run["broken-1"])
    similar_training(run["2"], run["broken-2"])
    assert run["again-2"].sae.read_bytes() == run["2"].sae.read_bytes()
    assert timeless(run["again-2"]) == timeless(run["2"])
    assert not any(list(one.checkpoints.iterdir()) for one in run.values() if one.checkpoints.exists())


@pytest.mark.slow
def test_features_are_trained_by_four(tmp_path: Path) -> None:
    """Every architecture; what one has begun is finished by four, and the other way round."""
    folder = Folder(tmp_path)
    with small_pieces() as patch:
        folder.prepare()
        train_architectures(folder, patch, ALONE, TABLE)
        launch(4, "tests.engine.ranks.at_work", [str(tmp_path)])
        for arch in TABLE:
            similar_training(RunFolder(tmp_path / f"wide-1-{arch}"), RunFolder(tmp_path / f"wide-4-{arch}"))
        for arch in RESUMED:
            alone, together = (RunFolder(tmp_path / f"wide-{number}-{arch}") for number in (1, 4))
            similar_training(alone, RunFolder(tmp_path / f"wide-broken-1-{arch}"))
            assert timeless(RunFolder(tmp_path / f"wide-again-4-{arch}")) == timeless(together)
            similar_training(together, folder.train_wide("wide-broken-4", arch, resume=True))


def similar_training(one: RunFolder, other: RunFolder) -> None:
    """Compare two trainings whose sums were made in another order."""
    lines, others = ([line for line in timeless(run) if isinstance(line, TrainEvent)] for run in (one, other))
    assert [line.step for line in others] == [line.step for line in lines] == list(range(1, 33))
    assert any(line.dead for line in lines)
    for line, its in zip(lines[:20], others, strict=False):
        assert its.dead == line.dead
        assert its.loss == pytest.approx(line.loss, rel=1e-5)
        assert its.terms == pytest.approx(line.terms, rel=1e-4, abs=1e-6)
        assert (its.l0, its.grad_norm) == pytest.approx((line.l0, line.grad_norm), rel=1e-3)
    assert abs(others[-1].explained_variance - lines[-1].explained_variance) < 0.002
    assert other.record().status == "done"


def same_training(one: RunFolder, other: RunFolder) -> None:
    """Compare two trainings, and what is made at their end."""
    assert other.sae.read_bytes() == one.sae.read_bytes()
    assert other.ordinary.read_bytes() == one.ordinary.read_bytes()
    assert timeless(other) == timeless(one)
    assert other.record().status == "done"
    assert not list(other.checkpoints.glob("*"))
    if "begun" not in other.name:
        assert other.features.read_bytes() == one.features.read_bytes()
        assert other.record().evaluation == one.record().evaluation


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("killed", 1, "process 2 of 2 was ended by SIGKILL, so the others stopped"),
        ("1", 1, "the text is wrong"),
        ("2", 2, "the text is wrong"),
    ],
)
def test_one_that_ends_badly_ends_all(
    how: str, code: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with pytest.raises(MonosemError) as caught:
        launch(2, "tests.engine.ranks.ending", [how, str(tmp_path)])
    assert time.monotonic() - began < 60
    assert (caught.value.what, caught.value.exit_code) == (said, code)
    assert caught.value.hint
    assert capfd.readouterr().err == "rank 0 is here\n"
    wait_for_end(int((tmp_path / "0").read_text()))


def test_an_interrupt_ends_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    places = [tmp_path / rank for rank in "01"]

    def interrupt() -> None:
        eventually(lambda: all(place.exists() for place in places))
        os.kill(os.getpid(), signal.SIGINT)

    before, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        launch(2, "tests.engine.ranks.ending", ["never", str(tmp_path)])
    for place in places:
        wait_for_end(int(place.read_text()))
    assert "launch" not in capfd.readouterr().err
    assert (signal.getsignal(signal.SIGTERM), dict(os.environ)) == (before, environment)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's PR_SET_PDEATHSIG")
def test_ranks_end_with_their_launcher(tmp_path: Path) -> None:
    """A launcher that is killed cannot end them: the kernel does."""
    import subprocess

    child = "import signal, time; from engine.ranks.group import _end_with_launcher; _end_with_launcher(); "
    child += "print(1, flush=True); time.sleep(600)"
    parent = (
        f"import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', {child!r}], "
        "start_new_session=True, stdout=subprocess.PIPE); child.stdout.readline(); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    wait_for_end(pid)
