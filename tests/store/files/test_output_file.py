"""Files that a person names: no file of another kind is written over, and a device stays a device."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.files.output_file import write_new, write_output
from tests.patience import PATIENCE


def is_ours(path: Path) -> bool:
    return path.read_text().startswith("ours")


def write(path: Path) -> None:
    write_output(path, "ours 2", "recipe", is_ours)


@pytest.mark.parametrize("before", [None, "", "ours 1"])
def test_a_new_an_empty_and_a_file_of_the_same_kind_are_written(tmp_path: Path, before: str | None) -> None:
    if before is not None:
        (tmp_path / "it").write_text(before)
    write(tmp_path / "it")
    assert (tmp_path / "it").read_text() == "ours 2"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_a_file_of_another_kind_stays(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("keep")
    with pytest.raises(MonosemError, match="it is there already, and is not a recipe"):
        write(tmp_path / "it")
    with pytest.raises(MonosemError, match="it is there already"):
        write_output(tmp_path / "it", "x")
    assert (tmp_path / "it").read_text() == "keep"


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours 1")
    (tmp_path / "other").write_text("keep")
    for name in ("ours", "other", "missing"):
        (tmp_path / f"to-{name}").symlink_to(name)
    write(tmp_path / "to-ours")
    write(tmp_path / "to-missing")
    with pytest.raises(MonosemError, match="not a recipe"):
        write(tmp_path / "to-other")
    assert [(tmp_path / name).read_text() for name in ("ours", "other", "missing")] == ["ours 2", "keep", "ours 2"]
    assert all((tmp_path / f"to-{name}").is_symlink() for name in ("ours", "other", "missing"))


@pytest.mark.parametrize("new", [True, False])
def test_a_fifo_is_written_into(tmp_path: Path, new: bool) -> None:
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    if new:
        assert write_new(fifo, "ours 2") == fifo
    else:
        write(fifo)
    reader.join()
    assert got == ["ours 2"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_fifo_that_nobody_reads_is_refused_after_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.files.output_file.WAIT", 0.1)
    os.mkfifo(tmp_path / "fifo")
    for one in (write, lambda path: write_new(path, "x")):
        with pytest.raises(MonosemError, match="nobody reads the fifo"):
            one(tmp_path / "fifo")


def test_a_device_stays_a_device() -> None:
    write(Path(os.devnull))
    assert write_new(Path(os.devnull), "x") == Path(os.devnull)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_device_that_is_full() -> None:
    for attempt in (write, lambda path: write_new(path, "x")):
        with pytest.raises(MonosemError, match="no space left while writing /dev/full"):
            attempt(Path("/dev/full"))


OWN = """
import sys
from pathlib import Path
from store.files.output_file import write_output
print("before")
write_output(Path(sys.argv[1]), "the text\\n", "recipe", lambda path: False)
print("after")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "it"])
def test_the_own_output_is_written_into_where_it_stands(tmp_path: Path, name: str) -> None:
    with (tmp_path / "it").open("wb") as stream:
        subprocess.run([sys.executable, "-c", OWN, str(tmp_path / name)], stdout=stream, check=True, timeout=PATIENCE)
    assert (tmp_path / "it").read_text() == "before\nthe text\nafter\n"


def test_what_is_neither_file_nor_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("folder", "socket"):
            with pytest.raises(MonosemError, match=f"{name} is not a file"):
                write(tmp_path / name)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "loop").symlink_to(path)
    with pytest.raises(MonosemError, match="back to itself"):
        write_output(path, "text")
    assert path.is_symlink()


@pytest.mark.parametrize(("before", "mode"), [("keep", 0o640), ("ours 1", 0o600), ("", 0o604)])
def test_a_file_is_replaced_when_asked_and_keeps_its_mode(tmp_path: Path, before: str, mode: int) -> None:
    (tmp_path / "it").write_text(before)
    (tmp_path / "it").chmod(mode)
    write_output(tmp_path / "it", "ours 2", "recipe", is_ours, overwrite=True)
    assert (tmp_path / "it").read_text() == "ours 2"
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == mode


def test_no_folder_is_made(tmp_path: Path) -> None:
    for attempt in (lambda path: write(path), lambda path: write_new(path, "x")):
        with pytest.raises(MonosemError, match=r"there is no folder .*nope"):
            attempt(tmp_path / "nope" / "it")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").touch()
    with pytest.raises(MonosemError):
        write(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "full"]


def test_a_failure_leaves_no_empty_file(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_output(tmp_path / "it", "\ud800")
    (tmp_path / "ours").write_text("ours 1")
    with pytest.raises(UnicodeEncodeError):
        write_output(tmp_path / "ours", "\ud800", "recipe", is_ours)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("ours", "ours 1")]
    (tmp_path / "ours").write_text("")
    with pytest.raises(UnicodeEncodeError):
        write_output(tmp_path / "ours", "\ud800")
    assert (tmp_path / "ours").read_text() == ""
