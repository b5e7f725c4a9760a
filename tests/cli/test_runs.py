"""`monosem runs`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.main import run
from store.run.events import EventLog, TrainEvent
from store.run.folder import Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests.cli.test_output import HARMFUL, HOSTILE

KEYS = ["name", "path", "status", "model", "layer", "site", "arch", "d_sae", "tokens", "explained_variance", "l0"]
SPEC = SaeSpec(model="gpt2", layer=8, site="resid_pre", arch="topk", d_in=768, d_sae=24576, k=32)
RESULTS = Results(tokens=2_000_000, explained_variance=0.8349, l0=31.96)


def _make(root: Path, name: str, age: int, **changes: Any) -> RunFolder:
    folder = RunFolder(root / name)
    folder.create(replace(RunRecord(status="done", spec=SPEC, results=RESULTS), **changes))
    os.utime(folder.run_json, (10_000 - age, 10_000 - age))
    return folder


def _json(root: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert run(["runs", "--runs-dir", str(root), "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_newest_first_with_the_promised_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, age in (("old", 300), ("newest", 1), ("middle", 20)):
        _make(tmp_path, name, age)
    found = _json(tmp_path, capsys)
    assert [row["name"] for row in found] == ["newest", "middle", "old"]
    assert all(list(row) == KEYS for row in found)
    assert found[0] == {
        "name": "newest",
        "path": str(tmp_path / "newest"),
        "status": "done",
        "model": "gpt2",
        "layer": 8,
        "site": "resid_pre",
        "arch": "topk",
        "d_sae": 24576,
        "tokens": 2_000_000,
        "explained_variance": 0.8349,
        "l0": 31.96,
    }


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _make(tmp_path, "gpt2-l8", 1)
    _make(tmp_path, "new", 2, status="new", results=Results(), spec=replace(SPEC, layer=None, site="h.3.mlp"))
    assert run(["runs", "--runs-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert [line.split() for line in captured.out.splitlines()] == [
        ["name", "status", "model", "site", "layer", "arch", "d_sae", "trained", "EV", "L0"],
        ["gpt2-l8", "done", "gpt2", "resid_pre", "8", "topk", "24576", "2.0M", "0.835", "32.0"],
        ["new", "new", "gpt2", "h.3.mlp", "-", "topk", "24576", "-", "-", "-"],
    ]


def test_a_failed_run_says_why_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _make(tmp_path, "llama", 1, status="failed", message="no space left while writing x")
    assert run(["runs", "--runs-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "failed" in captured.out
    assert captured.err == "llama: no space left while writing x\n"


def test_a_run_in_training_shows_its_last_log_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _make(tmp_path, "running", 1, status="training", results=Results(), pid=os.getpid(), host=os.uname()[1])
    for step in (10, 20):
        EventLog(folder.events).append(
            TrainEvent(
                step=step,
                tokens=step * 4096,
                loss=1.0,
                l0=step + 0.5,
                explained_variance=step / 100,
                dead=0,
                lr=1e-3,
                grad_norm=1.0,
                tok_s=1.0,
            )
        )
    row = _json(tmp_path, capsys)[0]
    assert (row["status"], row["tokens"], row["l0"], row["explained_variance"]) == ("training", 81_920, 20.5, 0.2)


def test_a_killed_worker_reads_as_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _make(tmp_path, "dead", 1, status="training", pid=0, host=os.uname()[1])
    assert _json(tmp_path, capsys)[0]["status"] == "stopped"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00",
        b'{"spec": [1]}',
        b'{"spec": {"d_sae": "many"}}',
        b'{"results": {"tokens": "many"}}',
        b'{"schema_version": "x"}',
        b'{"schema_version": 99}',
        b'{"schema_version": 1e999}',
        b'{"schema_version": Infinity}',
        b'{"status": 5}',
    ],
)
def test_a_damaged_run_is_listed_as_such(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    _make(tmp_path, "sound", 1)
    _make(tmp_path, "broken", 2).run_json.write_bytes(content)
    os.utime(tmp_path / "broken" / "run.json", (1, 1))
    found = _json(tmp_path, capsys)
    assert [(row["name"], row["status"]) for row in found] == [("sound", "done"), ("broken", "damaged")]
    assert list(found[1]) == KEYS
    assert set(list(found[1].values())[3:]) == {None}
    assert run(["runs", "--runs-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].split() == ["broken", "damaged", *["-"] * 8]
    assert captured.err.startswith("broken: ")
    assert len(captured.err.splitlines()) == 1


def test_hostile_names_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = HOSTILE.replace("/", "")
    _make(tmp_path, evil, 1, status="failed", message=HOSTILE, spec=replace(SPEC, model=HOSTILE, site=HOSTILE))
    assert run(["runs", "--runs-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert not HARMFUL.search(captured.out + captured.err)
    assert len(captured.out.splitlines()) == 2
    assert _json(tmp_path, capsys)[0]["name"] == evil


def test_an_empty_or_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for root in (tmp_path, tmp_path / "none"):
        assert _json(root, capsys) == []
        assert run(["runs", "--runs-dir", str(root)]) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "monosem demo" in captured.err


def test_the_environment_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _make(tmp_path / "by-environment", "a", 1)
    _make(tmp_path / "work" / "runs", "b", 1)
    monkeypatch.chdir(tmp_path / "work")
    run(["runs", "--json"])
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["b"]
    monkeypatch.setenv("MONOSEM_RUNS", str(tmp_path / "by-environment"))
    run(["runs", "--json"])
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["a"]
