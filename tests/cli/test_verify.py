"""`monosem verify`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from tests.sample_run import Sample


@pytest.fixture
def copy(sample: Sample, tmp_path: Path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(sample.run.path, tmp_path / "copy"))


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_a_sound_run_is_a_line_a_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(copy)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [line.split() for line in captured.out.splitlines()[1:]]
    files = sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.suffix in (".h5", ".json"))
    assert sorted(line[0] for line in lines) == files
    assert {line[1] for line in lines} == {"ok"}


def test_damage_is_named_and_exits_1(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = copy / "features.h5"
    _flip(features, features.stat().st_size // 2)
    sae = copy / "sae.h5"
    sae.write_bytes(sae.read_bytes()[:-100])
    assert run(["verify", "copy", "--runs-dir", str(copy.parent)]) == 1
    captured = capsys.readouterr()
    state = {line.split()[0]: line.split()[1] for line in captured.out.splitlines()[1:]}
    assert {name for name, value in state.items() if value == "damaged"} == {"features.h5", "sae.h5"}
    assert "truncated" in captured.out
    assert captured.err.startswith("monosem: 2 of 7 files are damaged\n")


def test_json(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _flip(copy / "sae.h5", -1)
    assert run(["verify", str(copy), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [file["path"] for file in found["files"] if not file["ok"]] == [str(copy / "sae.h5")]
    sae = next(file for file in found["files"] if not file["ok"])
    assert sorted(sae["damaged"] + sae["readable"]) == ["W_dec", "W_enc", "b_dec", "b_enc"]
    assert all(set(file) == {"path", "ok", "detail", "damaged", "readable"} for file in found["files"])


def test_one_file_by_itself(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = shutil.move(copy / "features.h5", tmp_path / "home.h5")
    assert run(["verify", str(home)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["home.h5", "ok"]
    _flip(Path(home), 700)
    assert run(["verify", str(home)]) == 1


def test_a_run_without_its_record(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "run.json").unlink()
    assert run(["verify", str(copy)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split()[:2] == ["run.json", "damaged"]
    assert captured.out.count(" ok ") == 6


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("monosem: no run at ")
