"""Explanations in the app: dim in the list, on the page, searched, taken as a label; E finds a rule."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monosem_tui.cli.main import run as command
from monosem_tui.draw.spans import Role, Span
from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_markdown import as_markdown
from monosem_tui.export.tables import write_csv
from monosem_tui.model.feature_document import read_document
from monosem_tui.model.open_run import OpenRun, open_run
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations, ExplanationScores, Figure
from store.notes.note_file import Notes
from store.rules.kind_file import index_digest, save_kinds
from store.rules.kinds import Kinds
from store.settings.features import ExampleSettings
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import live, pretend
from tests.tui.screens import browse_screen, press, screen_text, settle, until

SEA = Explanation(
    feature=0,
    author="rules",
    text='"sea", "boat" (any case)\x1b[31m',
    rule='word("sea", "boat")',
    scores=ExplanationScores(f1=Figure(0.93, 0.91, 0.95), auroc=Figure(0.99, 0.98, 1.0)),
)


@pytest.fixture
def path(sample: Sample, tmp_path: Path) -> Path:
    own = Path(shutil.copytree(sample.run.path, tmp_path / "own"))
    (own / "notes.jsonl").unlink(missing_ok=True)
    Explanations(own / "explanations.jsonl").append([SEA])
    return own


@pytest.fixture
def own(path: Path) -> Iterator[OpenRun]:
    run = open_run(path)
    yield run
    run.store.close()


async def test_list_page_search_and_label(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    app = make_app(own)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        assert screen_text(pilot).count('"sea", "bo') == 2
        assert "\x1b" not in screen_text(pilot)
        assert "F1 0.93 .91–.95 · AUROC 0.99" in screen_text(pilot)
        await press(pilot, "slash", *"case", "enter")
        await settle(pilot)
        assert "1 of 48 features" in screen_text(pilot)
        await press(pilot, "escape")
        other = replace(SEA, author="gemma", text="words of the sea", scores=ExplanationScores(f1=Figure(0.95, 0.9, 1)))
        Explanations(path / "explanations.jsonl").append([other])
        await until(pilot, lambda: "words of the sea" in screen_text(pilot))
        await press(pilot, "tab", "n", "enter")
        await until(pilot, lambda: Notes(path / "notes.jsonl").load().get(0) is not None)
        assert Notes(path / "notes.jsonl").load()[0].label == "words of the sea"


async def test_e_finds_a_rule_and_measures_kinds(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    app = make_app(own)
    async with app.run_test(size=(170, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "s", "s", "s", "s")  # there are no shares of variance to sort by yet
        assert browse_screen(pilot).order.ordering.sort == "max"
        await press(pilot, "colon", *"sort", "space", *"token", "enter")
        assert "were not measured: E measures them" in screen_text(pilot)
        await press(pilot, "E")
        await until(pilot, lambda: own.kinds is not None)
        await until(pilot, lambda: "dense feature" in screen_text(pilot) and " kind " in screen_text(pilot))
        await until(pilot, lambda: Explanations.load(path).of(0)[0].key != "")
        found = Explanations.load(path).of(0)[0]
        assert found.rule is not None
        await until(pilot, lambda: found.text.split(",")[0] in screen_text(pilot))


def test_pages_and_tables_have_them(path: Path, tmp_path: Path) -> None:
    """In text, Markdown, HTML and CSV, harmless in each."""
    with FeatureStore.open(path) as store:
        document = read_document(store, {}, 0, ExampleSettings(), "own")
        html, markdown = as_html(document), as_markdown(document)
        assert "boat&quot; (any case)" in html
        assert "F1 0.93 .91–.95" in html
        assert "\x1b" not in html + markdown
        assert r"\(any case\)" in markdown
        text = write_csv(store, {}, tmp_path / "features.csv").read_text(encoding="utf-8")
    row = next(csv.DictReader(text.splitlines()))
    assert (row["explained_by"], row["rule"], row["explanation_f1"]) == ("rules", SEA.rule, "0.93")


async def test_find_inspect_and_the_tray_have_them(
    make_app: MakeApp, own: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label wins where there is one."""
    pretend(monkeypatch)
    app = make_app(own)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "colon", *'boat"', "enter")
        assert browse_screen(pilot).pane.state.feature == 0
        await press(pilot, "c", "colon", *"find", "space", *"sea", "enter")
        await until(pilot, lambda: '"sea", "boat" (any case)' in screen_text(pilot))
        own.editor.label(0, "water")
        await pilot.press("3")
        screen = await live(pilot)
        assert screen.connection.label(0) == Span("water", Role.MARK)
        own.notes.clear()
        assert screen.connection.label(0) == Span('"sea", "boat" (any case)⟨0x1B⟩[31m', Role.DIM)
        assert screen.connection.label(1) == Span("on ·said")
        screen.connection.redraw()
        await until(pilot, lambda: '"sea", "boat" (any case)' in screen_text(pilot))


async def test_kinds_stand_on_the_page_and_in_health(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    kind_F = np.array([0] * 30 + [3] * 10 + [-1] * 8, np.int8)
    share_F = np.where(kind_F < 0, np.nan, 0.5).astype(np.float32)
    save_kinds(path / "kinds.h5", Kinds(share_F, share_F, share_F, kind_F), index_digest(path / "features.h5"))
    app = make_app(own)
    async with app.run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        assert "token feature" in screen_text(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "no kind" in screen_text(pilot))
        lines = [line.split() for line in screen_text(pilot).splitlines() if "kind" in line]
        assert ["token", "30"] in [line[:2] for line in lines]
        assert ["context", "10"] in [line[:2] for line in lines]


def test_programs_read_kinds_and_explanations(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a page, a list, a search, and Neuronpedia's export, which comes back by an import."""
    kind_F, share_F = np.full(48, 3, np.int8), np.full(48, 0.25, np.float32)
    save_kinds(path / "kinds.h5", Kinds(share_F, share_F * 2, share_F, kind_F), index_digest(path / "features.h5"))
    assert command(["show", str(path), "0", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["kind"], page["token_share"], page["ngram_share"], page["context_share"]) == (
        "context",
        0.25,
        0.5,
        0.5,
    )
    (said,) = page["explanations"]
    assert (said["author"], said["text"], said["f1"], said["ci"]["f1"]) == ("rules", SEA.text, 0.93, [0.91, 0.95])
    assert command(["show", str(path), "--sort", "context", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["features"]
    assert [one["explanations"] for one in listed if one["feature"] in (0, 1)] == [[said], []]
    assert command(["find", str(path), "sea", "--json"]) == 0
    found = {one["feature"]: one["explanation"] for one in json.loads(capsys.readouterr().out)["results"]}
    assert found[0] == SEA.text
    assert set(found.values()) == {SEA.text, None}
    Notes(path / "notes.jsonl").set(1, "label", "speech")
    out = path.parent / "batches"
    assert command(["export", str(path), "--to", "neuronpedia", "--out", str(out)]) == 0
    assert "explanations.jsonl" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "explanations.jsonl").read_text().splitlines()]
    assert [(one["index"], one["description"], one["typeName"]) for one in lines] == [
        ("0", SEA.text, "explanation"),
        ("1", "speech", "label"),
    ]
    assert (lines[0]["modelId"], lines[0]["layer"], lines[0]["explanationModelName"]) == ("sample", "2-own", "rules")
    assert command(["label", str(path), "--import", str(out / "explanations.jsonl")]) == 0
    authors = [one.author for one in Explanations.load(path).of(0)]
    assert authors == ["rules", "rules (Neuronpedia)"]


async def test_what_explains_nothing_is_on_the_page_only(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    poor = replace(SEA, feature=1, text="no rule explains it", scores=ExplanationScores(f1=Figure(0.2, 0.1, 0.3)))
    Explanations(path / "explanations.jsonl").append([poor, replace(poor, feature=2, scores=ExplanationScores())])
    app = make_app(own)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: len(own.explanations.features) == 3)
        await settle(pilot)
        assert "no rule" not in screen_text(pilot)
        await press(pilot, "colon", "1", "enter")
        assert screen_text(pilot).count("no rule explains it") == 1
