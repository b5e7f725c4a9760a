"""Files that are complete or absent: write a temporary sibling, fsync, rename."""

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

_UNUSUAL = re.compile(r"[^\x20-\x7e\n]")


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, fsync it and rename it to `path`.

    On any failure the temporary file is removed and `path` stays as it was. Temporary files that a killed process
    left behind for the same `path` are removed first.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
            stale.unlink(missing_ok=True)
    temporary = path.parent / f".{path.name}.tmp-{os.getpid()}"
    try:
        with disk_errors(path):
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
    """Yield a temporary folder beside `path`; when the block ends well, it becomes `path`, which must not be there yet.

    On any failure nothing is left. An empty folder counts as none, unless someone works in it.

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
    raise MonosemError(f"{path} {wrong}", "Choose another `out`: nothing takes the place of what is there.")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8), all or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON, all or nothing.

    Letters of every script stay as they are; what no one can see is escaped, so that a terminal may be given the file.
    """
    write_text(path, _UNUSUAL.sub(_escaped, json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return json.dumps(character)[1:-1] if character > "\uffff" else f"\\u{ord(character):04x}"


def read_json(path: Path) -> Any:
    """Parse `path`; a damaged file is a `MonosemError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MonosemError(f"{path} is damaged: {error}", "Restore it from a copy, or train the run again.") from error
