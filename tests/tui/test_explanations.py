"""Explanations in the app: dim in the list, on the page, searched, taken as a label; E finds a rule."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_markdown import as_markdown
from monosem_tui.export.tables import write_csv
from monosem_tui.model.feature_document import read_document
from monosem_tui.model.open_run import OpenRun, open_run
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations, ExplanationScores, Figure
from store.notes.note_file import Notes
from store.settings.features import ExampleSettings
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import press, screen_text, settle, until

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


async def test_e_finds_a_rule(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    app = make_app(own)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "E")
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
