"""Files that are complete or absent."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.files.atomic import atomic_path, read_json, write_json, write_text
from store.files.errors import MonosemError
from tests.patience import PATIENCE


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "it"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"content")
        assert temporary.parent == path.parent  # on the same file system, or it could not be renamed
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert names(path.parent) == ["it"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, old: bytes | None, error: type[BaseException]) -> None:
    path = tmp_path / "it"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert names(tmp_path) == ([] if old is None else ["it"])
    assert old is None or path.read_bytes() == old


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it"
    done: list[int | str] = []
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(Path, "replace", replace)
    write_text(path, "content")
    assert done == [path.stat().st_ino, "rename", tmp_path.stat().st_ino]


def test_nothing_was_written(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"old")
    with pytest.raises(MonosemError, match="No such file"), atomic_path(tmp_path / "it"):
        pass
    assert (tmp_path / "it").read_bytes() == b"old"


KILLED = """
import os, signal, sys
from pathlib import Path
from store.files.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_inside_the_block(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"old")
    child = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=PATIENCE)
    assert child.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (tmp_path / ".other.tmp-1").write_bytes(b"somebody else's")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == [".other.tmp-1", "it"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "no space left while writing"),
        (errno.EDQUOT, "the quota is used up while writing"),
        (errno.EFBIG, "it would exceed the size allowed for a file"),
        (errno.EROFS, "Read-only file system"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
        (errno.ESTALE, "Stale file handle"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_trouble_with_the_disk_is_said_in_words(tmp_path: Path, code: int, said: str, wrapped: bool) -> None:
    path = tmp_path / "it"
    with pytest.raises(MonosemError, match=said) as raised, atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise Exception(f"I/O error (os error {code})") if wrapped else OSError(code, "from the system")
    assert str(path) in raised.value.what
    assert raised.value.hint
    assert (raised.value.exit_code, ".tmp" in str(raised.value)) == (2, False)
    assert names(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="from the system") as raised, atomic_path(tmp_path / "it"):
        raise OSError(errno.EPROTO, "from the system")
    assert not isinstance(raised.value, MonosemError)


def test_json(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True], "a": "é\n“x”"}
    write_json(tmp_path / "it", value)
    assert read_json(tmp_path / "it") == value
    assert json.loads((tmp_path / "it").read_bytes().decode("utf-8")) == value
    assert list(read_json(tmp_path / "it")) == ["b", "a"]


def test_json_may_be_shown_to_a_terminal(tmp_path: Path) -> None:
    value = {"\x1b[2J": "日本é\x9b31m\x7f\u202e\u2028\U000e0001\ud800👩\u200d👧\n"}
    write_json(tmp_path / "it", value)
    text = (tmp_path / "it").read_text(encoding="utf-8")
    assert read_json(tmp_path / "it") == value
    assert "日本é" in text
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff{}", b"[1,]"])
def test_damaged_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(MonosemError, match="it is damaged"):
        read_json(tmp_path / "it")


def test_leftovers_are_found_whatever_the_name(tmp_path: Path) -> None:
    path, leftover, other = (tmp_path / name for name in ("a[1].json", ".a[1].json.tmp-1", ".a1.json.tmp-1"))
    for stale in (leftover, other):
        stale.touch()
    write_text(path, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, path.name]


def test_unreadable_json(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="not a regular file"):
        read_json(tmp_path)
