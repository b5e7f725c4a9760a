"""Output of `monosem inspect`: a line per token with its strongest features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from monosem_tui.cli import output
from monosem_tui.draw.numbers import activation, signed
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.spans import Line, Role, Span, line, wrap
from monosem_tui.draw.token_text import display_tokens
from monosem_tui.model.feature_explanations import best_explanation, said_of
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import Firing, ReadToken
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes, Notes
from store.run.folder import RunFolder

Contexts = Sequence[Sequence[ReadToken]]
WIDEST, SAID = 16, 32
"""Cells for tokens, and for labels and explanations."""


class _Said(NamedTuple):
    """Labels and explanations of features."""

    notes: dict[int, FeatureNotes]
    explanations: Explanations


def report(run: RunFolder, vocabulary: Vocabulary, contexts: Contexts, *, json: bool) -> None:
    """Print a text as the dictionary reads it."""
    said = _Said(Notes(run.notes).load(), Explanations.load(run.path))
    if json:
        output.emit_json(_json(vocabulary, contexts, said))
        return
    if len(contexts) > 1:
        output.narrate(f"read in {len(contexts)} contexts, of the length that the dictionary was trained with")
    columns = output.page_width()
    for number, context in enumerate(contexts):
        if number:
            output.emit_text("")
        output.emit_lines(_context(vocabulary, context, said, columns))


def _context(vocabulary: Vocabulary, context: Sequence[ReadToken], said: _Said, columns: int) -> list[Line]:
    shown = display_tokens(vocabulary.tokens(read.token for read in context), listed=True, longest=WIDEST)
    size, digits = max(map(width, shown)), len(str(len(context) - 1))
    top = max((one.activation for read in context for one in read.firings), default=0.0)
    roles = max(len(read.role or "") for read in context)
    lines: list[Line] = []
    for place, (read, token) in enumerate(zip(context, shown, strict=True)):
        begin = f"{place:>{digits}} {fit(token, size)}  " + (f"{read.role or '':<{roles}}  " if roles else "")
        parts = [_firing(one, said, top) for one in read.firings]
        if not read.counted:
            parts = [(Span("left out", Role.DIM),)]
        indent = width(begin)
        rows = wrap(parts, max(20, columns - indent), "   ") or [()]
        lines += [line(begin if number == 0 else " " * indent, *row) for number, row in enumerate(rows)]
    return lines


def _firing(one: Firing, said: _Said, top: float) -> Line:
    """`412 water 11.3`, with a change of the loss `412 water 11.3 (+0.4)`; underlined where the model needs it."""
    words = said_of(said.notes, said.explanations, one.feature) or Span("")
    role = Role.BOLD if one.activation > top / 2 else Role.PLAIN
    head = [Span(f"{one.feature} ", Role.DIM), Span(cut(words.text, SAID) + " " * bool(words.text), words.role)]
    if one.loss_change is None:
        return line(*head, Span(activation(one.activation), role))
    needed = Role.UNDER if one.loss_change >= 0.005 else role
    return line(*head, Span(activation(one.activation), needed), Span(f" ({signed(one.loss_change)})", Role.DIM))


def _json(vocabulary: Vocabulary, contexts: Contexts, said: _Said) -> dict[str, Any]:
    tokens = [token for context in contexts for token in context]
    values: dict[str, Any] = {
        "tokens": vocabulary.strings(read.token for read in tokens),
        "features": [[_firing_json(one, said) for one in read.firings] for read in tokens],
        "ids": [read.token for read in tokens],
        "counted": [read.counted for read in tokens],
        "active": [read.active for read in tokens],
        "contexts": [len(context) for context in contexts],
    }
    if any(read.role is not None for read in tokens):
        values["roles"] = [read.role for read in tokens]
    if any(read.next_loss is not None for read in tokens):
        values["next_loss"] = [read.next_loss for read in tokens]
    return values


def _firing_json(one: Firing, said: _Said) -> dict[str, Any]:
    found: dict[str, Any] = {"feature": one.feature, "activation": one.activation}
    if note := said.notes.get(one.feature):
        found["label"] = note.label
    if best := best_explanation(said.explanations, one.feature):
        found["explanation"] = best.text
    return found if one.loss_change is None else found | {"loss_change": one.loss_change}
