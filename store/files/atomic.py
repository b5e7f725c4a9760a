"""Atomic writes: a temporary file beside the target, fsync, rename. A file is complete or absent."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from store.files.errors import UNSUPPORTED, MonosemError, disk_errors, unguarded
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, parse

_UNUSUAL = re.compile(r"[^\x20-\x7e\n]")


def sync(path: Path) -> None:
    """Sync a file, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def sync_open(descriptor: int) -> None:
    """Sync an open file; where the file system cannot, go on with a warning."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        unguarded("cannot sync files: a power cut may cost the last ones")


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a name in it lasts. A failure is a warning: the file itself is there, and complete."""
    try:
        sync(folder)
    except OSError as error:
        unguarded(f"did not sync a folder ({error.strerror}): a power cut may cost the last files")


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path` for good; where that is impossible, copy it, or leave nothing new."""
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EBUSY, *UNSUPPORTED}:
            raise
        unguarded("cannot rename: files that are being written are incomplete if the work is killed")
        if path.is_symlink():  # a rename replaces a link too
            path.unlink()
        is_new = not path.exists()
        try:
            _copy(temporary, path)
        except BaseException:
            for left in [path] if is_new else list(path.iterdir()) if path.is_dir() else []:
                remove(left)
            raise
    sync_folder(path.parent)


def rename(old: Path, new: Path) -> None:
    """Give a file of its folder another name for good.

    Raises:
        MonosemError: the folder cannot be written.
    """
    with disk_errors(new):
        _put_in_place(old, new)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for child in source.iterdir():
            _copy(child, target / child.name)
    else:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, as far as that is possible."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


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
            yield temporary
            sync(temporary)
            _put_in_place(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; when the block ends well, rename it to `path`, which must not exist.

    On any failure nothing is left. An empty folder is replaced, unless it is the current one; a link to one stays.

    Raises:
        MonosemError: something is there, the folder that it is to be in is missing, or it cannot be written.
    """
    given, path = path, Path(os.path.realpath(path))
    require_folder(path.parent)
    with disk_errors(path):
        _require_free(path)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
            remove(stale)
    temporary = path.parent / f".{path.name}.tmp-{os.getpid()}"
    try:
        with disk_errors(path):
            temporary.mkdir()
            yield temporary
            _require_free(path)
            _put_in_place(temporary, path)
    except MonosemError as error:
        error.what = error.what.replace(os.fspath(temporary), os.fspath(given))
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_folder(folder: Path) -> None:
    """Refuse a folder that is not there: it is more likely mistyped than meant to be made.

    Raises:
        MonosemError: it is missing, or not a folder.
    """
    if not folder.is_dir():
        raise MonosemError(f"there is no folder {folder}", "Make it (mkdir -p), or choose another place.")


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
        return parse(read_whole(path))
    except JsonError as error:
        raise MonosemError(f"{path} is damaged: {error}", "Restore it from a copy, or train the run again.") from error
