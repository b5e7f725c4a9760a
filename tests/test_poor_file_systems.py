"""File systems of clusters, which lack locks, fsync or rename: the work goes on, and says once what is not guarded."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_full_disk import CASES, SLOW, base, in_child, trial, undisturbed

__all__ = ["base"]

LOCKS, SYNC, RENAME = "has no locks", "cannot sync files", "cannot rename"
LACKS: dict[str, tuple[tuple[tuple[Any, str, int], ...], tuple[str, ...]]] = {
    "ENOLCK": (((fcntl, "flock", errno.ENOLCK),), (LOCKS,)),
    "ENOSYS": (((fcntl, "flock", errno.ENOSYS),), (LOCKS,)),
    "EOPNOTSUPP": (((fcntl, "flock", errno.EOPNOTSUPP),), (LOCKS,)),
    "fsync": (((os, "fsync", errno.EINVAL),), (SYNC,)),
    "rename": (((os, "replace", errno.EXDEV), (os, "rename", errno.EXDEV)), (RENAME,)),
    "link": (((os, "link", errno.EPERM), (os, "symlink", errno.EPERM)), ()),
    "chmod": (((os, "chmod", errno.EPERM),), ()),
    "all": (
        (
            *((fcntl, "flock", errno.ENOLCK), (os, "fsync", errno.EINVAL), (os, "link", errno.EPERM)),
            *((os, "replace", errno.EXDEV), (os, "rename", errno.EXDEV), (os, "chmod", errno.EPERM)),
        ),
        (LOCKS, SYNC, RENAME),
    ),
}
LOCKED = {"label", "label import", "import", "merge", "eval", "index", "extract", "train", "lm"}
"""Cases that take a lock. These take none: exports and files that a person names."""
RENAMES_NOTHING = {"label", "label import"}


def lacking(operations: tuple[tuple[Any, str, int], ...]) -> Callable[[], None]:
    def apply() -> None:
        for module, name, number in operations:

            def fail(*_: object, number: int = number, **__: object) -> None:
                raise OSError(number, os.strerror(number))

            setattr(module, name, fail)

    return apply


def check(name: str, lacks: str, base: Path, folder: Path) -> None:
    operations, lines = LACKS[lacks]
    whole = undisturbed(name, base, folder)
    tried = trial(name, base, folder)
    ended = in_child(tried.arguments, lacking(operations))
    assert ended.code == 0, ended.err
    assert tried.contents() == whole
    said = [line for line in ended.err.splitlines() if line.startswith("this file system")]
    found = [next(one for one in (LOCKS, SYNC, RENAME) if one in line) for line in said]
    expected = [one for one in lines if one != LOCKS or name in LOCKED]
    assert len(found) == len(set(found)), ended.err
    assert set(found) <= set(expected), ended.err
    assert (LOCKS in found) == (LOCKS in expected), ended.err
    assert found or not expected or (lacks == "rename" and name in RENAMES_NOTHING), ended.err


@pytest.mark.parametrize("name", ["csv", "notes", "label"])
def test_the_work_goes_on_and_says_what_is_not_guarded(name: str, base: Path, tmp_path: Path) -> None:
    check(name, "all", base, tmp_path / "here")


@SLOW
@pytest.mark.parametrize("lacks", LACKS)
@pytest.mark.parametrize("name", CASES)
def test_every_command_on_every_such_file_system(name: str, lacks: str, base: Path, tmp_path: Path) -> None:
    check(name, lacks, base, tmp_path / "here")
