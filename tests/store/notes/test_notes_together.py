"""Several processes on one notes.jsonl, some of them killed: nothing said is lost, nothing half-said is seen."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store.notes.note_file import FeatureNotes, Notes
from tests.patience import PATIENCE

EACH = 1_200
FORK = multiprocessing.get_context("fork")


def _write(path: Path, writer: int, start: Any, halfway: Any) -> None:
    """Labels of growing numbers on a feature of its own, and a tag each time on one that all share."""
    start.wait()
    notes = Notes(path)
    for i in range(EACH // 2):
        if i == EACH // 4:
            halfway.wait(PATIENCE)  # until each reader has looked
        notes.set(writer, "label", f"{writer}:{i}:" + "x" * (i % 50 * 200))
        notes.set(99, "tag", f"{writer}-{i}")


def _read(path: Path, start: Any, halfway: Any, writers: int) -> None:
    """Follow until all have ended; what was seen must be whole, and never go back."""
    start.wait()
    notes, last, first = Notes(path), dict.fromkeys(range(writers), -1), True
    while min(last.values()) < EACH // 2 - 1:
        for feature in notes.follow() - {99}:
            writer, number, rest = notes.by_feature[feature].label.split(":")
            assert int(writer) == feature
            assert int(number) > last[feature]
            assert rest == "x" * (int(number) % 50 * 200)
            last[feature] = int(number)
        assert notes.damaged == []
        if first:
            halfway.wait(PATIENCE)
            first = False


def test_writers_and_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the disk is not what is tried; a slow one would take minutes
    path, start, halfway = tmp_path / "notes.jsonl", FORK.Event(), FORK.Barrier(5)
    workers = [FORK.Process(target=_write, args=(path, writer, start, halfway)) for writer in range(3)]
    workers += [FORK.Process(target=_read, args=(path, start, halfway, 3)) for _ in range(2)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0] * 5
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3 * EACH
    assert all(json.loads(line) for line in lines)
    found = Notes(path).load()
    assert set(found[99].tags) == {f"{writer}-{i}" for writer in range(3) for i in range(EACH // 2)}


VICTIM = """
import os, signal, sys
from pathlib import Path
from store.notes.note_file import Notes
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
os.fsync = lambda _: None
notes = Notes(Path(sys.argv[1]))
for i in range(4_000):  # a victim that nobody kills must not fill the disk
    notes.set(int(sys.argv[2]), "label", f"{i}:" + "y" * 60_000)
    os.write(1, b"%d\\n" % i)
"""


def test_writers_killed_while_they_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each victim reports its finished notes on a pipe; those and all of the survivor's are there."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path, reader = tmp_path / "notes.jsonl", Notes(tmp_path / "notes.jsonl")
    survivor = Notes(path)
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(path), str(round_)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as victim:
            assert victim.stdout
            for i in range(round_ + 1):
                victim.stdout.readline()
                survivor.set(100 + round_, "label", f"{round_}:{i}")
            victim.send_signal([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP][round_ % 3])
            said = round_ + victim.stdout.read().count(b"\n")
        assert victim.returncode < 0
        reader.follow()
        number, text = reader.by_feature[round_].label.split(":")
        assert int(number) in (said, said + 1)  # written, and killed before it could say so
        assert text == "y" * 60_000
        assert reader.by_feature[100 + round_].label == f"{round_}:{round_}"
    assert Notes(path).load() == reader.by_feature


def test_a_writer_killed_inside_its_line(tmp_path: Path) -> None:
    """The lock goes with it, half its line stays, and what others say afterwards is whole."""
    path = tmp_path / "notes.jsonl"
    code = (
        "import os, sys, signal; from pathlib import Path; from store.notes.note_file import Notes; write = os.write\n"
        "def torn(descriptor, data):\n"
        "    write(descriptor, data[:20])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.write = torn\n"
        "Notes(Path(sys.argv[1])).set(1, 'label', 'half')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    torn = path.read_bytes()
    assert len(torn) == 20
    reader = Notes(path)
    assert reader.follow() == frozenset()
    assert reader.damaged == []
    Notes(path).set(2, "label", "whole")
    assert path.read_bytes().startswith(torn + b"\n")
    assert reader.follow() == {2}
    assert (reader.by_feature, reader.damaged) == ({2: FeatureNotes(label="whole")}, [1])


@pytest.mark.parametrize("moment", [0, 7])
def test_a_signal_inside_an_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """An interrupt that Python turns into an exception, while nothing or a part is written: no half line stays."""
    path = tmp_path / "notes.jsonl"
    notes, write = Notes(path), os.write
    notes.set(1, "label", "before")
    content = path.read_bytes()

    def interrupted(descriptor: int, data: bytes) -> int:
        done = write(descriptor, data[:moment]) if moment else 0
        signal.raise_signal(signal.SIGINT)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            notes.set(2, "label", "never")
    assert path.read_bytes() == content
    notes.set(3, "label", "after")  # the lock was let go
    assert notes.load() == {1: FeatureNotes(label="before"), 3: FeatureNotes(label="after")}
