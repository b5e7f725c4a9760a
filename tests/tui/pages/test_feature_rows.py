"""Rows of the feature list at all widths: what they show, and that their columns stand still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len

from monosem_tui.draw.numbers import one_in
from monosem_tui.draw.spans import HEAT, Role, text_of, width_of
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.snippets import BINS, UNREADABLE, Preview, read_preview
from monosem_tui.pages.example_text import FeatureText
from monosem_tui.pages.feature_rows import Columns, Row, columns, head_at, header, heads, listed, row
from store.query.histogram import activation_histogram
from store.settings.feature_kinds import SHARES
from tests.sample_run import Sample
from tests.tui.draw.test_safe_text import HOSTILE, assert_harmless

WIDTHS = [36, 40, 44, 48, 56, 60, 72, 80, 100, 120, 200]


def preview(before: list[str], peak: str, after: list[str], act: float = 2.0) -> Preview:
    tokens = [*before, peak, *after]
    act_T = np.zeros(len(tokens), np.float32)
    act_T[len(before)] = act
    return Preview(ShownExample(tokens, act_T, len(before), 0, len(before)), np.arange(BINS))


def entry(where: Columns, **more: object) -> Row:
    words = {name: more.pop(name) for name in ("preview", "label", "suggestion") if name in more}
    text = FeatureText(**{"preview": preview([" a"] * 30, " PEAK", [" z"] * 30)} | words)  # type: ignore[arg-type]
    return replace(Row(7, 0.5, (2.0,) * len(where.values), text), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("cells", WIDTHS)
@pytest.mark.parametrize("digits", [2, 6])
def test_rows_fit_their_width(cells: int, digits: int) -> None:
    for sort in ("id", "density", "max", "mean", "norm", *SHARES):
        where = columns(cells, digits, sort, kinds=True, norms=True, outliers=True)
        names = list(heads(where, named=True))
        assert names[-1].start + names[-1].cells <= cells
        for label in ("", "日本" * 30):
            for token in (*HOSTILE[3:5], "x" * 50, "日本" * 20):
                wide = entry(where, label=label, preview=preview([token] * 9, token, [token] * 9), bookmark=True)
                wide = replace(wide, feature=10**digits - 1, values=(1e5,) * len(where.values), kind="position")
                for cursor in (False, True):
                    spans = listed(row(wide, where), cursor=cursor, focus=True, cells=cells)
                    assert width_of(spans) == cells if cursor else width_of(spans) <= cells
                    assert str(10**digits - 1) in text_of(spans)


@pytest.mark.parametrize("cells", WIDTHS)
def test_names_of_columns_never_touch_and_the_one_that_sorts_is_there(cells: int) -> None:
    for sort in ("id", "density", "max", "mean", "norm", *SHARES):
        where = columns(cells, 4, sort, kinds=True, norms=True)
        for descending in (True, False):
            text = text_of(header(where, sort, descending=descending, named=True))
            assert text.count("↓" if descending else "↑") == 1
            words = [head.name for head in heads(where, named=True)]
            shown = text.replace("↓", "").replace("↑", "")
            assert " ".join(shown.split()) == " ".join(words), "two names stand in one column, or one was cut"
        for head in heads(where, named=True):
            assert head_at(where, head.start) == head_at(where, head.start + len(head.name) - 1) == head.key
        assert head_at(where, 0) == ""


def test_columns_come_one_by_one_as_the_list_gets_wider() -> None:
    def shown(cells: int, **known: bool) -> list[str]:
        return [head.name for head in heads(columns(cells, 4, "max", **known), named=False)]

    text = "strongest example"
    assert shown(40) == ["id", "max", text]
    assert shown(48) == ["id", "max", "0–max", text]
    assert shown(60) == shown(80) == ["id", "1 in", "max", "0–max", text]
    assert shown(80, kinds=True) == ["id", "1 in", "max", "0–max", "kind", text]
    wide = ["id", "density", "max", "mean", "0–max", "kind", text]
    assert shown(120, kinds=True) == shown(200, kinds=True) == wide
    assert "norm" in shown(200, kinds=True, norms=True)
    for cells in range(40, 200):
        assert columns(cells, 4, "max", kinds=True).text.cells >= 24


@pytest.mark.parametrize("cells", WIDTHS)
def test_peaks_stand_in_one_column(cells: int) -> None:
    where = columns(cells, 4, "max")
    texts = [[" a"] * 30, [], ["日本"] * 9]
    rows = [text_of(row(entry(where, preview=preview(one, "PEAK", [" z"] * 9)), where)) for one in texts]
    assert len({cell_len(text[: text.index("P")]) for text in rows}) == 1


@pytest.mark.parametrize("cells", WIDTHS)
def test_a_name_takes_the_end_of_its_own_row_only(cells: int) -> None:
    where = columns(cells, 4, "max")
    plain = row(entry(where), where)
    for more, role in (({"label": "its label"}, Role.MARK), ({"suggestion": "its rule"}, Role.DIM)):
        named = row(entry(where, **more), where)
        (name,) = more.values()
        assert next(span.role for span in named if name[:6] in span.text) is role
        assert "PEAK" in text_of(named)
        assert text_of(named)[: cells - where.text.cells - 1] == text_of(plain)[: cells - where.text.cells - 1]
    unread = entry(where, label="its label", preview=None)
    assert "its labe" in text_of(row(unread, where))


def test_heat_is_of_what_fires_with_a_quarter_of_the_maximum() -> None:
    where = columns(120, 4, "max")
    tokens, act_T = [" a", " b", " c", " d"], np.array([0.4, 0.6, 2.0, 0.0], np.float32)
    shown = Preview(ShownExample(tokens, act_T, 2, 0, 2), np.arange(BINS))
    roles = {span.text: span.role for span in row(entry(where, preview=shown), where) if span.text in tokens}
    assert roles[" a"] is roles[" d"] is Role.PLAIN
    assert HEAT.index(roles[" b"]) in (3, 4) and roles[" c"] is Role.HEAT_5
    lit = listed(row(entry(where, preview=shown), where), cursor=True, focus=True, cells=120)
    assert Role.HEAT_5 in {span.role for span in lit}


def test_what_is_not_there_is_said() -> None:
    where = columns(80, 4, "max", outliers=True)
    dead = entry(where, density=0.0, preview=Preview(None, np.zeros(BINS, np.int64)))
    assert text_of(row(dead, where)).split()[-2:] == ["never", "fires"] and " never " in text_of(row(dead, where))
    assert text_of(row(entry(where, preview=UNREADABLE), where)).endswith("  ?")
    assert "2.0!" in text_of(row(entry(where, outlier=True), where))
    assert "!" not in text_of(row(entry(where), where))


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "1.0"),
        (0.4, "2.5"),
        (1 / 9.96, "10"),
        (1 / 830, "830"),
        (1 / 999.7, "1.0k"),
        (1 / 1234, "1.2k"),
        (1 / 12_345, "12k"),
        (1 / 999_700, "1.0M"),
        (3e-8, "33M"),
        (0.0, "never"),
    ],
)
def test_one_unit_for_densities(share: float, shown: str) -> None:
    assert one_in(share) == shown


def test_previews_are_of_the_strongest_place(opened: OpenRun, sample: Sample) -> None:
    for feature, acts in enumerate(sample.dense_NF.T):
        found = read_preview(opened.store, feature)
        if not acts.any():
            assert found.snippet is None and not found.count_B.any()
            continue
        assert found.snippet is not None
        assert found.snippet.act == acts.max() and found.snippet.place == int(acts.argmax())
        assert (found.count_B == activation_histogram(opened.store, feature, BINS).counts).all()
        assert found.count_B.sum() == (acts > 0).sum()
        around = slice(found.snippet.place - found.snippet.peak, None)
        assert (found.snippet.act_T == acts[around][: len(found.snippet.act_T)]).all()
        assert_harmless("".join(found.snippet.tokens))
