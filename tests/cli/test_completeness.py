"""`monosem find --concepts`, and what Health shows of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from monosem_tui.model.open_run import open_run
from monosem_tui.model.run_health import figures
from store.index.reader import FeatureStore
from store.query.completeness_file import completeness_path, kept_completeness
from store.verify.run_check import verify_run
from tests.sample_run import Sample, build_sample

FILE = 'water\tsea|boat|water|fish|swim|ocean|beach\nsaid\trule:word("said")\nred\t\\bred\\b\nnothing\tzebra\n'


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return build_sample(tmp_path / "run", n_contexts=60)


@pytest.fixture
def concepts(tmp_path: Path) -> str:
    path = tmp_path / "mine.txt"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def test_found_concepts_are_printed_and_kept(sample: Sample, concepts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find", str(sample.run.path), "--concepts", concepts]) == 0
    printed = capsys.readouterr()
    assert "completeness for mine  2 of 3, 67 % (21–94) by one feature, 2 of 3" in printed.out
    assert "1 of the list's concepts have fewer than 20 tokens" in printed.out
    with FeatureStore.open(sample.run.path) as store:
        (kept,) = kept_completeness(store)
        assert str(completeness_path(store.path, "mine")) in printed.err
    assert (kept.found, len(kept.judged), kept.features) == (2, 3, 48)
    assert all(finding.ok for finding in verify_run(sample.run))


def test_json_has_the_figures(sample: Sample, concepts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find", str(sample.run.path), "--concepts", concepts, "--set", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["judged"], found["share"], found["d_sae"]) == (3, pytest.approx(2 / 3), 48)
    water, said, red, nothing = found["concepts"]
    assert water["best"] == water["set"]
    assert water["best"]["features"] == [0]
    assert said["is_rule"]
    assert red["best"]["f1"] < 0.5
    assert (nothing["judged"], nothing["best"]) == (False, None)
    assert sum(one["concepts"] for one in found["by_frequency"]) == 3


def test_health_shows_what_belongs_to_the_index(
    sample: Sample, concepts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", str(sample.run.path), "--concepts", concepts]) == 0
    capsys.readouterr()
    line = "finds 2 of 3 concepts of mine by a feature, 2 by up to 5"
    opened = open_run(sample.run.path)
    assert line in figures(opened)
    opened.store.close()
    other = build_sample(sample.run.path.parent / "other", seed=5)
    (other.run.path / "completeness").mkdir()
    kept = sample.run.path / "completeness" / "mine.json"
    (other.run.path / "completeness" / "mine.json").write_bytes(kept.read_bytes())
    (sample.run.path / "completeness" / "forged.json").write_text("{}")
    for path, shown in ((sample.run.path, True), (other.run.path, False)):
        opened = open_run(path)
        assert (line in figures(opened)) == shown
        opened.store.close()


@pytest.mark.parametrize("change", [('"hits": ', '"hits": 9999'), ('"features": [', '"features": [77777, '), ("{", "")])
def test_forged_figures_are_left_out(
    sample: Sample, concepts: str, change: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", str(sample.run.path), "--concepts", concepts]) == 0
    capsys.readouterr()
    kept = sample.run.path / "completeness" / "mine.json"
    kept.write_text(kept.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with FeatureStore.open(sample.run.path) as store:
        assert kept_completeness(store) == []
    assert [finding.path for finding in verify_run(sample.run) if not finding.ok] == [kept]


def test_wrong_use_is_refused_in_a_line(
    sample: Sample, concepts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.txt").write_text("water")
    for arguments, reason in (
        (["--concepts", "nowhere"], "no list of concepts at nowhere"),
        (["--concepts", str(tmp_path / "wrong.txt")], "line 1: no name, tab and pattern"),
        (["--concepts", concepts, "sea"], "exclude each other"),
    ):
        assert run(["find", str(sample.run.path), *arguments]) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert "Traceback" not in said


def test_nothing_is_written_through_a_link(
    sample: Sample, concepts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (sample.run.path / "completeness").symlink_to(tmp_path / "elsewhere")
    assert run(["find", str(sample.run.path), "--concepts", concepts]) == 0
    assert "not kept" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())
