"""Help where a half of Live is empty: how to begin, the recipes that are kept, features that fire in the prompt."""

from __future__ import annotations

from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import activation, share
from monosem_tui.draw.safe_text import fit, printable, width
from monosem_tui.draw.spans import Line, Role, Span, crop, cursor_mark, line, lit, rule
from monosem_tui.draw.token_text import display_token
from monosem_tui.pages.live_contents import Shown
from store.live.model_outputs import PromptFeature

START = (
    ("p", "types a prompt, and enter writes from it"),
    ("a", "adds a clamp: 412=max*4, 412=8.5, 412=off, 412=+3@response"),
    ("c", "in Browse puts the feature under the cursor into the tray"),
    ("ctrl+g", "writes, and stops; strengths may change meanwhile"),
    ("i", "shows the features on any text"),
    ("o", "shows the recipes that were kept, and writes them again"),
)
NO_CLAMP = (
    ("a", "types a clamp: 412=max*1, 412=off"),
    ("c", "clamps a feature: here, in Browse, in Find"),
)
BAR = 8
NAME = 6
"""Cells of a feature's number."""
TOKEN = 14


def start_lines(shown: Shown, cells: int, room: int, *, how: bool) -> list[Line]:
    """Return the page before anything is written, in exactly `room` lines; without `how`, recipes alone."""
    lines = [rule("text", cells), *(_key_lines(START, cells) if how else [])]
    recipes = shown.recipes()
    left = room - len(lines) - 1
    if recipes and left > 0:
        lines.append(rule(f"recipes {len(recipes)} · o opens them", cells))
        lines += [crop(line("  ", printable(name)), cells) for name in recipes[:left]]
    return (lines + [()] * room)[:room]


def no_clamp_lines(shown: Shown, cells: int, room: int) -> list[Line]:
    """Return what stands in place of a clamped text where nothing is clamped, in exactly `room` lines."""
    lines = [crop(line(" no clamp: this half would say the same"), cells), *_key_lines(NO_CLAMP, cells)]
    features = shown.talk.writing.prompt_features
    left = room - len(lines) - 1
    if features and left > 0:
        cursor = min(shown.offered, len(features) - 1)
        first = max(0, min(cursor - left // 2, len(features) - left))
        lines.append(rule("firing most in the prompt", cells))
        lines += [
            _feature(shown, features[n], n == cursor, cells) for n in range(first, min(len(features), first + left))
        ]
    return (lines + [()] * room)[:room]


def _key_lines(keys: tuple[tuple[str, str], ...], cells: int) -> list[Line]:
    return [crop(line(f" {key:>6}  ", Span(what, Role.DIM)), cells) for key, what in keys]


def _feature(shown: Shown, found: PromptFeature, here: bool, cells: int) -> Line:
    """Return a feature: its activation as a share of its maximum, the token where it fires most, its name."""
    top = shown.maximum(found.feature) or 0.0
    drawn = bar(found.activation / top if top > 0 else 0.0, BAR)
    token = display_token(shown.vocabulary.token(found.token), longest=TOKEN)
    spans = [
        cursor_mark(here),
        Span(f"{found.feature:>{NAME}}", Role.BOLD),
        Span(f"  {activation(found.activation):>6}  "),
        Span(drawn + " " * (BAR - width(drawn)), Role.DIM),
        Span(f" {share(min(1.0, found.activation / top)) if top > 0 else '':>7}", Role.DIM),
        Span("  " + fit(token, TOKEN) + " "),
        shown.label(found.feature),
    ]
    row = crop(line(*spans), cells)
    return lit(row, cells) if here else row
