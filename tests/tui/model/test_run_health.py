"""Health's figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import text_of
from monosem_tui.model.open_run import open_run
from monosem_tui.model.run_health import Chapter, Fact, figures
from monosem_tui.pages.health_page import chapter_lines
from tests.sample_run import build_sample


def of_class(name: str, miss: float, absorbed: float | None) -> dict[str, Any]:
    found = {"f1": 0.9, "miss_rate": miss, "absorbed": absorbed, "features": [1]}
    return {"name": name, "words": 100, "found": found, "shuffled": found | {"miss_rate": 0.5, "absorbed": 0.0}}


def said(folder: Path, classes: list[dict[str, Any]]) -> list[str]:
    run = build_sample(folder).run
    with run.locked():
        run.update(evaluation={"absorption": classes})
    opened = open_run(run.path)
    try:
        return figures(opened)
    finally:
        opened.store.close()


def test_absorption_stands_beside_shuffled_words(tmp_path: Path) -> None:
    found = said(tmp_path / "run", [of_class("colour", 0.2, 0.1), of_class("\x1b[31mtool", 0.1, 0.3)])
    assert "2 classes missed on 15.0 % of their words (50.0 % shuffled)" in found
    (line,) = [line for line in found if line.startswith("absorbed on 20.0 % (0 % shuffled)")]
    assert line.endswith("tool, 30.0 %")
    assert "\x1b" not in line


def test_a_transcoder_has_misses_only(tmp_path: Path) -> None:
    found = said(tmp_path / "run", [of_class("colour", 0.2, None) | {"shuffled": {"f1": 0.1, "miss_rate": 0.5}}])
    assert any("1 classes missed" in line for line in found)
    assert not any("absorbed" in line for line in found)


@pytest.mark.parametrize("cells", [60, 99, 100, 160])
def test_short_facts_share_a_line_where_there_is_room(cells: int) -> None:
    short = [Fact(f"name{n}", f"value{n}") for n in range(5)]
    facts = (*short, Fact("long", "w" * cells), Fact("none", ""), Fact("z", "end"))
    lines = [text_of(spans) for spans in chapter_lines(Chapter("SETTINGS", facts), cells)]
    assert all(width(text) <= cells for text in lines)
    said = "".join(lines)
    assert all(said.count(fact.value) == 1 for fact in facts if fact.value and fact.name != "long")
    assert said.count("w") == cells
    assert ("name1" in lines[1]) is (cells >= 100)
    assert len(lines) == 1 + (3 if cells >= 100 else 5) + 2 + 1
