"""`monosem find` from outside, against the dense truth that the sample run was made from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from monosem_tui.cli.main import run
from store.notes.note_file import Notes
from store.run.folder import RunFolder
from tests.cli.running import ENTRY, ROOT, clean_environment, monosem
from tests.patience import PATIENCE
from tests.sample_run import CONCEPTS, Sample, build_sample, word_ids
from tests.store.raw import Raw, RawToken, build_store

SEA = r" (sea|boat|water|fish|swim|ocean|beach)"
RESULT_KEYS = [
    "feature", "precision", "recall", "f1", "precision_ci", "recall_ci", "f1_ci", "hits", "fired", "auroc", "threshold",
    "n_active", "label", "explanation",
]  # fmt: skip


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["find", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found: dict[str, Any] = json.loads(captured.out)
    return found


def test_a_pattern_finds_the_feature_made_for_it(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), SEA)
    matched = int(np.isin(sample.token_N, word_ids(CONCEPTS[0])).sum())
    assert (found["pattern"], found["matched_tokens"], found["held_out"]) == (SEA, matched, False)
    best = found["results"][0]
    assert set(best) == set(RESULT_KEYS)
    assert (best["feature"], best["f1"], best["auroc"]) == (0, 1.0, 1.0)
    act_N = sample.dense_NF[:, 0]
    assert best["threshold"] == act_N[act_N > 0].min()
    assert (best["n_active"], best["label"]) == (matched, "")
    assert found["set"]["features"] == [0]


def test_held_out_and_single_tokens(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "^ (dog|cat|bird)$", "--tokens", "--held-out", "--top", "2")
    matched_N = np.isin(sample.token_N, word_ids(CONCEPTS[3]))
    odd_N, act_N = np.arange(len(matched_N)) // 32 % 2 == 1, sample.dense_NF[:, 3]
    threshold = act_N[matched_N & ~odd_N].min()
    assert (found["matched_tokens"], found["measured_tokens"]) == (matched_N.sum(), (matched_N & odd_N).sum())
    best = found["results"][0]
    assert (best["feature"], best["threshold"]) == (3, threshold)
    assert best["hits"] == (matched_N & odd_N & (act_N >= threshold)).sum()
    assert len(found["results"]) == 2


@pytest.mark.parametrize("more", [[], ["--held-out"], ["--last"], ["--by", "auroc", "--set", "0"]])
def test_the_table_fits(sample: Sample, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find", str(sample.run.path), SEA, "--top", "30", *more]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert max(map(cell_len, lines)) <= 80
    assert lines[2].split()[0] == "0"
    assert "\x1b" not in captured.out


def test_labels_rank_features_label_by_label(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Documents of the sample are 48 tokens; those of even number are told from the others."""
    file = tmp_path / "labels.jsonl"
    last = (len(sample.token_N) - 1) // 48
    lines = [{"label": ("odd", "even")[n % 2 == 0], "document": n} for n in range(last + 1)]
    file.write_text("\n".join(map(json.dumps, lines)))
    found = _json(capsys, str(sample.run.path), "--labels", str(file))
    even_N = (np.arange(len(sample.token_N)) // 48 % 2 == 0) & sample.counted_N
    assert [one["label"] for one in found["labels"]] == ["even", "odd"]
    assert found["labels"][0]["matched_tokens"] == even_N.sum()
    assert found["labels"][0]["scored_tokens"] == sample.counted_N.sum()
    assert run(["find", str(sample.run.path), "--labels", str(file)]) == 0
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 80


def test_a_label_in_one_half_is_passed_over(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Document 0 has all of context 0 and half of context 1; document 1 nothing but the other half and context 2."""
    file = tmp_path / "labels.jsonl"
    lines = [{"label": "both", "document": 0}, {"label": "both", "document": 1}]
    file.write_text("\n".join(map(json.dumps, [*lines, {"label": "one", "document": 2}])))
    made = build_sample(tmp_path / "run", n_contexts=4, segments=1)
    assert run(["find", str(made.run.path), "--labels", str(file), "--held-out"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "left out: one matches in one half of the contexts only\n"
    assert [line.split()[0] for line in captured.out.splitlines()[1:3]] == ["label", "both"]


def test_a_feature_by_its_tokens(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "--feature", "0")
    words = {f" {word}" for word in CONCEPTS[0]}
    assert {one["text"] for one in found["ngrams"]["token"]} == words
    assert all(one["precision"] == 1 for one in found["ngrams"]["token"])
    assert run(["find", str(sample.run.path), "--feature", "0"]) == 0
    out = capsys.readouterr().out
    assert "·sea" in out and "token that follows" in out
    assert max(map(cell_len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a("], "not a regular expression: missing ), unterminated subpattern (character 2)"),
        (["xyzzy"], "nothing in the indexed corpus matches 'xyzzy'"),
        ([""], "nothing in the indexed corpus matches ''"),
        ([], "nothing to find was given"),
        (["a", "--feature", "1"], "PATTERN and --feature exclude each other"),
        (["--feature", "1", "--tokens"], "--tokens is for a PATTERN"),
        (["--feature", "47"], "feature 47 never fires"),
        (["--feature", "48"], "there is no feature 48"),
        (["--labels", "nowhere.tsv"], "cannot read nowhere.tsv: No such file"),
    ],
)
def test_errors(sample: Sample, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find", str(sample.run.path), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert len(captured.err.splitlines()) <= 2


def test_labels_of_features_and_unfinished_indexes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = build_sample(tmp_path / "run", merged=False)
    Notes(RunFolder(made.run.path).notes).set(0, "label", "the sea\x1b[31m")
    assert _json(capsys, str(made.run.path), SEA)["results"][0]["label"] == "the sea\x1b[31m"
    assert run(["find", str(made.run.path), SEA]) == 0
    out = capsys.readouterr().out
    assert "the sea" in out and "\x1b" not in out


def test_bytes_when_piped(sample: Sample) -> None:
    for more in ([], ["--json"]):
        done = monosem("find", str(sample.run.path), SEA, *more)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\x1b" not in done.stdout


STARTED = """
import sys
import store.query.pattern_tokens as matching

compiled = matching.compile_pattern


class Announced:
    def __init__(self, pattern):
        self._pattern = compiled(pattern)

    def finditer(self, text):
        sys.stderr.write("matching\\n")
        sys.stderr.flush()
        return self._pattern.finditer(text)


matching.compile_pattern = Announced
"""


def test_a_pattern_that_takes_for_ever_can_be_stopped(tmp_path: Path) -> None:
    """2 to the power of 60 ways to fail: Ctrl-C ends it."""
    tokens = [RawToken(1, 0, True, {1: 1.0}) for _ in range(60)]
    build_store(tmp_path / "run", Raw(4, [tokens]), 1, merged=True)
    child = subprocess.Popen(
        [sys.executable, "-c", STARTED + ENTRY, "find", str(tmp_path / "run"), "( w1| w1)+$Z"],
        cwd=ROOT,
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    assert child.stderr.readline() == "matching\n"
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=PATIENCE)
    assert (child.returncode, said) == (2, "monosem: stopped\n")
