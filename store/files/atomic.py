"""Atomic writes: a temporary file beside the target, fsync, rename. A file is complete or absent."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import read_stream

_UNUSUAL = re.compile(r"[^\x20-\x7e\n]")


def fsync_folder(folder: Path) -> None:
    """Sync `folder`, so that a rename inside it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, fsync it and rename it to `path`.

    On any failure the temporary file is removed and `path` stays as it was. Temporary files of killed writers of the
    same `path` are removed first.

    Raises:
        MonosemError: the disk is full, or it cannot be written there.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
            stale.unlink(missing_ok=True)
    temporary = path.parent / f".{path.name}.tmp-{os.getpid()}"
    try:
        with disk_errors(path):
            # Made here and now, so that no link that somebody left under this name is followed.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666))
            yield temporary
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
            fsync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; when the block ends well, rename it to `path`, which must not exist.

    On any failure nothing is left. An empty folder is replaced, unless it is the current one.

    Raises:
        MonosemError: something is there, or it cannot be written.
    """
    path = path.absolute()
    _require_free(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
            shutil.rmtree(stale, ignore_errors=True)
    temporary = path.parent / f".{path.name}.tmp-{os.getpid()}"
    try:
        with disk_errors(path):
            temporary.mkdir()
            yield temporary
            _require_free(path)
            temporary.replace(path)
            fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _require_free(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        wrong = "is a file"
    elif any(path.iterdir()):
        wrong = "is not empty"
    elif path.samefile(Path.cwd()):
        wrong = "is the folder you are in"
    else:
        return
    raise MonosemError(f"{path} {wrong}", "Choose another `out`: nothing is overwritten.")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8), all or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON, all or nothing."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return `value` as indented JSON, its last newline included.

    Letters of every script stay as they are; invisible characters are escaped, so that a terminal may print the text.
    """
    return _UNUSUAL.sub(_escaped, json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return json.dumps(character)[1:-1] if character > "\uffff" else f"\\u{ord(character):04x}"


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        MonosemError: it cannot be read, is damaged, or is a link out of its folder.
    """
    try:
        with read_stream(path) as stream:
            return json.loads(stream.read().decode("utf-8"))
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MonosemError(f"{path} is damaged: {error}", "Restore it from a copy, or train the run again.") from error
