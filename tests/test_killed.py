"""Commands killed wherever they touch the disk for good: the next call ends as if they had not been.

Each place is an fsync, rename or removal (`tests.dying`); of a command's places, MOST are tried.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.commands import export_sae, extract, import_sae, rerun, train, train_lm  # noqa: F401 once for all forks
from monosem_tui.cli.main import run as monosem
from store.run.folder import RunFolder
from tests.dying import DONE, deaths, forked, places
from tests.tiny_text import write_corpus

pytestmark = pytest.mark.slow

LM = "--vocab 300 --d-model 16 --heads 2 --context 32 --tokens 4k --batch 256"
TRAIN = (
    "train --model models/lm --data text.txt --checkpoint-every 5 --layer 0 --tokens 2k --batch 128 --d-sae 32 "
    "--index-tokens 1k --device cpu --out"
)
MOST = 8
VOLATILE = {"run.json", "events.jsonl", "notes.jsonl", ".lock"}
"""Files that hold times; their names count, their bytes do not."""


@dataclass(frozen=True)
class Killed:
    """A command, and how to go on after it was killed."""

    command: str
    more: str = ""
    """What is added to go on."""
    done: str = ""
    """Where this exists, nothing is left to do but to remove temporary files, as the next command does."""
    tidy: str = ""
    """Such a command."""


CASES = {
    "lm": Killed(f"lm --data text.txt --out runs/new {LM}", "--resume"),
    "extract": Killed("extract --model models/lm --data text.txt --layer 0 --tokens 1k --out runs/new", "--resume"),
    "train": Killed(f"{TRAIN} runs/new --k 4", "--resume"),
    "sweep": Killed(f"{TRAIN} runs/new --k 2,4", "--resume"),
    "index": Killed("index runs/plain --tokens 1k", "--resume"),
    "merge": Killed("merge runs/begun", done="runs/begun/.index.old", tidy="eval runs/begun --tokens 1k"),
    "eval": Killed("eval runs/plain --tokens 1k"),
    "label": Killed("label runs/done 3 word"),
    "import": Killed(
        "import sae --model models/lm --data text.txt --tokens 500 --out runs/new", done="runs/new/sae.h5"
    ),
    "export saelens": Killed("export runs/done --to saelens --out out"),
    "export html": Killed("export runs/done --to html --out out", done="out"),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a text, runs in several states, and an exported autoencoder.

    Only forked processes compute, so that none inherits threads of torch.
    """
    folder = tmp_path_factory.mktemp("prepared")
    write_corpus(folder / "text.txt")

    def prepare() -> None:
        os.chdir(folder)
        Path("models").mkdir()
        must(f"lm --data text.txt --out models/lm {LM}")
        must(f"{TRAIN} runs/plain --k 4 --no-index")
        shutil.copytree("runs/plain", "runs/done")
        must("index runs/done --tokens 1k")
        shutil.copytree("runs/plain", "runs/begun")
        from engine.indexing import index_build

        index_build.merge = lambda *_: os._exit(DONE)
        must("export runs/done --to saelens --out sae")
        must("index runs/begun --tokens 1k")

    assert forked(prepare) == DONE
    assert (folder / "runs/begun/index/seg-00000.h5").is_file()
    return folder


def must(command: str) -> None:
    assert monosem(command.split()) == 0, command


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; of those in VOLATILE only that they exist."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): b"" if path.name in VOLATILE else path.read_bytes() for path in files}


@pytest.mark.parametrize("name", CASES)
def test_killed_anywhere_it_ends_as_if_it_had_not_been(
    name: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case, place = CASES[name], tmp_path / "place"

    def within(command: str) -> Callable[[], None]:
        return lambda: must(command)

    def anew() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(prepared, place)
        os.chdir(place)

    monkeypatch.chdir(tmp_path)
    anew()
    found = places(within(case.command))
    wanted = contents(place)
    anew()

    def after() -> None:
        assert forked(look) == DONE
        if not case.done or not (place / case.done).exists():
            must_end(f"{case.command} {case.more}")
        elif case.tidy:
            must_end(case.tidy)
        assert contents(place) == wanted
        for run in (place / "runs").iterdir():
            assert RunFolder(run).record().status in ("done", "new") or run.name == "begun"
        anew()

    def must_end(command: str) -> None:
        assert forked(within(command)) == DONE, capfd.readouterr().err

    def look() -> None:
        for run in sorted(Path("runs").iterdir()):
            if (run / "run.json").is_file():
                must(f"show {run}")
                must(f"verify {run}")
        must("runs --json")

    assert deaths(within(case.command), after, -(-found // MOST)) >= min(found, MOST // 2)
