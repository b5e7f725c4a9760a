"""`monosem train` with lists: where the runs go, and the table at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monosem_tui.cli.main import run


def train(root: Path, model: Path, text: Path, *flags: str) -> int:
    given = ["train", "--model", str(model), "--data", str(text), "--layer", "1", "--tokens", "2k", "--batch", "64"]
    return run([*given, "--d-sae", "32", "--device", "cpu", "--no-index", "--runs-dir", str(root), *flags])


def test_a_table_at_the_end(tmp_path: Path, tiny_lm: Path, tiny_text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, tiny_lm, tiny_text, "--arch", "topk,relu", "--k", "2,4", "--out", "sweep") == 0
    head, *rows = capfd.readouterr().out.splitlines()
    assert head.split()[:5] == ["run", "status", "site", "arch", "d_sae"]
    assert [row.split()[0] for row in rows] == ["sweep-topk-k2", "sweep-topk-k4", "sweep-relu"]
    assert all("done" in row and "resid_post 1" in row for row in rows)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("sweep")) == [
        "sweep-relu",
        "sweep-topk-k2",
        "sweep-topk-k4",
    ]


def test_as_json_and_named_by_itself(
    tmp_path: Path, tiny_lm: Path, tiny_text: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, tiny_lm, tiny_text, "--k", "2,4", "--seed", "3", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert [one["name"] for one in found] == ["tiny-resid_post-1-topk-k2", "tiny-resid_post-1-topk-k4"]
    assert [one["results"]["tokens"] for one in found] == [1984, 1984]
    assert train(tmp_path, tiny_lm, tiny_text, "--k", "2", "--json", "--out", "one") == 0
    assert json.loads(capfd.readouterr().out)["name"] == "one"


def test_a_bad_list_is_wrong_use(
    tmp_path: Path, tiny_lm: Path, tiny_text: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, tiny_lm, tiny_text, "--k", "2,x") == 2
    assert "'x' is not a whole number of at least 1" in capfd.readouterr().err
    assert train(tmp_path, tiny_lm, tiny_text, "--arch", "relu,gated", "--k", "2") == 2
    assert "--k has no meaning for relu, gated" in capfd.readouterr().err
