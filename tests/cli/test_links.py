"""A run from somebody else whose files are links, fifos or folders: nothing outside of it is changed or shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from monosem_tui.cli.main import run as monosem
from store.run.events import EventLog
from store.run.folder import RunFolder
from tests.sample_run import build_sample

FILES = (
    ".lock",
    "notes.jsonl",
    "run.json",
    "events.jsonl",
    "sae.h5",
    "features.h5",
    "index/common.h5",
    "index/seg-00000.h5",
    ".run.json.tmp-1",
    ".features.h5.tmp-1",
    ".index.old",
)
COMMANDS = (
    ("label", "RUN", "3", "a text"),
    ("label", "RUN"),
    ("merge", "RUN", "--overwrite"),
    ("show", "RUN"),
    ("show", "RUN", "3"),
    ("find", "RUN", "sea"),
    ("verify", "RUN"),
    ("runs", "--runs-dir", "ROOT"),
)
SECRET = "TOPSECRET, and precious\n"


def link(path: Path, victim: Path) -> None:
    """A link to a file outside."""
    path.symlink_to(victim)


def relative(path: Path, victim: Path) -> None:
    """The same link as an archive would keep it."""
    path.symlink_to(os.path.relpath(victim, path.parent))


def fifo(path: Path, victim: Path) -> None:
    """A fifo that nobody writes to."""
    os.mkfifo(path)


def folder(path: Path, victim: Path) -> None:
    """A link to the folder of the file outside."""
    path.symlink_to(victim.parent)


OFTEN = {link: (".lock", "notes.jsonl", "run.json", "features.h5"), fifo: (".lock", "sae.h5", "events.jsonl")}
"""Files of each kind that every test run tries."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sample(tmp_path_factory.mktemp("links") / "sample").run.path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        pytest.param(name, make, marks=() if name in OFTEN.get(make, ()) else pytest.mark.slow)
        for name in FILES
        for make in (link, relative, fifo, folder)
    ],
)
def test_nothing_outside_of_a_run_is_touched(
    name: str, make: Callable[[Path, Path], None], original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    victim = tmp_path / "home" / "victim"
    victim.write_text(SECRET)
    run = Path(shutil.copytree(original, tmp_path / "runs" / "sample"))
    (run / name).unlink(missing_ok=True)
    make(run / name, victim)
    named = {"RUN": str(run), "ROOT": str(run.parent)}
    for arguments in COMMANDS:
        code = monosem([named.get(word, word) for word in arguments])
        captured = capsys.readouterr()
        assert code in (0, 1, 2), arguments
        assert "internal error" not in captured.err, (arguments, captured.err)
        assert "TOPSECRET" not in captured.out + captured.err, arguments
    assert victim.read_text() == SECRET
    assert [path.name for path in victim.parent.iterdir()] == ["victim"]
    assert not any(
        path.is_file() and SECRET.encode() in path.read_bytes() for path in run.rglob("*") if not path.is_symlink()
    )


def test_folders_that_are_links_still_work(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(original, tmp_path / "disk" / "sample"))
    shutil.move(run / "index", tmp_path / "elsewhere")
    (run / "index").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "linked").symlink_to(run)
    assert monosem(["label", str(tmp_path / "linked"), "3", "a text"]) == 0
    assert monosem(["merge", str(tmp_path / "linked"), "--overwrite"]) == 0
    assert monosem(["show", str(tmp_path / "linked"), "3"]) == 0
    assert monosem(["verify", str(tmp_path / "linked")]) == 0
    assert "a text" in capsys.readouterr().out
    EventLog(RunFolder(tmp_path / "linked").events).rewind(0)
    assert (run / "events.jsonl").is_file()


@pytest.mark.parametrize("name", ["index", "checkpoints", "activations"])
def test_a_folder_that_is_a_link_into_another_run_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, run = (build_sample(tmp_path / one, merged=False, seed=seed).run.path for seed, one in enumerate("ab"))
    for one in ("checkpoints/step-0.h5", "activations/shard-0.h5"):
        (other / one).parent.mkdir()
        (other / one).write_bytes(b"another's")
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).symlink_to(f"../a/{name}")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    assert monosem(["merge", str(run)]) == 2
    assert f"{run / name} is a link into a run" in capsys.readouterr().err
    assert monosem(["verify", str(run)]) == 1
    assert "is a link into a run" in capsys.readouterr().out
    assert monosem(["show", str(run), "3"]) == 2
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before


def test_the_index_of_another_autoencoder_is_not_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other, run = (build_sample(tmp_path / one, merged=False, seed=seed).run.path for seed, one in enumerate("ab"))
    shutil.rmtree(run / "index")
    shutil.move(other / "index", tmp_path / "elsewhere")
    (run / "index").symlink_to(tmp_path / "elsewhere")
    assert monosem(["merge", str(run)]) == 2
    assert f"{run / 'index'} is the index of another autoencoder" in capsys.readouterr().err
    assert not (run / "features.h5").exists()
