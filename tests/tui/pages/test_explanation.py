"""Terms and their explanation: one table, no column or heading without a term, a panel of constant height."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.spans import text_of, width_of
from monosem_tui.model.feature_card import read_card
from monosem_tui.model.feature_stats import read_figures
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.run_order import RunOrdering
from monosem_tui.pages.explanation_page import explanation_lines, panel_rows
from monosem_tui.pages.feature_page import PageLook, sheet
from monosem_tui.pages.glossary_page import glossary_page
from monosem_tui.pages.pair_rows import pair_header
from monosem_tui.pages.place_terms import COLUMNS, column_terms, group_term
from monosem_tui.pages.ranking_page import rank_columns, rank_header
from monosem_tui.pages.run_rows import run_columns, run_header
from monosem_tui.terms import feature_page as terms
from monosem_tui.terms.detection import AUROC, F1
from monosem_tui.terms.quality import DEAD, DENSITIES
from monosem_tui.terms.table import TERMS

GLOSSARY = Path(__file__).resolve().parents[3] / "docs" / "glossary.md"


def test_the_glossary_is_made_of_the_table() -> None:
    assert GLOSSARY.read_text(encoding="utf-8") == glossary_page(), "make glossary renews docs/glossary.md"


def test_one_word_has_one_meaning() -> None:
    assert [name for name, n in Counter(term.name for term in TERMS).items() if n > 1] == []
    headings = Counter(term.heading for term in TERMS if term.heading)
    assert max(headings.values()) == 1


def test_sentences_end_without_a_stop() -> None:
    texts = [text for t in TERMS for text in (t.meaning, t.formula, t.unit, t.typical, t.source)]
    assert [text for text in texts if text.endswith((".", ";", " "))] == []


def test_every_name_of_a_column_is_explained() -> None:
    """The headers of all lists in words that `COLUMNS` knows, but for names of runs."""
    headers = [
        rank_header(rank_columns(160, 4), "f1"),
        pair_header(["one"], 120, tree=False, sort="r", descending=True),
        pair_header(["one"], 120, tree=True, sort="r", descending=True),
        run_header(run_columns(160), RunOrdering()),
    ]
    for header in headers:
        names = {name for name in re.split(r"[↓↑ ]{2,}|[↓↑]", text_of(header).strip()) if name}
        assert names - {"name", "one"} <= set(COLUMNS), names


def test_the_column_that_a_list_is_sorted_by_is_explained_in_full() -> None:
    by_f1, by_auroc = (column_terms(rank_header(rank_columns(160, 4), by)) for by in ("f1", "auroc"))
    assert (by_f1.term, by_auroc.term) == (F1, AUROC)
    assert set(by_f1.others) == set(by_auroc.others) > {F1, AUROC}


def test_groups_of_health_have_terms() -> None:
    assert (group_term("dead", ""), group_term("0.1 to 1 %", "")) == (DEAD, DENSITIES)
    assert group_term("position", "kind") is terms.KIND


@pytest.mark.parametrize("cells", [79, 180])
def test_everything_on_a_page_is_explained(cells: int, opened: OpenRun) -> None:
    card, figures = read_card(opened.store, opened.notes, 0), read_figures(opened.store, opened.notes, 0)
    laid = sheet(card, figures, cells, PageLook(Rendering.MARKS, side=True))
    assert all(stop.term is not None for stop in laid.stops)
    found = {stop.term for stop in laid.stops if not stop.key.leads}
    assert found >= {terms.DENSITY, terms.MAX, terms.HISTOGRAM, terms.DRIFT, terms.TOP, terms.INTERVAL, terms.RANDOM}
    assert found >= {terms.PROMOTES, terms.SUPPRESSES, terms.SIMILAR, terms.FIRES_WITH, terms.LOGIT_HISTOGRAM}


@pytest.mark.parametrize("cells", [40, 79, 160])
@pytest.mark.parametrize("rows", [6, 11, 16])
def test_the_panel_keeps_its_height_and_width(cells: int, rows: int) -> None:
    for term in (None, *TERMS):
        lines = explanation_lines(term, TERMS[:20], cells, rows, "n/N each · ")
        assert len(lines) == rows
        assert all(width_of(spans) <= cells for spans in lines)
        assert term is None or term.title in text_of(lines[0]) or cells < 60


def test_most_terms_are_explained_whole_on_a_small_screen() -> None:
    """At 80 columns of 24 rows; the longest lose the end of what they say."""
    rows = panel_rows(24)
    whole = [term for term in TERMS if not explanation_lines(term, (), 80, rows + 1)[rows]]
    assert len(whole) >= 0.95 * len(TERMS)
