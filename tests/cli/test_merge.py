"""`monosem merge` and `--memory`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from monosem_tui.cli.main import run
from monosem_tui.cli.options import size
from store.index.reader import FeatureStore
from store.index.segment import segment_path
from tests.sample_run import build_sample


def test_segments_become_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = build_sample(tmp_path / "run", merged=False)
    assert run(["merge", str(sample.run.path), "--memory", "100M"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{sample.run.features}\n"
    assert "monosem tui" in captured.err
    assert not sample.run.index.exists()
    with FeatureStore.open(sample.run.path) as store:
        assert store.columns.count_F.tolist() == (sample.dense_NF > 0).sum(0).tolist()


def test_a_part_of_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = build_sample(tmp_path / "run", merged=False)
    segment_path(sample.run.index, 2).unlink()
    assert run(["merge", str(sample.run.path)]) == 2
    assert "20 of 30 contexts" in capsys.readouterr().err
    assert run(["merge", "run", "--runs-dir", str(tmp_path), "--partial", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "name": "run",
        "path": str(tmp_path / "run"),
        "features": str(sample.run.features),
        "contexts": 20,
        "planned_contexts": 30,
        "tokens": 640,
        "complete": False,
        "bytes": sample.run.features.stat().st_size,
    }
    assert "20 of 30 contexts; to go on: monosem index" in captured.err
    assert segment_path(sample.run.index, 1).is_file()
    with FeatureStore.open(sample.run.path) as store:
        assert not store.complete


def test_too_little_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = build_sample(tmp_path / "run", merged=False)
    assert run(["merge", str(sample.run.path), "--memory", "5M"]) == 2
    assert "--memory takes 64M and more" in capsys.readouterr().err
    assert not sample.run.features.exists()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("500M", 500 << 20), ("2G", 2 << 30), ("1.5gb", 3 << 29), ("64 MiB", 64 << 20), ("123456789", 123_456_789)],
)
def test_sizes_as_people_write_them(text: str, wanted: int) -> None:
    assert size(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "-1G", "much", "1X", "G", "1..5G"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="500M or 2G"):
        size(text)
