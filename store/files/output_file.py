"""Files that a person names for output: none is written over a file of another kind, and no folder is made for them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from store.files.atomic import write_text
from store.files.errors import MonosemError, disk_errors

_MOST = 10_000
"""Files of one name beside each other, after which something else is wrong."""


def write_output(path: Path, text: str, kind: str = "", is_kind: Callable[[Path], bool] | None = None) -> None:
    """Write a text to a file that a person has named, all or nothing.

    A device or fifo is written into and stays what it is. A link stays too: the file it leads to is written.

    Args:
        path: the file; its folder exists.
        text: UTF-8.
        kind: noun for a file of this kind, such as "recipe".
        is_kind: returns whether an existing file is of this kind and may be replaced. Without it, and otherwise, only
            an empty file is.

    Raises:
        MonosemError: another file is there, the folder is missing, or it cannot be written.
    """
    with disk_errors(path):
        check_output(path, kind, is_kind)
        if not _written_into(path, text):
            target = Path(os.path.realpath(path))
            if not _claim(target):
                check_output(path, kind, is_kind)
            _fill(target, text)


def check_output(path: Path, kind: str = "", is_kind: Callable[[Path], bool] | None = None) -> None:
    """Refuse what `write_output` would refuse, before the work whose result is to be written.

    Raises:
        MonosemError: another file is there, or the folder is missing.
    """
    with disk_errors(path):
        target = Path(os.path.realpath(path))
        if not path.exists() and not target.parent.is_dir():
            raise _no_folder(path)
        if not path.exists() or not path.stat().st_size or _is_device(path):
            return
        if path.is_dir() or not (is_kind and is_kind(target)):
            wrong = f"is there already, and is not a {kind}" if is_kind else "is there already"
            raise MonosemError(f"{path} {wrong}", "Choose another name: no other file is overwritten.")


def write_new(path: Path, text: str) -> Path:
    """Write a text to a new file and return its path: `NAME-2.md` and so on where there is a file of that name.

    A device or fifo is written into.

    Raises:
        MonosemError: it cannot be written there.
    """
    if not path.parent.is_dir():
        raise _no_folder(path)
    for name in (path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, _MOST))):
        try:
            with disk_errors(name):
                if _written_into(name, text):
                    return name
                if _claim(name):
                    _fill(name, text)
                    return name
        except MonosemError as error:
            raise MonosemError(error.what, "Choose another folder.") from error
    raise MonosemError(f"there are {_MOST} files like {path}", "Choose another name.")


def _written_into(path: Path, text: str) -> bool:
    """Write into a device or fifo; False where there is none."""
    if not _is_device(path):
        return False
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
    return True


def _is_device(path: Path) -> bool:
    return path.exists() and stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR)


def _claim(path: Path) -> bool:
    """Make an empty file, so that no other process takes the name; False where it is taken."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True


def _fill(path: Path, text: str) -> None:
    """Replace the content of a file; on failure a file that was empty is removed."""
    try:
        write_text(path, text)
    except BaseException:
        if path.is_file() and not path.stat().st_size:
            path.unlink(missing_ok=True)
        raise


def _no_folder(path: Path) -> MonosemError:
    return MonosemError(f"cannot write {path}: there is no folder {path.parent}", "Make it, or choose another name.")
