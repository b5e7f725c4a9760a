"""A feature in words, for rows of lists: its strongest example in heat, with its label or explanation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.safe_text import ELLIPSIS, fit
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.model.snippets import UNREADABLE, Preview
from monosem_tui.pages.passage import Frame, passage, token_at

LARGEST_BEFORE, LARGEST_NAME = 48, 40
LEAST_AFTER = 10
"""Cells from the peak on that a name beside the text leaves."""
NAME_BESIDE, NAME_BESIDE_TOKEN = 34, 20
"""Cells from which a name stands beside the whole text, and beside the peak's token; in less it stands alone."""
PEAK_TOKEN = 10
WEAK = 0.25
"""Share of the maximum below which a token has no heat."""
GAP = "  "
"""Between the text and a name."""
UNKNOWN = "?"


@dataclass(frozen=True)
class TextColumn:
    """A column of examples, whose peaks stand below each other; names take the right end of their own rows."""

    cells: int

    @property
    def head(self) -> str:
        """The column's name."""
        return "strongest example" if self.cells >= len("strongest example") else "example"

    @property
    def before(self) -> int:
        """Cells before the peak, the same in all rows."""
        return min(LARGEST_BEFORE, self.cells * 2 // 5)

    @property
    def named(self) -> Frame:
        """The frame of a text that has a name beside it."""
        if self.cells < NAME_BESIDE_TOKEN:
            return Frame(0, 0)
        if self.cells < NAME_BESIDE:
            return Frame(PEAK_TOKEN, 0)
        name = min(LARGEST_NAME, self.cells - self.before - LEAST_AFTER)
        return Frame(self.cells - name - len(GAP), self.before)

    @property
    def name(self) -> int:
        """Cells of a label or an explanation."""
        text = self.named.cells
        return self.cells - text - len(GAP) if text else self.cells


@dataclass(frozen=True)
class FeatureText:
    """A feature in words."""

    preview: Preview | None
    """None while it is being read."""
    label: str = ""
    suggestion: str = ""
    """The best explanation, which stands dim where there is no label."""


def text_line(text: FeatureText, where: TextColumn) -> Line:
    """Return a feature in words, in at most the column's cells."""
    name = Span(text.label, Role.MARK) if text.label else Span(text.suggestion, Role.DIM)
    if not name.text:
        *found, end = _example(text.preview, Frame(where.cells, where.before)) or (Span(""),)
        # At the end of a row a change of style for the mark of omission alone is not worth its bytes.
        return line(*found, Span(end.text) if end.text == ELLIPSIS else end)
    named = Span(fit(name.text, where.name), name.role)
    if not where.named.cells:
        return line(named)
    example = _example(text.preview, where.named)
    return line(*example, " " * (where.named.cells - width_of(example)), GAP, named)


def example_token(text: FeatureText, where: TextColumn, cell: int) -> tuple[ShownExample, int] | None:
    """Return the example and the token that `text_line` draws at a cell; None where there is none."""
    snippet = text.preview.snippet if text.preview is not None else None
    found = where.named if text.label or text.suggestion else Frame(where.cells, where.before)
    if snippet is None or not 0 <= cell < found.cells:
        return None
    token = token_at(snippet, Rendering.BACKGROUND, found, cell)
    return None if token is None else (snippet, token)


def _example(preview: Preview | None, where: Frame) -> Line:
    """Return the text around the peak; what fires weakly stays without heat, so that rows are read at a glance."""
    if preview is None:
        return ()
    snippet = preview.snippet
    if snippet is None:
        return crop(line(Span(UNKNOWN if preview is UNREADABLE else "never fires", Role.DIM)), where.cells)
    act_T = np.where(snippet.act_T >= WEAK * snippet.act, snippet.act_T, np.float32(0))
    return passage(replace(snippet, act_T=act_T), snippet.act, Rendering.BACKGROUND, where)[0]
