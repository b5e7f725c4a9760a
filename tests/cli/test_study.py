"""`monosem study`: its file, and its report."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from monosem_tui.cli.main import run
from monosem_tui.cli.study_file import toml_text
from monosem_tui.draw.svg_plots import Axis
from monosem_tui.export.study_report import write_study
from store.comparison.figures import Shares, SideSummary, Summary
from store.files.errors import MonosemError
from store.study.figures import (
    CompletenessFigures,
    ProbeFigures,
    RuleFigures,
    StudyFigures,
    StudyPair,
    StudyRun,
    Universal,
)
from store.study.report_file import read_report, report_of

HOSTILE = "<b>|\x1b[31m]x"


def side(name: str) -> SideSummary:
    found = Shares(0.5, (0.5, 0.25, 0.0))
    return SideSummary(name, "", 8, 8, 0, 0, found, ((0.4, 0.6),) * 4, found, 0.5, 0.3)


def figures(name: str) -> StudyFigures:
    """Two runs and their pair."""
    one = StudyRun(
        name=name,
        path=f"runs/{name}",
        model=name,
        layer=1,
        site="resid_post",
        arch="topk",
        d_sae=8,
        sparsity="k 2",
        seed=0,
        tokens=1000,
        indexed=500,
        explained_variance=0.9,
        explained_variance_ordinary=0.7,
        l0=2.0,
        alive=8,
        ce_recovered=0.8,
        kl=None,
        density_edges=(-2.0, -1.0, 0.0),
        density_counts=(3, 5),
        kinds={"token": 4, "context": 4},
        rules=RuleFigures(8, 0.75, 0.5),
        probes=ProbeFigures(("en", "fr"), (1, 2, 5), (0.8, 0.9, 0.95)),
        completeness=(CompletenessFigures("python", 4, 1, 2),),
        universal=(Universal("two", 8, 0.25, 0.5),),
    )
    two = replace(one, name="two", model="two", universal=(Universal(name, 8, 0.25, 0.5),))
    pair = StudyPair(
        name, "two", Summary("token", 90, 40, 9, 0, (1,), None, False, (side(name), side("two"))), (0.9, 0.1)
    )
    return StudyFigures(name, (one, two), (pair,))


def test_the_report_is_text_whatever_names_hold(tmp_path: Path) -> None:
    files = write_study(figures(HOSTILE), tmp_path)
    assert all(path.is_file() for path in files)
    html, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for text in (html, markdown):
        assert "\x1b" not in text
        assert "75.0 %" in text
        assert "0.900" in text
    assert "<b>" not in html
    rows = [line for line in markdown.splitlines() if line.startswith("| \\<b\\>\\|")]
    assert len(rows) == 6, "one in each table"
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "density.svg",
        "kinds.svg",
        "universal.svg",
        "partners.svg",
    }
    for path in (tmp_path / "plots").iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert "\x1b" not in path.read_text()


def test_report_json_is_read_again_and_nothing_else_is(tmp_path: Path) -> None:
    written = figures(HOSTILE)
    write_study(written, tmp_path)
    assert read_report(tmp_path / "report.json") == written
    (tmp_path / "runs" / "one").mkdir(parents=True)
    assert report_of(tmp_path / "runs" / "one") == tmp_path / "report.json"
    assert report_of(tmp_path) is None
    for text in ("{}", "[]", '{"title": "x", "runs": [{"name": 3}], "pairs": []}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(MonosemError, match="is no report of a study"):
            read_report(tmp_path / "report.json")


def test_no_report_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "plots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MonosemError, match="plots is a link"):
        write_study(figures("one"), tmp_path / "study")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_plot_shows_its_figures() -> None:
    x = Axis("x", 0.0, 1.0)
    assert x.ticks() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert (x.at(0.25, 100, 200), x.at(7.0, 100, 200)) == (125, 200)
    assert Axis("x", -6.0, 0.0).ticks() == [-6, -5, -4, -3, -2, -1, 0]


FILE = """
title = "T"
[train]
data = "text.txt"
tokens = "10k"
d-sae = [16, 32]
[compare]
shifts = 0
[[models]]
name = "a"
model = "gpt2"
layer = [0, 1]
[[models]]
name = "b"
tokens = 9000
[models.lm]
tokens = 5000
vocab = 300
"""


def read(path: Path) -> tuple[object, str]:
    """Read a study as the command does, and stop before the work."""
    import typer

    from monosem_tui.cli.study_file import read_study

    command = typer.main.get_command(_app())
    with command.make_context("monosem", []) as context:
        return read_study(path, context)


def _app() -> object:
    import typer

    app = typer.Typer()
    app.command()(lambda: None)
    return app


def test_tables_are_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("words")
    (tmp_path / "study.toml").write_text(FILE)
    study, text = read(tmp_path / "study.toml")
    a, b = study.models  # type: ignore[attr-defined]
    assert (a.grid.layer, a.grid.d_sae, a.grid.settings.tokens, a.grid.settings.model) == (
        (0, 1),
        (16, 32),
        10_000,
        "gpt2",
    )
    assert (b.grid.settings.tokens, b.lm.tokens, b.lm.vocab, b.lm.data) == (9000, 5000, 300, "text.txt")
    assert study.compare.shifts == 0  # type: ignore[attr-defined]
    again = tomllib.loads(text)
    assert again["train"]["data"] == str(tmp_path / "text.txt")
    again["train"]["data"] = "text.txt"
    assert again == tomllib.loads(FILE)


def test_toml_comes_back() -> None:
    value = {"a": 'q"\\\n', "b": [1, 2.5], "c": True, "t": {"x": 1, "u": {"y": [""]}}, "m": [{"n": 1}, {"n": 2}]}
    assert tomllib.loads(toml_text(value)) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("title = ", "is not TOML"),
        ("typo = 1", "a study does not take 'typo'"),
        ("train = 1", "train is 1, not a table"),
        ("models = 1", "the models are not a list of tables"),
        ("[train]\nd-sea = 16\n[[models]]\nname = 'a'", "model a does not take 'd-sea'; did you mean 'd-sae'?"),
        ("[[models]]\nmodel = 'gpt2'", "the name of model 1 is null"),
        ("[[models]]\nname = '../x'", 'the name of model 1 is "../x"'),
        ("[[models]]\nname = 'a'\nmodel = 'gpt2'\nlm = {}", "has lm and model"),
        ("[[models]]\nname = 'a'\nd-sae = 'many'", "'many' is not a count"),
        ("[[models]]\nname = 'a'\n[compare]\nshifts = -1", "shifts"),
        ("[train]\ntokens = '1k'", "the study has no model"),
        ("baselines = ['noise']\n[[models]]\nname = 'a'", "no baseline is named 'noise'"),
        ("concepts = ['none.tsv']\n[[models]]\nname = 'a'", "no list of concepts at none.tsv"),
    ],
)
def test_wrong_files_say_so(
    content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(content)
    assert run(["study", "study.toml", "--dry-run"]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.toml"]


def test_a_missing_file_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "none.toml"]) == 2
    assert "none.toml" in capsys.readouterr().err
