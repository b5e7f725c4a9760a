"""Runs side by side: explained variance over L0, and the settings in which they differ."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.app import MonosemApp
from monosem_tui.draw.axes import points_chart
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import text_of
from monosem_tui.model.run_differences import NONE, ComparedRun, differing
from monosem_tui.pages.run_differences_page import comparison_lines
from monosem_tui.screens.runs import RunsScreen
from monosem_tui.screens.session import Session, Tuning
from store.run.folder import Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests.tui.screens import screen_text, until


def compared(name: str, l0: float | None, ev: float | None, **settings: str) -> ComparedRun:
    return ComparedRun(name, 1000, ev, l0, settings)


def test_settings_that_differ_and_no_others() -> None:
    runs = [compared("a", 1, 0.5, k="16", lr="0.1", l1="3"), compared("b", 2, 0.6, k="32", lr="0.1")]
    assert differing(runs) == ["k", "l1"]
    text = "\n".join(map(text_of, comparison_lines(runs, 100, 30)))
    assert NONE in text
    assert "lr" not in text
    assert "all settings are the same" in "\n".join(map(text_of, comparison_lines(runs[:1] * 2, 100, 30)))


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-3, 1)) | st.none(), min_size=2, max_size=9),
    st.integers(40, 200),
    st.integers(8, 60),
)
def test_every_width_is_kept(points: list[tuple[float, float] | None], cells: int, rows: int) -> None:
    runs = [compared(f"run {n}", *(point or (None, None)), k=str(n)) for n, point in enumerate(points)]
    lines = comparison_lines(runs, cells, rows)
    assert all(width(text_of(spans)) <= cells for spans in lines)
    assert all(any(f"run {n}" in text_of(spans) for spans in lines) for n in range(len(runs)))


def test_points_stand_where_their_values_are() -> None:
    lines = list(map(text_of, points_chart(np.array([0.0, 40.0]), np.array([0.5, 1.0]), ["a", "b"], 44, 6)))
    assert (lines[0].index("b"), lines[5].index("a")) == (43, 4)
    assert lines[6].startswith("   └0")


def test_points_that_coincide_are_all_drawn() -> None:
    lines = points_chart(np.array([16.0] * 3), np.array([0.95] * 3), ["a", "b", "c"], 44, 6, most=1.0)
    assert [text for text in ("".join(sorted(text_of(spans)[6:].strip())) for spans in lines[:6]) if text] == ["abc"]


@pytest.mark.parametrize("value", [0.2, 0.95, 0.999, 1.0])
def test_the_axis_of_a_single_value_is_close_around_it(value: float) -> None:
    lines = [text_of(spans) for spans in points_chart(np.array([16.0]), np.array([value]), ["a"], 44, 6, most=1.0)]
    ticks = [float(match[1]) for text in lines if (match := re.match(r" *([\d.]+)┤", text))]
    assert ticks
    assert value * 0.85 <= min(ticks) <= max(ticks) <= 1.0


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, k, ev in (("narrow", 16, 0.9), ("wide\x1b[31m", 32, 0.95)):
        spec = SaeSpec(model="stories260K", layer=2, site="resid_post", arch="topk", d_in=64, d_sae=1000, k=k)
        results = Results(tokens=1000 * k, explained_variance=ev, l0=float(k))
        record = RunRecord(status="done", spec=spec, results=results, config={"train": {"lr": k / 1000}})
        RunFolder(tmp_path / "runs" / name).create(record)
    return tmp_path / "runs"


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_marked_runs_are_compared(size: tuple[int, int], root: Path) -> None:
    app = MonosemApp(Session(None, root, Palette(), tuning=Tuning(pause=0.0)))
    async with app.run_test(size=size) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: len(screen.runs.states) == 2)
        await pilot.press("c")
        assert "mark two runs" in screen_text(pilot)
        await pilot.press("g", "v", "v")
        assert "2 runs marked · c compares them" in screen_text(pilot)
        assert screen_text(pilot).count("✓+ ") == 2
        await pilot.press("c")
        await until(pilot, lambda: "2 runs side by side" in screen_text(pilot))
        text = screen_text(pilot)
        assert "EXPLAINED VARIANCE  over L0" in text
        assert "0.032" in text
        assert "resid_post" not in text  # the same in both; the line on the run under the list's cursor is away
        assert "\x1b" not in text
        await pilot.press("q")
        assert "resid_post" in screen_text(pilot)
        assert "✓+ " in screen_text(pilot)
        await pilot.press("g", "v")
        assert "1 run marked" in screen_text(pilot)
