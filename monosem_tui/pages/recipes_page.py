"""The recipes in a run's notes as lines: one per row, and the details of the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import fit, printable, width
from monosem_tui.draw.spans import MARK, Line, Role, Span, crop, line, rule
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.sampling_text import in_words
from monosem_tui.pages.live_page import title
from store.live.clamp import parse_clamp
from store.live.saved_recipes import KeptRecipe

MOST_NAME = 24


@dataclass
class Recipes:
    """Contents of the page."""

    talk: ModelClient
    label: Callable[[int], Span]
    kept: Sequence[KeptRecipe] = ()
    cursor: int = 0

    @property
    def present(self) -> KeptRecipe | None:
        """The recipe under the cursor."""
        return self.kept[self.cursor] if self.cursor < len(self.kept) else None

    def move(self, rows: int) -> None:
        """Move the cursor up or down."""
        self.cursor = max(0, min(self.cursor + rows, len(self.kept) - 1))

    def go_to(self, name: str) -> None:
        """Move the cursor to the recipe of a name, if it is there."""
        self.cursor = next((number for number, one in enumerate(self.kept) if one.name == name), self.cursor)

    def show(self, kept: Sequence[KeptRecipe]) -> None:
        """Show another list of recipes."""
        self.kept = kept
        self.move(0)


def recipes_lines(recipes: Recipes, cells: int, height: int) -> list[Line]:
    """Return the whole page in `height` lines."""
    lines = [*title(recipes.talk, cells), rule(f"recipes in the notes: {count(len(recipes.kept))}", cells)]
    present = recipes.present
    if present is None:
        lines.append(crop(line("  ", Span("none: w keeps what is written, and how", Role.DIM)), cells))
        return (lines + [()] * height)[:height]
    details = _details(present, recipes.label, cells)
    room = max(1, min(len(recipes.kept), height - len(lines) - len(details) - 1))
    first = max(0, min(recipes.cursor - room // 2, len(recipes.kept) - room))
    name = min(MOST_NAME, max(width(printable(one.name)) for one in recipes.kept))
    for number in range(first, first + room):
        lines.append(_row(recipes.kept[number], number == recipes.cursor, name, cells))
    lines += [rule(printable(present.name), cells), *details]
    return (lines + [()] * height)[:height]


def _row(kept: KeptRecipe, here: bool, name: int, cells: int) -> Line:
    recipe = kept.recipe
    what = "sweep" if recipe.sweep else f"{len(recipe.clamps)} clamp{'s' * (len(recipe.clamps) != 1)}"
    return crop(
        line(
            Span(MARK if here else " ", Role.ACCENT),
            Span(fit(printable(kept.name), name), Role.BOLD),
            Span(f"  {_date(kept.time)}  {what:>9}  ", Role.DIM),
            printable(recipe.prompt),
        ),
        cells,
    )


def _details(kept: KeptRecipe, label: Callable[[int], Span], cells: int) -> list[Line]:
    recipe = kept.recipe
    how = [in_words(recipe.sampling), f"{count(recipe.sampling.max_new)} tokens"]
    how += [f"the first of {recipe.samples} samples"] if recipe.samples > 1 else []
    found = [
        line(Span(" chat   " if recipe.chat else " prompt ", Role.DIM), printable(recipe.prompt)),
        line(Span(" drawn  ", Role.DIM), " · ".join(how)),
    ]
    if recipe.system:
        found.insert(0, line(Span(" system ", Role.DIM), printable(recipe.system)))
    if recipe.sweep:
        found.append(line(Span(" sweep  ", Role.DIM), recipe.sweep))
    for written in recipe.clamps[:8]:
        clamp = parse_clamp(written)
        name = Span(label(clamp.feature).text, Role.DIM)
        found.append(line(Span(f" {clamp.feature:>6} ", Role.BOLD), clamp.in_words(), "  ", name))
    return [crop(spans, cells) for spans in found]


def _date(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.localtime(seconds)) if seconds > 0 else " " * 10
    except (OverflowError, ValueError, OSError):
        return " " * 10
