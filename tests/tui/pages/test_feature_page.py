"""The page and the rows as lines, without a screen."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, signed
from monosem_tui.draw.sheet import NAME
from monosem_tui.draw.spans import Role, text_of, width_of
from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_markdown import as_markdown
from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.feature_card import FeatureCard, ShownExample, feature_name, read_card
from monosem_tui.model.feature_document import read_document
from monosem_tui.model.feature_stats import read_figures
from monosem_tui.model.open_run import OpenRun, headline
from monosem_tui.pages.feature_charts import BEGINS, STRIP_END, interval_starts
from monosem_tui.pages.feature_page import PageLook, as_text, page, sheet
from monosem_tui.pages.passage import frame, passage
from store.index.segment import IndexPlan
from store.run.spec import SaeSpec
from store.settings.features import ExampleSettings
from tests.sample_run import Sample
from tests.tui.draw.test_safe_text import assert_harmless

LEGEND = f" · {BEGINS} intervals"


@pytest.mark.parametrize("rendering", Rendering)
@pytest.mark.parametrize("cells", [40, 57, 79, 120, 198])
def test_no_line_is_wider_than_the_page(cells: int, rendering: Rendering, opened: OpenRun) -> None:
    for feature in (0, 1, 5, 46, 47):
        card = read_card(opened.store, opened.notes, feature)
        for figures in (None, read_figures(opened.store, opened.notes, feature)):
            looks = [PageLook(rendering, log, rows, side) for log, rows, side in ((True, 24, False), (False, 50, True))]
            sheets = [sheet(card, figures, cells, look) for look in looks]
            for spans in [line for one in sheets for line in one.lines] + page(card, figures, cells, rendering):
                assert width_of(spans) <= cells
                assert_harmless(text_of(spans))
            for stop in (stop for one in sheets for stop in one.stops):
                assert stop.column + stop.cells <= cells


@pytest.mark.parametrize("log", [False, True])
def test_charts_keep_together_at_any_width(log: bool, opened: OpenRun) -> None:
    card = read_card(opened.store, opened.notes, 0)
    figures = read_figures(opened.store, opened.notes, 0)
    assert figures.logits is not None
    figures = replace(figures, logits=replace(figures.logits, edges=figures.logits.edges * 10))
    ends = {signed(float(value)) for value in figures.logits.edges[[0, -1]]}
    for cells in range(40, 100):
        lines = sheet(card, figures, cells, PageLook(Rendering.MARKS, log)).lines
        assert all(width_of(spans) <= cells for spans in lines)
        texts = [text_of(spans) for spans in lines]
        at = next(number for number, text in enumerate(texts) if text.startswith("activations"))
        columns = next(n for n in (32, 16, 8) if cells >= NAME + n + STRIP_END)
        marks = len(interval_starts(card, columns)) if BEGINS in texts[at].removesuffix(LEGEND) else 0
        assert texts[at].startswith(f" {activation(card.max)}", NAME + columns + marks)
        texts[at] = texts[at].replace(BEGINS, "", marks)
        last = at + 1 + log
        assert texts[last].startswith("along corpus")
        assert [text.startswith("in log bins") for text in texts[at + 1 : last]] == [True] * log
        strips = [text[NAME : NAME + columns + 1] for text in texts[at : last + 1]]
        assert all(re.fullmatch("[ ▁-█]+", strip) for strip in strips)
        assert texts[last + 1] == ""
        assert "at zero" in texts[at] or cells < 75
        assert "log" in texts[at] or not log
        logits = next(text for text in texts if text.startswith("LOGIT EFFECT"))
        assert all(end in logits for end in ends)


def activations(card: FeatureCard, cells: int) -> list[str]:
    texts = [text_of(spans) for spans in sheet(card, None, cells, PageLook(Rendering.MARKS)).lines]
    return [text for text in texts if text.startswith("activations")]


@pytest.mark.parametrize("by_value", [False, True])
def test_the_strip_is_marked_where_intervals_begin(by_value: bool, opened: OpenRun) -> None:
    for intervals in (4, 12):
        card = read_card(opened.store, opened.notes, 0, ExampleChoice(intervals=intervals, by_value=by_value))
        lows = [section.interval.low for section in card.sections if section.interval is not None]
        assert len(lows) >= 3
        (text,) = activations(card, 97)
        assert text.endswith(f" at zero{LEGEND}")
        strip = text[NAME:].partition(f" {activation(card.max)} ")[0]
        parts = strip.split(BEGINS)
        assert len("".join(parts)) == 32
        edges = np.cumsum([len(part) for part in parts])[:-1] * card.max / 32
        assert all(np.abs(edges - low).min() <= card.max / 32 for low in sorted(lows)[1:] if low > card.max / 32)
        assert all(min(abs(edge - low) for low in lows) <= card.max / 32 for edge in edges)
        assert BEGINS not in activations(card, 40)[0] or intervals == 4


def test_a_card_says_what_the_store_was_made_from(opened: OpenRun, sample: Sample) -> None:
    dense = sample.dense_NF[:, 0]
    card = read_card(opened.store, opened.notes, 0)
    fires = dense[dense > 0]
    assert card.count == len(fires)
    assert card.density == pytest.approx(len(fires) / sample.counted_N.sum())
    assert (card.max, card.mean) == (pytest.approx(fires.max()), pytest.approx(fires.mean(), rel=1e-6))
    assert card.histogram.counts.sum() == len(fires)
    text = as_text(card)
    assert f"max {activation(fires.max())}" in text
    assert f"the strongest 8 of {len(fires)}" in text
    strongest = [example.act for example in card.sections[0].examples]
    assert strongest == sorted(strongest, reverse=True)
    assert strongest[0] == fires.max()


def test_a_dead_feature_says_so_in_words(opened: OpenRun) -> None:
    text = as_text(read_card(opened.store, opened.notes, 47))
    assert "Dead: it fires on none of the 930 tokens of the index." in text
    assert "TOP" not in text
    assert "PROMOTES" in text


def test_a_site_that_leads_nowhere_says_so(opened: OpenRun) -> None:
    card = replace(read_card(opened.store, opened.notes, 0), raises=[], lowers=[])
    lines = [text_of(spans) for spans in page(card, None, 80, Rendering.MARKS)]
    assert any(text.startswith("PROMOTES       nothing by itself") for text in lines)
    assert not any(text.startswith("SUPPRESSES") for text in lines)


def test_comments_and_tags_are_shown(opened: OpenRun) -> None:
    card = replace(read_card(opened.store, opened.notes, 0), comment="see also 412 " * 20)
    lines = [text_of(spans) for spans in page(card, None, 60, Rendering.MARKS)]
    assert sum("see also" in text for text in lines) >= 4


def test_neighbours_go_by_label_then_by_token(opened: OpenRun) -> None:
    assert feature_name(opened.store, opened.notes, 0) == "water, boats, the sea"
    assert feature_name(opened.store, opened.notes, 1) == "·said"
    assert feature_name(opened.store, opened.notes, 47) == ""


def _example(before: str, peak: str, after: str) -> ShownExample:
    tokens = [*before, peak, *after]
    act = np.zeros(len(tokens), np.float32)
    act[len(before)] = 2.0
    return ShownExample(tokens, act, len(before), 0, len(before))


def test_an_example_whose_peak_is_an_outlier_is_marked(opened: OpenRun) -> None:
    card = read_card(opened.store, opened.notes, 0)
    plain = [text_of(spans) for spans in page(card, None, 80, Rendering.MARKS)]
    section = card.sections[0]
    examples = [replace(one, outlier=number == 1) for number, one in enumerate(section.examples)]
    card = replace(card, sections=[replace(section, examples=examples), *card.sections[1:]])
    lines = [text_of(spans) for spans in page(card, None, 80, Rendering.MARKS)]
    heading, marked = (number for number, (one, other) in enumerate(zip(lines, plain, strict=True)) if one != other)
    assert lines[heading].endswith("; ! an outlier token")
    assert lines[marked] == plain[marked].replace(" ", "!", 1) or "! " in lines[marked]
    assert marked == heading + 2


def test_an_outlier_is_marked_in_files_too(opened: OpenRun) -> None:
    document = read_document(opened.store, opened.notes, 0, ExampleSettings(), "run")
    assert "outlier" not in as_html(document) + as_markdown(document)
    section = document.card.sections[0]
    examples = [replace(one, outlier=number == 1) for number, one in enumerate(section.examples)]
    card = replace(document.card, sections=[replace(section, examples=examples), *document.card.sections[1:]])
    document, act = replace(document, card=card), activation(examples[1].act)
    html, markdown = as_html(document), as_markdown(document)
    assert html.count(f"<b>{act}!</b>") == 1 and html.count("; ! an outlier token</small>") == 1
    assert markdown.count(f"\n| {act}! | ") == 1 and markdown.count("; ! an outlier token\n") == 1


@pytest.mark.parametrize("rendering", Rendering)
def test_peaks_stand_in_one_column(rendering: Rendering) -> None:
    examples = [_example("a" * n, "PEAK", "z" * 50) for n in (0, 3, 20, 90)] + [_example("日本" * 9, "PEAK", "")]
    where = frame(examples, 60)
    for example in examples:
        first, *_ = passage(example, 2.0, rendering, where)
        text = text_of(first)
        assert width_of(first) <= 60
        assert cell_len(text[: text.index("PEAK")]) == 36


def test_frame_is_no_wider_than_the_text_before_needs() -> None:
    assert frame([_example("abc", "X", "d")], 60).before == 3
    assert frame([], 60).before == 0


def test_three_renderings_of_one_passage() -> None:
    example = ShownExample([" a", " b", " c"], np.array([0.0, 4.0, 1.0], np.float32), 1, 0, 1)
    where = frame([example], 30)
    (background,) = passage(example, 4.0, Rendering.BACKGROUND, where)
    assert [span.role for span in background] == [Role.PLAIN, Role.HEAT_5, Role.HEAT_3]
    text, ruler = passage(example, 4.0, Rendering.RULER, where)
    assert (text_of(text), text_of(ruler)) == (" a b c", "  ██▄▄")
    (marks,) = passage(example, 4.0, Rendering.MARKS, where)
    assert text_of(marks) == " a b‹4.0› c"


def test_headline_keeps_the_name_longest(opened: OpenRun) -> None:
    wide = text_of(headline(opened, 120))
    assert wide == " monosem  sample · sample resid_post 2 · topk 48 k4 · EV 0.910 · L0 4.0"
    for cells in range(7, 120):
        assert width_of(headline(opened, cells)) <= max(cells, 7)
        assert "sample" in text_of(headline(opened, cells))


def test_headline_says_how_much_of_the_index_is_there(opened: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = opened.store.plan
    monkeypatch.setattr(opened.store, "plan", IndexPlan(**{**plan.__dict__, "n_contexts": 40}))
    monkeypatch.setattr(opened.store, "spec", SaeSpec(model="m\x1b[31m", site="resid_post", arch="topk", d_sae=48))
    text = text_of(headline(opened, 140))
    assert "index 75.0 %: 30 of 40 contexts" in text
    assert_harmless(text)
