"""`monosem explain` from outside: what it prints, its JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from tests.sample_run import Sample, build_sample


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    sample = build_sample(tmp_path_factory.mktemp("runs") / "run", n_contexts=160)
    assert run(["explain", str(sample.run.path), "1", "3"]) == 0
    return sample


def test_text(explained: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(explained.run.path), "1", "3", "47"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '1  " said"  [token]'
    assert lines[1].startswith("    F1 1.00 1.00–1.00  precision 1.00  recall 1.00  AUROC 1.000  r ")
    assert lines[2] == '    token(" said")'
    assert lines[6] == "47  never fires"
    assert lines[7].startswith("kinds of ")
    assert lines[8].startswith("3 features: 67% with F1 ≥ 0.8, 67% with F1 ≥ 0.5 on held-out documents; median 1 pred")


def test_json_and_filters(explained: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(explained.run.path), "--filter", "id<3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["feature"] for one in found] == [0, 1, 2]
    keys = "author text rule threshold documents precision recall f1 auroc r ci detection fuzzing control".split()
    assert {"feature", "kind", "token_share", "explanations"} <= set(found[1])
    assert set(keys) <= set(found[1]["explanations"][0])
    assert found[1]["kind"] == "token"
    assert found[1]["explanations"][0]["ci"]["f1"] == [1.0, 1.0]
    assert run(["show", str(explained.run.path), "--filter", "kind:token", "--json"]) == 0
    assert {1, 2, 3} <= {one["feature"] for one in json.loads(capsys.readouterr().out)["features"]}


def test_the_list_shows_the_best_explanation(explained: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", str(explained.run.path), "--filter", "id=1", "--width", "120"]) == 0
    assert 'rules: " said"' in capsys.readouterr().out


def test_a_rule_of_ones_own(explained: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(explained.run.path)
    assert run(["explain", path, "1", "--rule", 'word("SAID")', "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["f1"], found["precision"]) == ('word("SAID")', 1.0, 1.0)
    assert run(["find", path, "--rule", found["rule"], "--held-out", "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["results"][0]
    assert (best["feature"], best["f1"], best["threshold"]) == (1, found["f1"], found["threshold"])
    assert run(["show", path, "--filter", 'rule:{word("said")}>90%', "--json"]) == 0
    assert [one["feature"] for one in json.loads(capsys.readouterr().out)["features"]] == [1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["48"], "there is no feature 48"),
        (["1", "--all"], "exclude each other"),
        (["--filter", "red:1"], "there is no filter red"),
        (["1", "--rule", "red"], "is expected"),
        (["1", "2", "--rule", "quote"], "for one feature"),
        (["1", "--threshold", "2"], "goes with --rule"),
        (["1", "--by", "magic"], "there is no author magic"),
        (["1", "--rule", 'token("zzz")'], "no token of the vocabulary"),
    ],
)
def test_wrong_use(explained: Sample, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = explained.run.explanations.read_bytes()
    assert run(["explain", str(explained.run.path), *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert len(captured.err.splitlines()) <= 2
    assert explained.run.explanations.read_bytes() == before


def test_an_index_that_is_not_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = build_sample(tmp_path / "run", merged=False)
    assert run(["explain", str(sample.run.path), "1"]) == 2
    assert "not a whole index" in capsys.readouterr().err
