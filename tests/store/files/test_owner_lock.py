"""Locks that name their owner: who is respected, who is forgotten, and what is written into the file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from store.files.errors import MonosemError, UnguardedWarning
from store.files.owner_lock import Owner, owned

HERE = Owner.here(os.getpid())
LACKING = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
REBOOTED = replace(HERE, boot="an earlier one")
GONE = replace(HERE, start="0")
"""Another process had this number."""
CONTAINER = replace(HERE, host="container")
"""Of the same machine."""
ELSEWHERE = replace(HERE, host="elsewhere", boot="of another machine")
NAMELESS = replace(ELSEWHERE, boot="")

OWNERS = [  # owner in the file, whether it is respected with locks, and without
    (HERE, False, True),
    (GONE, False, False),
    (replace(HERE, pid=2**22 + 1), False, False),
    (replace(HERE, pid=2**40), False, False),
    (replace(HERE, pid=-1), False, False),
    (REBOOTED, False, False),
    (CONTAINER, False, True),
    (ELSEWHERE, True, True),
    (NAMELESS, True, True),
]


def refused(lock: Path, said: str) -> None:
    with pytest.raises(MonosemError, match=said), owned(lock):
        pytest.fail("it was locked")


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOLCK) -> None:
    def lacking(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", lacking)


@pytest.mark.parametrize(("owner", "with_locks", "lacking_locks"), OWNERS)
@pytest.mark.parametrize("has_locks", [True, False])
@pytest.mark.filterwarnings("ignore::store.files.errors.UnguardedWarning")
def test_who_is_respected(
    owner: Owner,
    with_locks: bool,
    lacking_locks: bool,
    has_locks: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = tmp_path / ".lock"
    lock.write_text(json.dumps(asdict(owner)))
    if not has_locks:
        without_locks(monkeypatch)
    if with_locks if has_locks else lacking_locks:
        with pytest.raises(MonosemError) as refused, owned(lock):
            pytest.fail("it was locked")
        assert refused.value.what == (f"another monosem (process {owner.pid} on {owner.host}) is writing to {tmp_path}")
        assert refused.value.hint.endswith(f"rm {lock}") == (owner.host != platform.node())
        assert json.loads(lock.read_text()) == asdict(owner)
    else:
        with owned(lock):
            assert json.loads(lock.read_text()) == asdict(HERE)
        assert lock.read_bytes() == b""


@pytest.mark.parametrize("content", [b"precious", b"{}", b"[1]", b"\xff", b'{"host": 1}', b"[" * 100_000])
def test_what_is_not_ours_stays(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with owned(tmp_path / ".lock"):
        refused(tmp_path / ".lock", "another monosem is writing")
    assert (tmp_path / ".lock").read_bytes() == content


@pytest.mark.parametrize("number", LACKING)
def test_a_file_system_without_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_locks(monkeypatch, number)
    with pytest.warns(UnguardedWarning, match="has no locks"), owned(tmp_path / ".lock"):
        refused(tmp_path / ".lock", f"process {os.getpid()} on")
    with pytest.warns(UnguardedWarning), owned(tmp_path / ".lock"):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from store.files.owner_lock import owned
with owned(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("has_locks", [True, False])
@pytest.mark.filterwarnings("ignore::store.files.errors.UnguardedWarning")
def test_an_owner_that_was_killed_is_forgotten(
    has_locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / ".lock")], check=False)
    assert child.returncode == -9
    assert json.loads((tmp_path / ".lock").read_text())["pid"] > 0
    if not has_locks:
        without_locks(monkeypatch)
    with owned(tmp_path / ".lock"):
        pass


def test_a_full_disk_does_not_keep_from_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with owned(tmp_path / ".lock"):
        refused(tmp_path / ".lock", "another monosem is writing")
