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

from engine.ranks.launcher import launch
from store.files.errors import MonosemError
from store.run.events import EndEvent, TrainEvent, read_events
from store.run.folder import RunFolder
from store.run.shards import shard_path
from tests.engine.ranks.at_work import Folder, killed, small_pieces
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
        with killed(patch):
            folder.sweep("begun-alone-sweep")
        with killed(patch):
            folder.index("begun-alone")
        with killed(patch):
            folder.extract("begun-alone-shards")
        launch(2, "tests.engine.ranks.at_work", [str(folder.path)])
        folder.index("begun-together", resume=True)
        folder.extract("begun-together-shards", resume=True)
        folder.sweep("begun-together-sweep", resume=True)
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
    untimed = {"tok_s": 0.0, "seconds": 0.0}
    return [
        replace(one, **{key: untimed[key] for key in untimed if hasattr(one, key)}) for one in read_events(run.events)
    ]


@pytest.mark.parametrize("name", ["together", "begun-alone", "begun-together"])
def test_a_sweep_is_the_same_to_the_bit(name: str, worked: Folder) -> None:
    """Trainings are dealt to ranks whole; what they read is in the same order, whoever ran the model on it."""
    wanted = {path.name: RunFolder(path) for path in worked.path.glob("alone-sweep-*")}
    assert len(wanted) == 4
    for ending, one in wanted.items():
        other = RunFolder(worked.path / ending.replace("alone", name, 1))
        same_training(one, other)


def test_a_narrow_training_is_the_same_to_the_bit(worked: Folder) -> None:
    """One rank trains what all of them have run the model for."""
    same_training(RunFolder(worked.path / "alone-one"), RunFolder(worked.path / "together-one"))


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
