"""Any text through the features: tokens that colour it, and the features of the token under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monosem_tui.live.conversation import Conversation
from monosem_tui.text.bars import bar
from monosem_tui.text.heat import bins
from monosem_tui.text.live_page import rule, title
from monosem_tui.text.numbers import MINUS, activation, count
from monosem_tui.text.running import Row, flow, row_of, window
from monosem_tui.text.safe import fit, printable, width
from monosem_tui.text.spans import HEAT, HUES, HUES_UNDER, Line, Role, Span, crop, line
from monosem_tui.text.tokens import display_token, display_tokens
from store import wire
from store.vocab import Vocabulary

MARK = "▌"
MOST_HUES = len(HUES)
EFFECT = 0.1
"""Nats from which the loss of the next token counts as raised."""
BAR = 8
HOW = (
    ("p", "types or pastes a text; its tokens and their features come up"),
    ("h l", "choose a token, j k one of its features; enter opens it in Browse"),
    ("space", "colours the text by a feature, up to four in four colours"),
    ("x", "underlines where removing a feature raises the next token's loss"),
)


@dataclass
class Looked:
    """What the page is made of."""

    talk: Conversation
    vocabulary: Vocabulary
    maximum: Callable[[int], float | None]
    label: Callable[[int], str]
    text: str = ""
    token: int = 0
    """Under the cursor, counted over all contexts."""
    row: int = 0
    """The feature of it that is under the cursor."""
    chosen: tuple[int, ...] = ()
    """Features that colour the text."""
    ablated: bool = False
    """Whether effects of ablation were asked for."""

    @property
    def reads(self) -> Sequence[wire.Read]:
        """All tokens of the text that was read last."""
        found = self.talk.inspected
        return [token for context in found.contexts for token in context] if found else ()

    @property
    def firings(self) -> Sequence[wire.Fires]:
        """Features of the token under the cursor, the strongest first."""
        reads = self.reads
        return reads[self.token].firings if self.token < len(reads) else ()

    @property
    def feature(self) -> int | None:
        """The feature under the cursor."""
        return self.firings[self.row].feature if self.row < len(self.firings) else None

    def begin(self) -> None:
        """The cursor on the first token that has features."""
        self.token = next((n for n, read in enumerate(self.reads) if read.firings), 0)
        self.row = 0

    def move(self, tokens: int, rows: int) -> None:
        """The cursor to another token, or to another of its features."""
        if tokens:
            self.token = max(0, min(self.token + tokens, len(self.reads) - 1))
            self.row = 0
        self.row = max(0, min(self.row + rows, len(self.firings) - 1))

    def choose(self) -> bool:
        """Colour by the feature under the cursor, or no more; whether there was a colour left."""
        feature = self.feature
        if feature is None:
            return True
        if feature in self.chosen:
            self.chosen = tuple(one for one in self.chosen if one != feature)
        elif len(self.chosen) == MOST_HUES:
            return False
        else:
            self.chosen = (*self.chosen, feature)
        return True


def inspect_lines(looked: Looked, cells: int, height: int) -> list[Line]:
    """The whole page in `height` lines."""
    lines = [title(looked.talk, cells)]
    reads = looked.reads
    if not reads:
        lines += [rule("a text through the features", cells)]
        lines += [crop(line(f" {keys:>6}  ", Span(what, Role.DIM)), cells) for keys, what in HOW]
        return (lines + [()] * height)[:height]
    upper = max(2, (height - 4) // 2)
    rows = flow(display_tokens(looked.vocabulary.tokens([read.token for read in reads])), cells - 2)
    upper = min(upper, len(rows))
    first = window(len(rows), upper, row_of(rows, looked.token))
    roles = _roles(looked, reads)
    text = f"text: {count(len(reads))} tokens"
    text += f" · underlined: removing a feature costs the next token {EFFECT:g} nats" if looked.ablated else ""
    lines.append(rule(text, cells))
    lines += [_row(row, roles, looked.token, cells) for row in rows[first : first + upper]]
    lines.append(_legend(looked, cells))
    lines.append(rule(_token_title(looked, reads[looked.token]), cells))
    room = height - len(lines)
    top = max(0, min(looked.row - room // 2, len(looked.firings) - room))
    lines += [_firing(looked, n, cells) for n in range(top, min(len(looked.firings), top + room))]
    return (lines + [()] * height)[:height]


def _token_title(looked: Looked, read: wire.Read) -> str:
    name = display_token(looked.vocabulary.token(read.token))
    if not read.counted:
        return f"token {looked.token + 1} {name} · does not count"
    loss = f" · loss of the next token {read.next_loss:.2f} nats" if read.next_loss is not None else ""
    return f"token {looked.token + 1} {name} · {count(read.active)} features fire{loss}"


def _firing(looked: Looked, number: int, cells: int) -> Line:
    fires, here = looked.firings[number], number == looked.row
    top = looked.firings[0].activation
    drawn = bar(fires.activation / top if top > 0 else 0.0, BAR)
    hue = HUES[looked.chosen.index(fires.feature)] if fires.feature in looked.chosen else Role.PLAIN
    spans = [
        Span(MARK if here else " ", Role.ACCENT),
        Span(f"{fires.feature:>6}", hue if hue is not Role.PLAIN else Role.BOLD),
        Span(f"  {activation(fires.activation):>6}  "),
        Span(drawn + " " * (BAR - width(drawn)), Role.DIM),
    ]
    if fires.loss_change is not None:
        sign = "+" if fires.loss_change >= 0 else MINUS
        spans.append(Span(f"  {sign}{abs(fires.loss_change):.2f} nats without it", Role.DIM))
    spans += [Span("  "), Span(printable(looked.label(fires.feature)))]
    return crop(line(*spans), cells)


def _legend(looked: Looked, cells: int) -> Line:
    if looked.chosen:
        parts: list[Span | str] = [" coloured by "]
        for hue, feature in zip(HUES, looked.chosen, strict=False):
            parts += [Span(f" {feature} ", hue), " " + fit(printable(looked.label(feature)), 16).rstrip() + "  "]
        return crop(line(*parts), cells)
    if looked.feature is None or looked.ablated:
        return ()
    return crop(line(Span(f" coloured by {looked.feature}, the feature under the cursor", Role.DIM)), cells)


def _roles(looked: Looked, reads: Sequence[wire.Read]) -> list[Role]:
    if looked.chosen:
        return [_hue(looked, read) for read in reads]
    if looked.ablated:
        return [Role.UNDER if _effect(read, None) >= EFFECT else Role.PLAIN for read in reads]
    feature = looked.feature
    if feature is None:
        return [Role.PLAIN] * len(reads)
    acts = np.array([next((f.activation for f in r.firings if f.feature == feature), 0.0) for r in reads], np.float32)
    top = max(float(acts.max()), looked.maximum(feature) or 0.0)
    return [HEAT[step] for step in bins(acts, top).tolist()]


def _hue(looked: Looked, read: wire.Read) -> Role:
    """Of the chosen feature that fires most, each measured by its own maximum."""
    known = [fires for fires in read.firings if fires.feature in looked.chosen]
    if not known:
        return Role.PLAIN
    best = max(known, key=lambda fires: fires.activation / (looked.maximum(fires.feature) or 1.0))
    under = looked.ablated and _effect(read, looked.chosen) >= EFFECT
    return (HUES_UNDER if under else HUES)[looked.chosen.index(best.feature)]


def _effect(read: wire.Read, among: Sequence[int] | None) -> float:
    """The largest rise of the next token's loss."""
    changes = [
        f.loss_change for f in read.firings if f.loss_change is not None and (among is None or f.feature in among)
    ]
    return max(changes, default=0.0)


def _row(row: Row, roles: Sequence[Role], cursor: int, cells: int) -> Line:
    spans = [Span(piece.text, Role.CARET if piece.token == cursor else roles[piece.token]) for piece in row]
    return crop(line(" ", *spans), cells)
