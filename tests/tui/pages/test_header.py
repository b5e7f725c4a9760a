"""The top line at every width: what the run is called and how good it is come before titles of other screens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monosem_tui.draw.spans import text_of, width_of
from monosem_tui.keys.actions import VIEWS
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.header import header


def shown(run: OpenRun | None, view: str, cells: int) -> str:
    line = header(run, view, cells).spans
    assert width_of(line) <= cells
    return text_of(line)


@pytest.mark.parametrize("cells", [44, 60, 80, 120, 200])
@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_the_run_its_figures_and_all_keys_are_there(opened: OpenRun, view: str, cells: int) -> None:
    text = shown(opened, view, cells)
    assert text.startswith(" sample · ") or "monosem  sample · " in text
    assert " EV 0.910 · L0 4.0 " in text
    for one in VIEWS:
        assert (f" [{one.key}]" if one.name == view else f" {one.key} ") in text


def test_titles_go_where_they_would_cost_figures(opened: OpenRun) -> None:
    assert "1 Browse 2 Find 3 Live [4]Health 5 Runs" in shown(opened, "health", 80)
    assert "1 2 3 [4]Health 5" in shown(opened, "health", 60)
    assert "1 2 3 [4] 5" in shown(opened, "health", 42)
    long = replace(opened, name="gpt2-small-layer-8-residual-32k-k32")
    assert "EV 0.910 · L0 4.0" in shown(long, "health", 80)
    assert "[4]Health 5 Runs" in shown(long, "health", 120)


def test_no_run() -> None:
    assert shown(None, "runs", 60).split() == ["monosem", "no", "run", "open", "1", "2", "3", "4", "[5]Runs", "6"]


@pytest.mark.parametrize("cells", range(1, 130))
def test_any_width(opened: OpenRun, cells: int) -> None:
    shown(opened, "live", cells)
    shown(None, "runs", cells)
