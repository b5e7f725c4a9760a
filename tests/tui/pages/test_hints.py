"""The bottom line: what gives way first where it is narrow."""

from __future__ import annotations

import pytest

from monosem_tui.draw.spans import text_of, width_of
from monosem_tui.keys.actions import Action, Where
from monosem_tui.keys.table import ACTIONS
from monosem_tui.pages.header import hints, sentence

PLACE = Where.PAGE
OWN = [Action(f"a.{key}", "x", (key,), key, PLACE, key, f"{key} does this") for key in "abc"]
BACK, HELP, QUIT = (next(action for action in ACTIONS if action.id == name) for name in ("back", "help", "quit"))


def shown(actions: list[Action], cells: int) -> list[str]:
    found = hints(actions, "1 of 9", cells).spans
    assert width_of(found) <= cells
    return text_of(found).split("  ")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (80, ["a", "b", "c", "esc", "?", "q"]),
        (68, ["a", "b", "c", "esc", "?"]),
        (54, ["a", "b", "esc", "?"]),
        (40, ["a", "esc", "?"]),
        (30, ["esc", "?"]),
    ],
)
def test_what_quits_gives_way_where_something_can_be_closed(cells: int, words: list[str]) -> None:
    texts = [text.split()[0] for text in shown([*OWN, BACK, HELP, QUIT], cells) if text.strip()]
    assert texts == [*words, "1"]


@pytest.mark.parametrize(("cells", "words"), [(80, ["a", "b", "c", "?", "q"]), (30, ["?", "q"])])
def test_it_stays_where_nothing_can(cells: int, words: list[str]) -> None:
    texts = [text.split()[0] for text in shown([*OWN, HELP, QUIT], cells) if text.strip()]
    assert texts == [*words, "1"]


def test_why_an_action_does_nothing_can_be_read_at_60_columns() -> None:
    for action in ACTIONS:
        if not action.id.startswith(("live.", "inspect.")):
            for need in action.needs:
                assert len(f" ctrl+u: {need.value}") <= 60, action.id


@pytest.mark.parametrize("cells", [20, 37, 60, 200])
def test_a_long_sentence_loses_nothing_in_the_lines_that_it_may_have(cells: int) -> None:
    said = "cannot read /a/" + "path/" * 14 + "notes.jsonl: 日本 Permission denied"
    lines = sentence(said, cells, 99)
    assert all(width_of(one) <= cells for one in lines)
    assert "".join(text_of(one) for one in lines).replace(" ", "") == said.replace(" ", "")
    assert len(sentence(said, cells, 2)) <= 2
    assert sentence("short", cells, 4) == sentence("short", cells, 1)
