"""The page of an inspected text: tokens coloured by activation, and the features of the token under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from monosem_tui.draw.bars import bar
from monosem_tui.draw.heat import Rendering, bins
from monosem_tui.draw.numbers import MINUS, activation, count
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.spans import HEAT, HEAT_UNDER, HUES, HUES_UNDER, MARK, Line, Role, Span, crop, line, rule
from monosem_tui.draw.token_rows import Row, TextSpot, flow, row_of, window
from monosem_tui.draw.token_text import display_token, display_tokens
from monosem_tui.live.model_client import ModelClient
from monosem_tui.model.context_borders import BORDER
from monosem_tui.model.document import Passage
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.pages.live_page import title
from monosem_tui.pages.map_card import BEFORE, card_lines
from monosem_tui.pages.token_words import FiringOnToken, token_line
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import Firing, ReadToken

MOST_HUES = len(HUES)
EFFECT = 0.1
"""Nats from which the loss of the next token counts as raised."""
BAR = 8
CHANGE = 23
"""Cells of the effect of ablation."""
LEAST_CARD, MOST_EXAMPLES = 6, 10
"""Lines that a feature's card needs below the features, and most examples in it."""
HOW = (
    ("p", "types or pastes a text; its tokens and their features come up"),
    ("C", "reads it as a chat: a user's turn, or messages in JSON"),
    ("h l", "choose a token, j k one of its features; enter opens it in Browse"),
    ("space", "colours the text by a feature, up to four in four colours"),
    ("x", "underlines where removing a feature raises the next token's loss"),
    ("v", "picks tokens: the features that explain several together"),
    ("o", "opens a document of the corpus by its number; I in Browse, the example's"),
)


@dataclass(frozen=True)
class InspectedText:
    """A text as the model reads it."""

    text: str = ""
    name: str = ""
    """Title of a text that was not typed: `document 17`."""
    chat: bool = False
    """Whether it is read as a chat."""


@dataclass
class Looked:
    """Contents of the page."""

    talk: ModelClient
    vocabulary: Vocabulary
    maximum: Callable[[int], float | None]
    label: Callable[[int], Span]
    asked: InspectedText = InspectedText()
    """The text that the model was asked to read last."""
    shown: InspectedText = InspectedText()
    """The text on the screen."""
    stored: tuple[ReadToken, ...] = ()
    """Tokens of a document as the index has them, until the model has read it; then none."""
    token: int = 0
    """Index of the token under the cursor, over all contexts."""
    row: int = 0
    """The feature under the cursor, among those of that token."""
    chosen: tuple[int, ...] = ()
    """Features that colour the text."""
    ablated: bool = False
    """Whether effects of ablation were requested."""
    opened: bool = False
    """Whether each context begins with a BOS."""

    chat: bool = False
    """Whether a typed text is read as a chat."""
    _laid: tuple[Sequence[ReadToken], int, list[Row]] | None = None
    card: Callable[[], FeatureCard | None] = lambda: None
    """Returns the card that stands below the features where they leave room."""
    rendering: Rendering = Rendering.MARKS
    """How the card's examples are drawn."""
    picked: tuple[int, ...] = ()
    """Tokens whose features are listed together; empty for the one under the cursor."""
    spot: TextSpot | None = None
    """Place of the text when the page was drawn last."""

    def token_at(self, x: int, y: int) -> int | None:
        """Return the token drawn at a cell; None where there is none."""
        return self.spot.token_at(x, y) if self.spot is not None and self.reads else None

    @property
    def reads(self) -> Sequence[ReadToken]:
        """All tokens of the text on the screen."""
        return self.stored or (self.talk.inspected.tokens if self.talk.inspected else ())

    def rows(self, cells: int) -> list[Row]:
        """Return the text in rows; laid out once per text and width."""
        reads, laid = self.reads, self._laid
        if laid is None or laid[0] is not reads or laid[1] != cells:
            shown = display_tokens(self.vocabulary.tokens([read.token for read in reads]))
            shown = [BORDER if self._opens(number) else text for number, text in enumerate(shown)]
            laid = self._laid = (reads, cells, flow(shown, cells))
        return laid[2]

    def _opens(self, place: int) -> bool:
        """Return whether a token after the first opens another context, and is none of the text."""
        first, read = self.reads[0], self.reads[place]
        return self.opened and place > 0 and not first.counted and not read.counted and read.token == first.token

    @property
    def effects(self) -> Sequence[ReadToken]:
        """The same tokens with the effects of ablation known so far."""
        found = None if self.stored else self.talk.effects
        return found.tokens if found and len(found.tokens) == len(self.reads) else ()

    @property
    def firings(self) -> Sequence[Firing]:
        """Features of the token under the cursor, or of all picked tokens, the strongest first."""
        reads = self.reads
        places = [place for place in self.picked or (self.token,) if place < len(reads)]
        sums: dict[int, float] = {}
        changes: dict[int, float] = {}
        for place in places:
            for fires in reads[place].firings:
                sums[fires.feature] = sums.get(fires.feature, 0.0) + fires.activation
            for feature, change in self.changes(place).items():
                changes[feature] = changes.get(feature, 0.0) + change
        order = sorted(sums, key=lambda feature: -sums[feature])
        return [Firing(feature, sums[feature], changes.get(feature)) for feature in order]

    def changes(self, place: int) -> dict[int, float]:
        """Effect of ablating each feature at a token on the next token's loss; empty unless requested."""
        effects = self.effects
        if not self.ablated or place >= len(effects):
            return {}
        return {f.feature: f.loss_change for f in effects[place].firings if f.loss_change is not None}

    def pick(self) -> None:
        """Pick the token under the cursor, or unpick it."""
        token = self.token
        self.picked = tuple(p for p in self.picked if p != token) if token in self.picked else (*self.picked, token)
        self.row = 0

    @property
    def feature(self) -> int | None:
        """The feature under the cursor."""
        return self.firings[self.row].feature if self.row < len(self.firings) else None

    def show_stored(self, text: InspectedText, tokens: tuple[ReadToken, ...], token: int) -> None:
        """Show a document as the index has it, the cursor on a token, until `take` is called."""
        self.shown, self.stored, self.picked = text, tokens, ()
        self.token, self.row = token, 0

    def take(self) -> None:
        """Show the text that was asked for, which the model has read; the cursor stays with token and feature."""
        before, feature = [read.token for read in self.stored], self.feature
        self.shown, self.stored, self.picked = self.asked, (), ()
        if before:
            self.token = counterpart(before, self.token, [read.token for read in self.reads])
            self.put_on(feature)
        if self.token >= len(self.reads) or (feature is None and not self.firings):
            self.begin()
        self.move(0, 0)

    def put_on(self, feature: int | None) -> None:
        """Put the cursor on a feature; where it is not among those of the token, colour the text by it."""
        places = [number for number, fires in enumerate(self.firings) if fires.feature == feature]
        self.row = places[0] if places else 0
        if not places and feature is not None:
            self.chosen = (feature,)

    def begin(self) -> None:
        """Move the cursor to the first token that has features."""
        self.token = next((n for n, read in enumerate(self.reads) if read.firings), 0)
        self.row = 0

    def move(self, tokens: int, rows: int) -> None:
        """Move the cursor to another token, or to another feature of the token."""
        if tokens:
            self.token = max(0, min(self.token + tokens, len(self.reads) - 1))
            self.row = 0
        self.row = max(0, min(self.row + rows, len(self.firings) - 1))

    def choose(self) -> bool:
        """Colour the text by the feature under the cursor, or stop; return whether a colour was left."""
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


def stored_tokens(passage: Passage) -> tuple[ReadToken, ...]:
    """Return the tokens of a document with the activations that the index has of one feature."""
    feature, tokens = passage.feature, passage.token_T.tolist()
    if feature is None:
        return tuple(ReadToken(token, True, (), 0) for token in tokens)
    acts = passage.act_T.tolist()
    return tuple(
        ReadToken(token, True, (Firing(feature, act, None),) if act > 0 else (), int(act > 0))
        for token, act in zip(tokens, acts, strict=True)
    )


def counterpart(before: Sequence[int], place: int, after: Sequence[int]) -> int:
    """Return where token `place` of `before` is in `after`, the same text with other special tokens or cuts."""
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    block = max((one for one in blocks if one.a <= place), key=lambda one: one.a, default=blocks[0])
    found = block.b + min(place - block.a, max(block.size, 1) - 1)
    return max(0, min(found, len(after) - 1))


def inspect_lines(looked: Looked, cells: int, height: int) -> list[Line]:
    """Return the whole page in `height` lines."""
    lines = title(looked.talk, cells)
    reads = looked.reads
    looked.spot = None
    if not reads:
        lines += [rule("a text through the features", cells)]
        lines += [crop(line(f" {keys:>6}  ", Span(what, Role.DIM)), cells) for keys, what in HOW]
        return (lines + [()] * height)[:height]
    upper = max(2, (height - 4) // 2)
    rows = looked.rows(cells - 2)
    upper = min(upper, len(rows))
    first = window(len(rows), upper, row_of(rows, looked.token))
    lines.append(rule(_text_title(looked), cells))
    seen = rows[first : first + upper]
    looked.spot = TextSpot(len(lines), 1, cells, seen)
    places = [piece.token for row in seen for piece in row]
    roles = dict(zip(places, token_roles(looked, places), strict=True))
    lines += [_row(row, roles, looked, cells) for row in seen]
    lines.append(_legend(looked, cells))
    lines.append(rule(_token_title(looked, reads[looked.token]), cells))
    firings, room = looked.firings, height - len(lines)
    top = max(0, min(looked.row - room // 2, len(firings) - room))
    lines += [_firing(looked, firings, n, cells) for n in range(top, min(len(firings), top + room))]
    lines += _card(looked, cells, height - len(lines))
    return (lines + [()] * height)[:height]


def _card(looked: Looked, cells: int, room: int) -> list[Line]:
    """Return the card of the feature under the cursor with a blank line before it; nothing where it has no room."""
    card = looked.card()
    if card is None or looked.feature is None or room < LEAST_CARD:
        return []
    return [(), *card_lines(card, cells, looked.rendering, min(room - 1 - BEFORE, MOST_EXAMPLES))]


def _text_title(looked: Looked) -> str:
    kind = "chat" if looked.shown.chat else "text"
    name = f"{looked.shown.name or kind}: {count(len(looked.reads))} tokens"
    if looked.stored:
        return f"{name} of the index · the model has not read it yet"
    if not looked.ablated:
        return name
    if not looked.effects:
        return f"{name} · effects are not known yet"
    return f"{name} · underlined: removing it costs {EFFECT:g} nats"


def _token_title(looked: Looked, read: ReadToken) -> str:
    name = display_token(looked.vocabulary.token(read.token)) + (f" · {read.role}" if read.role else "")
    if looked.picked:
        number = len(looked.picked)
        return f"{number} tokens picked: sum over them" if number > 1 else "1 token picked: what fires on it"
    if looked.stored:
        return f"token {looked.token + 1} {name}" + (
            f" · of the index: {looked.feature} alone" if looked.firings else ""
        )
    if not read.counted:
        return f"token {looked.token + 1} {name} · does not count"
    effects = looked.effects
    next_loss = effects[looked.token].next_loss if looked.ablated and looked.token < len(effects) else None
    loss = f" · loss of the next token {next_loss:.2f} nats" if next_loss is not None else ""
    return f"token {looked.token + 1} {name} · {count(read.active)} features fire{loss}"


def pointed_line(looked: Looked, token: int) -> Line:
    """Return a token in words, with the features that colour the text; where none does, with the strongest."""
    read = looked.reads[token]
    wanted = looked.chosen or (() if looked.feature is None else (looked.feature,))
    wanted = wanted or tuple(fires.feature for fires in read.firings[:1])
    text = display_token(looked.vocabulary.token(read.token))
    fires = [FiringOnToken(one, _activation(read, one), looked.maximum(one) or 0.0) for one in wanted]
    return token_line(text, fires, number=token)


def _firing(looked: Looked, firings: Sequence[Firing], number: int, cells: int) -> Line:
    fires, here = firings[number], number == looked.row
    top = firings[0].activation
    drawn = bar(fires.activation / top if top > 0 else 0.0, BAR)
    hue = HUES[looked.chosen.index(fires.feature)] if fires.feature in looked.chosen else Role.PLAIN
    spans = [
        Span(MARK if here else " ", Role.ACCENT),
        Span(f"{fires.feature:>6}", hue if hue is not Role.PLAIN else Role.BOLD),
        Span(f"  {activation(fires.activation):>6}  "),
        Span(drawn + " " * (BAR - width(drawn)), Role.DIM),
    ]
    if looked.ablated and looked.effects:
        spans.append(Span(fit(_change(fires.loss_change), CHANGE), Role.DIM))
    spans += [Span("  "), looked.label(fires.feature)]
    return crop(line(*spans), cells)


def _change(change: float | None) -> str:
    if change is None:
        return ""
    sign = " " if abs(change) < 0.005 else "+" if change > 0 else MINUS
    return f"  {sign}{abs(change):.2f} nats without it"


def _legend(looked: Looked, cells: int) -> Line:
    if looked.chosen:
        parts: list[Span | str] = [" coloured by "]
        for hue, feature in zip(HUES, looked.chosen, strict=False):
            parts += [Span(f" {feature} ", hue), " " + fit(looked.label(feature).text, 16).rstrip() + "  "]
        return crop(line(*parts), cells)
    if looked.feature is None:
        return ()
    return crop(line(Span(f" coloured by {looked.feature}, the feature under the cursor", Role.DIM)), cells)


def token_roles(looked: Looked, places: Sequence[int]) -> list[Role]:
    """Draw activation as background, underlined where ablating those features raises the next token's loss."""
    reads, feature = looked.reads, looked.feature
    if looked.chosen:
        return [_hue(looked, reads[place], place) for place in places]
    if feature is None:
        return [Role.UNDER if _effect(looked, place, None) >= EFFECT else Role.PLAIN for place in places]
    acts = np.array([_activation(reads[place], feature) for place in places], np.float32)
    top = looked.maximum(feature) or max((_activation(read, feature) for read in reads), default=0.0)
    return [
        (HEAT_UNDER if _effect(looked, place, (feature,)) >= EFFECT else HEAT)[step]
        for place, step in zip(places, bins(acts, top).tolist(), strict=True)
    ]


def _activation(read: ReadToken, feature: int) -> float:
    return next((fires.activation for fires in read.firings if fires.feature == feature), 0.0)


def _hue(looked: Looked, read: ReadToken, place: int) -> Role:
    """Return the most active of the chosen features per token, each relative to its maximum."""
    known = [fires for fires in read.firings if fires.feature in looked.chosen]
    if not known:
        return Role.PLAIN
    best = max(known, key=lambda fires: fires.activation / (looked.maximum(fires.feature) or 1.0))
    under = _effect(looked, place, looked.chosen) >= EFFECT
    return (HUES_UNDER if under else HUES)[looked.chosen.index(best.feature)]


def _effect(looked: Looked, place: int, among: Sequence[int] | None) -> float:
    """Return the largest rise of the next token's loss, over some features or all."""
    changes = looked.changes(place)
    return max((change for f, change in changes.items() if among is None or f in among), default=0.0)


def _row(row: Row, roles: Mapping[int, Role], looked: Looked, cells: int) -> Line:
    spans = []
    for piece in row:
        own = Role.DIM if piece.text == BORDER else roles[piece.token]
        picked = Role.CURSOR if piece.token in looked.picked else own
        spans.append(Span(piece.text, Role.CARET if piece.token == looked.token else picked))
    return crop(line(" ", *spans), cells)
