"""The Live page as lines: model state, prompt, tray, both texts, and strips of KL and activations per token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from textwrap import wrap

from monosem_tui.draw.numbers import compact, count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, Span, crop, crop_left, line, rule, width_of
from monosem_tui.draw.token_rows import Growing, Row, row_of, window
from monosem_tui.draw.token_text import display_tokens
from monosem_tui.live.model_client import ModelClient, Phase
from monosem_tui.live.sampling_text import DEFAULT
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray
from monosem_tui.pages.live_strips import figures, strips
from monosem_tui.pages.live_tray import tray_lines
from monosem_tui.pages.sweep_page import sweep_lines, sweep_title
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import End
from store.live.sampling import Sampling

WALL, FORK = "│", "│"
MOST_WHY = 3
"""Most lines of an error."""
SIDE_BY_SIDE = 100
"""Least cells for the texts side by side."""
START = (
    ("p", "types a prompt, and enter writes from it"),
    ("a", "adds a clamp: 412=max*4, 412=8.5, 412=off, 412=+3@response"),
    ("c", "in Browse puts the feature under the cursor into the tray"),
    ("ctrl+g", "writes, and stops; strengths may change meanwhile"),
    ("i", "shows the features on any text"),
    ("o", "shows the recipes that were kept, and writes them again"),
)


@dataclass
class Shown:
    """Contents of the page."""

    talk: ModelClient
    tray: Tray
    vocabulary: Vocabulary
    maximum: Callable[[int], float | None]
    label: Callable[[int], Span]
    prompt: str = ""
    chat: bool = False
    """Whether the prompt is the user's turn of a chat."""
    system: str = ""
    """System prompt of a chat; empty for none."""
    sampling: Sampling = DEFAULT
    cursor: int | None = None
    """The token under the cursor; None while the text is followed to its end."""
    base: Growing = field(init=False)
    clamped: Growing = field(init=False)
    """Both texts, laid out as far as they were shown."""
    sweeping: bool = False
    """Whether a sweep is shown in place of the text."""

    def __post_init__(self) -> None:
        """Begin with nothing laid out."""
        self.base, self.clamped = Growing(self._printable), Growing(self._printable)

    def _printable(self, tokens: Sequence[int]) -> list[str]:
        return display_tokens(self.vocabulary.tokens(tokens))


def live_lines(shown: Shown, cells: int, height: int) -> list[Line]:
    """Return the whole page in `height` lines."""
    tray = tray_lines(shown.tray, shown.talk.writing, shown.maximum, shown.label, cells, max(1, height // 6))
    below: list[Line] = []
    if not (shown.sweeping and shown.talk.swept):
        below.append(figures(shown.talk.writing, shown.vocabulary, shown.cursor, cells))
        below += strips(shown.talk.writing, shown.tray, shown.maximum, shown.cursor, cells, max(1, height // 8))
    above = [*title(shown.talk, cells), *_prompt(shown, cells), rule(_tray_title(shown.tray), cells), *tray]
    room = max(2, height - len(above) - len(below))
    return [*above, *_texts(shown, cells, room), *below][:height]


def title(talk: ModelClient, cells: int) -> list[Line]:
    """Return the state of the model server and, below it, the last error in full."""
    name = "attached" if talk.attached else "live"
    why = wrap(printable(talk.problem), max(1, cells - 2))[:MOST_WHY]
    return [
        rule(f"{name} model: {state(talk)}", cells),
        *(crop(line(" ", Span(one, Role.ERROR)), cells) for one in why),
    ]


def state(talk: ModelClient) -> str:
    """Return the state of the model server in words."""
    working, ready = talk.working, talk.ready
    if talk.phase is Phase.DEAD:
        return "model process stopped · R restarts it"
    if talk.phase is Phase.NONE:
        return "not connected · R connects" if talk.attached else "not loaded; ctrl+g loads it and writes"
    if talk.phase in (Phase.LOADING, Phase.BUSY):
        if working is None:
            return "starting its process" if talk.phase is Phase.LOADING else "at work"
        far = f" {compact(working.done)} of {compact(working.total)} {working.unit}" if working.total else ""
        return printable(working.title + far)
    speed = talk.writing.speed
    parts = [talk.phase.value]
    parts += [f"{printable(PurePath(ready.model).name)} on {printable(ready.device)}"] if ready else []
    parts += [f"{speed:.0f} tok/s" if speed >= 10 else f"{speed:.1f} tok/s"] if speed else []
    return " · ".join(parts)


def _prompt(shown: Shown, cells: int) -> list[Line]:
    """Return the prompt on one line, only its end where it is long; of a chat, the system prompt comes first."""
    system = [_labelled("SYSTEM", shown.system, cells)] if shown.chat and shown.system else []
    if not shown.prompt:
        none = Span("none: p types one", Role.DIM)
        return [*system, crop(line(" ", Span(_name(shown), Role.BOLD), "  ", none), cells)]
    return [*system, _labelled(_name(shown), shown.prompt, cells)]


def _name(shown: Shown) -> str:
    return "USER  " if shown.chat else "PROMPT"


def _labelled(name: str, text: str, cells: int) -> Line:
    head = line(" ", Span(name, Role.BOLD), "  ")
    spans = line(printable(text))
    room = cells - width_of(head) - 1
    return line(*head, *(spans if width_of(spans) <= room else crop_left(spans, room)))


def _tray_title(tray: Tray) -> str:
    off = sum(not one.on for one in tray.held)
    return "clamps" + (f" {len(tray.held)}" if len(tray.held) > 1 else "") + (f", {off} off" if off else "")


def _texts(shown: Shown, cells: int, room: int) -> list[Line]:
    writing, swept = shown.talk.writing, shown.talk.swept
    if shown.sweeping and swept is not None:
        return [rule(sweep_title(swept), cells), *sweep_lines(swept, shown.vocabulary, cells, room - 1)]
    if not len(writing):
        return _start(shown, cells, room)
    base = [one.token for one in writing.base]
    clamped = [one.token for one in writing.clamped]
    base_title = "base" + _end(writing, writing.base_end, len(base))
    stale = _stale(shown)
    clamped_title = "clamped" + stale + _end(writing, writing.clamped_end, len(clamped)) + _fork(writing.fork)
    if cells >= SIDE_BY_SIDE:
        left, right = (cells - 1) // 2, cells - 1 - (cells - 1) // 2
        one = _column(shown, shown.base, base, left, room - 1, None)
        other = _column(shown, shown.clamped, clamped, right, room - 1, writing.fork)
        other = _dimmed(other) if stale else other
        wall = Span(WALL, Role.DIM)
        heads = line(*rule(base_title, left), Span("┬", Role.DIM), *rule(clamped_title, right))
        return [heads, *(line(*_padded(a, left), wall, *b) for a, b in zip(one, other, strict=True))]
    upper = (room - 2) // 2
    other = _column(shown, shown.clamped, clamped, cells, room - 2 - upper, writing.fork)
    return [
        rule(base_title, cells),
        *_column(shown, shown.base, base, cells, upper, None),
        rule(clamped_title, cells),
        *(_dimmed(other) if stale else other),
    ]


def _start(shown: Shown, cells: int, room: int) -> list[Line]:
    lines = [rule("text", cells)]
    if shown.talk.phase in (Phase.NONE, Phase.RESTING):
        lines += [crop(line(f" {key:>6}  ", Span(what, Role.DIM)), cells) for key, what in START]
    return (lines + [()] * room)[:room]


def _end(writing: Transcript, end: End | None, tokens: int) -> str:
    """Return why a text is complete, with the limit of tokens."""
    if end is None:
        return ""
    context = len(writing.prompt) + tokens - 1  # the last token is drawn but not read
    return {
        "eos": " · the model ended it",
        "length": f" · {count(tokens)} tokens (limit)",
        "context": f" · context full ({count(context)})",
    }[end]


def _stale(shown: Shown) -> str:
    """Return the clamps that a complete text was written with, where the tray has others now."""
    recipe = shown.talk.recipe
    if recipe is None or not shown.talk.writing.complete or recipe.clamps == shown.tray.clamps:
        return ""
    former = [clamp for clamp in recipe.clamps if clamp not in shown.tray.clamps]
    if not former:
        return " · written before the clamps were changed"
    return f" · written with {printable(former[0])}" + (f" and {len(former) - 1} more" if len(former) > 1 else "")


def _fork(fork: int | None) -> str:
    return "" if fork is None else f" · differs from token {fork + 1}"


def _padded(spans: Line, cells: int) -> Line:
    return line(*spans, " " * (cells - width_of(spans)))


def _column(shown: Shown, text: Growing, tokens: Sequence[int], cells: int, room: int, fork: int | None) -> list[Line]:
    """Return a text in exactly `room` rows that show its end, or the token under the cursor."""
    rows = text.rows(tokens, cells - 2, fork, FORK)
    place = None if shown.cursor is None else row_of(rows, min(shown.cursor, len(tokens) - 1))
    first = window(len(rows), room, place)
    drawn = [_row(row, shown.cursor, fork, cells) for row in rows[first : first + room]]
    return drawn + [()] * (room - len(drawn))


def _dimmed(lines: Sequence[Line]) -> list[Line]:
    return [line(*(Span(text, Role.DIM if role is Role.PLAIN else role) for text, role in spans)) for spans in lines]


def _row(row: Row, cursor: int | None, fork: int | None, cells: int) -> Line:
    spans: list[Span] = []
    for piece in row:
        role = Role.CARET if piece.token == cursor else Role.PLAIN
        before, mark, after = piece.text.partition(FORK) if piece.token == fork else (piece.text, "", "")
        spans += [Span(before, role), Span(mark, Role.ACCENT), Span(after, role if mark else Role.PLAIN)]
    return crop(line(" ", *spans), cells)
