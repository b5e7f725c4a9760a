"""Errors that users can act on: what went wrong, where, and what to do next."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMED = re.compile(r"`([a-z]\w*)(?:=([^`]*))?`")
"""A setting in a message, with a value or without: `d_sae`, `device=cpu`. The command line shows them as flags."""
_RESUME = "`resume=True` goes on from what is finished."
FULL = {
    errno.ENOSPC: ("no space left while writing {}", f"Free some space and run it again. {_RESUME}"),
    errno.EDQUOT: ("the quota is used up while writing {}", f"Free some space and run it again. {_RESUME}"),
    errno.EFBIG: ("{} would exceed the size allowed for a file", f"Raise it (ulimit -f) and run it again. {_RESUME}"),
}
"""Messages by the system's error number."""
_ADVICE = {
    "Choose a folder that you may write to.": (errno.EACCES, errno.EPERM, errno.EROFS),
    "Choose another name or folder.": (
        *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.ENOTEMPTY),
    ),
    f"Check the disk, or the connection to its server, and run it again. {_RESUME}": (
        *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENODEV, errno.EBUSY),
    ),
}
_TROUBLE = FULL | {number: ("cannot write {}: {}", advice) for advice, numbers in _ADVICE.items() for number in numbers}
_DENIED, _MISPLACED, _ = _ADVICE.values()
_FOREIGN = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust (safetensors, tokenizers) state the system's error number."""
UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOTTY}
"""Error numbers of file systems that lack an operation: network and user-space ones lack locks, fsync or rename."""


class UnguardedWarning(UserWarning):
    """Work goes on, but the file system lacks something that usually protects it."""


class MonosemError(Exception):
    """Wrong use or bad input. Printed as one or two lines; the command exits with `exit_code`.

    Both lines name settings in backticks, as their fields are called; see `NAMED`.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "", at: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.at = at
        """Position in the text that was typed, in characters from 0; None where no character is at fault."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the settings at fault: those in `what`, in order."""
        return tuple(dict.fromkeys(found[1] for found in NAMED.finditer(self.what)))

    def __str__(self) -> str:
        return f"{self.what}\n  {self.hint}" if self.hint else self.what


class WorkFailed(MonosemError):
    """The command was used rightly, but its work could not be finished."""

    exit_code = 1


def unguarded(lacking: str) -> None:
    """Warn that the file system lacks an operation, and what that may cost; the command line prints it once."""
    warnings.warn(f"this file system {lacking}", UnguardedWarning, stacklevel=2)


@contextmanager
def disk_errors(path: Path, *, denied: str = "") -> Iterator[None]:
    """Turn a full disk, a read-only folder or an impossible path, met while writing `path`, into a `MonosemError`.

    Errors in which a library wraps the system's are recognised too. `denied` is the advice where writing is forbidden.
    """
    try:
        yield
    except MonosemError:
        raise
    except Exception as error:
        number = _error_number(error)
        if number not in _TROUBLE:
            raise
        what, hint = _TROUBLE[number]
        what = what.format(path, os.strerror(number))
        if number in _MISPLACED and str(other := getattr(error, "filename", path)) != str(path):
            what += f": {other}"
        raise MonosemError(what, denied if denied and number in _DENIED else hint) from error


def _error_number(error: BaseException | None) -> int | None:
    """Return the system's error number behind an error: its own, that in its text, or that of torch's context."""
    if isinstance(error, OSError):
        return error.errno
    if found := _FOREIGN.search(str(error)):
        return int(found[1])
    return _error_number(error.__context__) if isinstance(error, RuntimeError) else None
