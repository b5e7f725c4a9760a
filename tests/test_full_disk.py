"""A disk that fills up, at any write of any command: one clear line, nothing half-written, and the work can go on.

Commands run in forked children. There, files are limited in size (which reaches writers in C and Rust), or every call
from the n-th on that needs space fails (which reaches the smallest file).
"""

from __future__ import annotations

import errno
import io
import os
import re
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.main import run as monosem
from store.files.sealed_hdf5 import _Disk
from tests.cli.live_runs import live_run
from tests.sample_run import build_sample

SLOW = pytest.mark.slow
NEEDING_SPACE = ("open", "write", "fsync", "mkdir", "replace", "rename")
"""Functions of `os`."""
EVERY = 50
"""Calls that need space of which each is tried."""
TIME = re.compile(rb'"time": [\d.]+')
"""In notes."""
VOLATILE = {"run.json", "events.jsonl", ".lock"}
TRAIN = "--tokens 2k --batch 64 --d-sae 32 --k 4 --index-tokens 1k --device cpu --layer 0 --context 16"
LM = "--tokens 2k --vocab 300 --layers 1 --d-model 8 --heads 2 --batch 256 --context 16 --device cpu"


@dataclass(frozen=True)
class Case:
    """A command line; {run}, {segments} and {sae} are copies of what was made before, {base} has model and text."""

    line: str
    is_run: bool = False
    """Whether its output is a run, which --resume continues."""


CASES = {
    **{
        form: Case(f"export {{run}} --to {form} --out {{folder}}/out")
        for form in ("saelens", "sparsify", "dictionary-learning", "neuronpedia", "html", "csv", "parquet")
    },
    "show": Case("show {run} 3 --output {folder}/page.txt"),
    "save": Case("generate {run} --prompt w1 --max-new 2 --save {folder}/recipe.json --json --device cpu"),
    "notes": Case("label {run} --export {folder}/notes.csv"),
    "label": Case("label {run} 3 water"),
    "label import": Case("label {run} --import {base}/notes.csv"),
    "import": Case("import {base}/sae --model {base}/model --no-check --out {folder}/out --device cpu"),
    "merge": Case("merge {segments}"),
    "eval": Case("eval {run} --tokens 200"),
    "index": Case("index {run} --overwrite --tokens 300"),
    "extract": Case(
        "extract --model {base}/model --data {base}/texts.txt --layer 0 --context 16 --tokens 500 --out {folder}/out",
        is_run=True,
    ),
    "train": Case(f"train --model {{base}}/model --data {{base}}/texts.txt --out {{folder}}/out {TRAIN}", is_run=True),
    "lm": Case(f"lm --data {{base}}/texts.txt --out {{folder}}/out {LM}", is_run=True),
}
FEW = ("saelens", "label", "import")
"""Those quick enough for every test run."""


@dataclass(frozen=True)
class Ended:
    """What a command in a child came to."""

    code: int
    err: str


def in_child(arguments: list[str], limit: Callable[[], object] = lambda: None) -> Ended:
    """Run a command in a fork of this process after `limit`."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(writing, 2)
            sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(one, "w"), write_through=True) for one in (1, 2))
            limit()
            code = monosem(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        err = pipe.read()
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), err)


def sizes_up_to(n_bytes: int) -> Callable[[], None]:
    def apply() -> None:
        sys.dont_write_bytecode = True  # Python keeps a module that was cut off, for every later import
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    return apply


def full_from(n: int) -> Callable[[], None]:
    """No space for the n-th call that needs some, counted from 0, nor for any after it."""
    calls = 0

    def counted(function: Callable[..., Any], needs: Callable[..., bool]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if needs(*args, **kwargs):
                calls += 1
                if calls > n:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **kwargs)

        return call

    write_whole = _Disk.write

    def on_disk(self: _Disk, data: Any) -> int:  # its errors are kept, and not raised
        nonlocal calls
        calls += 1
        if calls > n:
            self.error = self.error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_whole(self, data)

    def makes(path: Any, flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & os.O_CREAT)

    def writes(path: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
        return isinstance(path, str | Path) and mode[0] in "wax" and str(path) != os.devnull

    def apply() -> None:
        for name in NEEDING_SPACE:
            setattr(os, name, counted(getattr(os, name), makes if name == "open" else lambda *_, **__: True))
        io.open = counted(io.open, writes)
        _Disk.write = on_disk  # type: ignore[method-assign]

    return apply


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a text, an indexed run, a run of segments, another library's autoencoder, exported notes."""
    folder = tmp_path_factory.mktemp("base")
    run = live_run(folder / "run")
    build_sample(folder / "segments", merged=False)
    assert monosem(["label", str(run.path), "1", "a label"]) == 0
    (folder / "notes.csv").write_text("feature,label\n3,another label\n")
    assert monosem(["export", str(run.path), "--to", "saelens", "--out", str(folder / "sae")]) == 0
    return folder


@dataclass(frozen=True)
class Trial:
    """A fresh folder to run a case in."""

    case: Case
    folder: Path
    arguments: list[str]

    def contents(self) -> dict[str, bytes]:
        """Return every file but those that differ from time to time."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.name not in VOLATILE)
        return {str(path.relative_to(self.folder)): TIME.sub(b"", path.read_bytes()) for path in found}

    def folders(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_dir()}


def trial(name: str, base: Path, folder: Path) -> Trial:
    shutil.rmtree(folder, ignore_errors=True)
    for one in ("run", "segments"):
        shutil.copytree(base / one, folder / one)
    names = {"base": base, "folder": folder, "run": folder / "run", "segments": folder / "segments"}
    return Trial(CASES[name], folder, CASES[name].line.format(**names).split())


_WHOLE: dict[tuple[str, Path], dict[str, bytes]] = {}


def undisturbed(name: str, base: Path, folder: Path) -> dict[str, bytes]:
    if (name, base) not in _WHOLE:
        good = trial(name, base, folder)
        ended = in_child(good.arguments)
        assert ended.code == 0, ended.err
        _WHOLE[name, base] = good.contents()
    return _WHOLE[name, base]


def check(name: str, base: Path, tmp_path: Path, limit: Callable[[], object], said: str) -> bool:
    """Run a case under a limit, look at what it leaves, and run it again; return whether the limit was met."""
    whole = undisturbed(name, base, tmp_path / "here")
    tried = trial(name, base, tmp_path / "here")
    before, folders = tried.contents(), tried.folders()
    ended = in_child(tried.arguments, limit)
    if ended.code == 0:
        assert tried.contents() == whole
        return False
    assert ended.code == 2, ended.err
    lines = ended.err.splitlines()
    complaint = lines[next(i for i, line in enumerate(lines) if line.startswith("monosem: ")) :]
    assert said in complaint[0], ended.err
    assert len(complaint) == 2, ended.err
    resumes = name in ("train", "lm", "extract", "index")
    assert ("--resume" in complaint[1]) == resumes, ended.err
    assert not list(tried.folder.rglob("*.tmp*")), ended.err
    out = tried.folder / "out"
    more = ["--resume"] if name == "index" and list((tried.folder / "run" / "index").glob("seg-*")) else []
    if tried.case.is_run and (out / "run.json").is_file():
        more = ["--resume"]
    elif name not in ("index", "merge"):
        assert tried.contents() == before
        assert tried.folders() == folders
    again = in_child([*tried.arguments, *more])
    assert again.code == 0, ended.err + again.err
    assert tried.contents() == whole
    return True


@pytest.mark.parametrize("name", [name if name in FEW else pytest.param(name, marks=SLOW) for name in CASES])
def test_files_that_may_not_grow(name: str, base: Path, tmp_path: Path) -> None:
    assert check(name, base, tmp_path, sizes_up_to(0), "would exceed the size allowed for a file")


@SLOW
@pytest.mark.parametrize("limit", [100, 500, 1000, 2000, 4000, 8000, 16_000, 32_000])
@pytest.mark.parametrize("name", CASES)
def test_files_that_may_grow_a_little(name: str, limit: int, base: Path, tmp_path: Path) -> None:
    check(name, base, tmp_path, sizes_up_to(limit), "would exceed the size allowed for a file")


def places(name: str, base: Path, tmp_path: Path) -> Iterator[int]:
    """Every call, and of hundreds a seventh: most of those are writes of one HDF5 file after another."""
    n = 0
    while check(name, base, tmp_path, full_from(n), "no space left while writing"):
        yield n
        n += 1 if n < EVERY else 7


@SLOW
@pytest.mark.parametrize("name", CASES)
def test_a_disk_that_is_full_from_any_call_on(name: str, base: Path, tmp_path: Path) -> None:
    assert sum(1 for _ in places(name, base, tmp_path)) > 1


@pytest.mark.parametrize(
    ("name", "n"),
    [("saelens", 3), ("csv", 2), pytest.param("import", 6, marks=SLOW), pytest.param("notes", 1, marks=SLOW)],
)
def test_a_disk_that_fills_up_in_between(name: str, n: int, base: Path, tmp_path: Path) -> None:
    assert check(name, base, tmp_path, full_from(n), "no space left while writing")
