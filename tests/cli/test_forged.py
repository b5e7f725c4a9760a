"""Every command on a run whose features.h5 is sealed and makes no sense: a line or two, never a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monosem_tui.cli.main import run as monosem
from tests.forged_run import FORGERIES, forge
from tests.sample_run import build_sample

READING = (
    ("show", "RUN"),
    ("show", "RUN", "0"),
    ("show", "RUN", "3", "--json"),
    ("show", "RUN", "--filter", "top:sea", "--sort", "-max"),
    ("find", "RUN", "s[ea]a"),
    ("find", "RUN", "--feature", "3"),
    ("label", "RUN"),
    ("export", "RUN", "--to", "html", "--out", "OUT/html"),
    ("export", "RUN", "--to", "csv", "--out", "OUT/table.csv"),
    ("export", "RUN", "--to", "neuronpedia", "--out", "OUT/neuronpedia"),
    ("verify", "RUN"),
    ("runs", "--runs-dir", "ROOT"),
    ("merge", "RUN"),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sample(tmp_path_factory.mktemp("forged") / "runs" / "sample").run.path


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(original, tmp_path / "runs" / "sample", ignore=shutil.ignore_patterns("index")))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_sealed_store_that_makes_no_sense(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(run / "features.h5", FORGERIES[name])
    named = {"RUN": str(run), "ROOT": str(run.parent)}
    for arguments in READING:
        words = [named.get(word, word.replace("OUT", str(run.parent.parent))) for word in arguments]
        code = monosem(words)
        captured = capsys.readouterr()
        assert code in (0, 1, 2), arguments
        assert "internal error" not in captured.err, (arguments, captured.err)
        assert "Traceback" not in captured.err + captured.out, arguments
        said = [line for line in captured.err.splitlines() if not line.startswith(("writing ", "  "))]
        assert len(said) == (code != 0), (arguments, captured.err)
        assert arguments[0] != "verify" or code == 1, f"{arguments} finds nothing"
