"""Opening files that may come from a stranger: no link leads out of the folder, and nothing waits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.files.regular_file import open_regular, read_stream

WRITING = os.O_RDWR | os.O_CREAT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file, and a file beside the folder."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "it").write_bytes(b"ours")
    (tmp_path / "victim").write_bytes(b"precious")
    return tmp_path / "run"


def content(path: Path) -> bytes:
    with read_stream(path) as stream:
        return stream.read()


def test_a_file_is_read_and_made_and_never_cut(folder: Path) -> None:
    assert content(folder / "it") == b"ours"
    os.close(open_regular(folder / "new", WRITING))
    os.close(open_regular(folder / "it", WRITING))
    assert content(folder / "new") == b""
    assert content(folder / "it") == b"ours"
    with pytest.raises(FileNotFoundError):
        open_regular(folder / "none")


@pytest.mark.parametrize("target", ["../victim", "../nowhere", "../run2/it", "self", "chain"])
@pytest.mark.parametrize("flags", [os.O_RDONLY, WRITING])
def test_no_link_leads_out_of_the_folder(folder: Path, target: str, flags: int) -> None:
    (folder / "self").symlink_to("self")
    (folder / "chain").symlink_to("../victim")
    (folder / "link").symlink_to(target)
    with pytest.raises(MonosemError, match="link is a link out of its folder") as raised:
        open_regular(folder / "link", flags)
    assert str(raised.value).count("\n") == 1
    assert (folder.parent / "victim").read_bytes() == b"precious"
    assert not (folder.parent / "nowhere").exists()


def test_links_inside_the_folder_and_to_the_folder_are_followed(folder: Path) -> None:
    (folder / "link").symlink_to("it")
    (folder / "absolute").symlink_to(folder.resolve() / "it")
    (folder.parent / "elsewhere").symlink_to("run")
    for name in ("it", "link", "absolute"):
        assert content(folder / name) == content(folder.parent / "elsewhere" / name) == b"ours"
    os.close(open_regular(folder.parent / "elsewhere" / "new", WRITING))
    assert (folder / "new").is_file()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _socket])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT | os.O_APPEND])
def test_only_regular_files_are_opened_and_no_fifo_hangs(
    folder: Path, make: Callable[[Path], None], flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # the path of a socket is short
    make(folder / "odd")
    with pytest.raises((MonosemError, IsADirectoryError), match=r"not a regular file|Is a directory"):
        open_regular(folder / "odd", flags)
