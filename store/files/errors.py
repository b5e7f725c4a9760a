"""Errors that users can act on: what went wrong, where, and what to do next."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMED = re.compile(r"`([a-z]\w*)(?:=([^`]*))?`")
"""A setting in a message, with a value or without: `d_sae`, `device=cpu`. The command line shows them as flags."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MISPLACED = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO}


class MonosemError(Exception):
    """Wrong use or bad input. Printed as one or two lines; the command exits with `exit_code`.

    Both lines name settings in backticks, as their fields are called; see `NAMED`.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the settings at fault: those in `what`, in order."""
        return tuple(dict.fromkeys(found[1] for found in NAMED.finditer(self.what)))

    def __str__(self) -> str:
        return f"{self.what}\n  {self.hint}" if self.hint else self.what


class WorkFailed(MonosemError):
    """The command was used rightly, but its work could not be finished."""

    exit_code = 1


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder or an impossible path, met while writing `path`, into a `MonosemError`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise MonosemError(
                f"no space left while writing {path}",
                "What was finished is kept. Free some space, then run the same command with `resume=True`.",
            ) from error
        if error.errno in _DENIED:
            raise MonosemError(
                f"cannot write {path}: permission denied or read-only folder",
                "Choose another folder with `out` or `runs_dir`.",
            ) from error
        if error.errno in _MISPLACED:
            raise MonosemError(
                f"cannot write {path}: {error.strerror}: {error.filename}", "Choose another folder with `out`."
            ) from error
        raise
