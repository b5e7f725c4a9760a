"""The Live page as lines: model state, prompt, tray, both texts, and strips of KL and activations per token."""

from __future__ import annotations

from pathlib import PurePath
from textwrap import wrap

from monosem_tui.draw.numbers import compact
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.seconds import since
from monosem_tui.draw.spans import Line, Role, Span, crop, crop_left, line, rule, spread, width_of
from monosem_tui.live.breakdown import broken_down
from monosem_tui.live.model_client import ModelClient, Phase
from monosem_tui.live.tray import Tray
from monosem_tui.pages.live_candidates import candidate_lines
from monosem_tui.pages.live_contents import Shown
from monosem_tui.pages.live_help import start_lines
from monosem_tui.pages.live_paint import PaintKind, legend
from monosem_tui.pages.live_strips import breakdown_lines, figures, strips
from monosem_tui.pages.live_texts import text_lines
from monosem_tui.pages.live_tray import tray_lines
from monosem_tui.pages.sweep_page import sweep_lines, sweep_title

LOW = 30
"""Lines of a page below which candidates take the place of figures and strips of features."""
MOST_CANDIDATES = 8
WIDEST = 400
"""Cells of figures that are cut where they are shown."""
MOST_WHY = 3
"""Most lines of an error."""


def live_lines(shown: Shown, cells: int, height: int) -> list[Line]:
    """Return the whole page in `height` lines."""
    tray = tray_lines(shown.tray, shown.talk.writing, shown.maximum, shown.label, cells, max(1, height // 6))
    below = [] if shown.sweeping and shown.talk.swept else _below(shown, cells, height)
    above = [*title(shown.talk, cells), *_prompt(shown, cells), rule(_tray_title(shown.tray), cells), *tray]
    room = max(2, height - len(above) - len(below))
    shown.spots.clear()
    return [*above, *_texts(shown, cells, room, len(above)), *below][:height]


def _below(shown: Shown, cells: int, height: int) -> list[Line]:
    """Return what is said of the texts: breakdown, figures, what the paint means, candidates, strips."""
    writing = shown.talk.writing
    if not len(writing):
        return [()]
    low = height < LOW and shown.cursor is not None
    most = 0 if low else max(1, height // 8)
    drawn = strips(writing, shown.tray, shown.maximum, shown.cursor, cells, most)
    return [
        *breakdown_lines(broken_down(writing), shown.vocabulary, cells),
        *_figured(shown, cells, low=low),
        *candidate_lines(shown, cells, max(3, min(MOST_CANDIDATES, height // 5))),
        *(drawn[1:] if shown.alone else drawn),  # KL is 0
    ]


def _figured(shown: Shown, cells: int, *, low: bool) -> list[Line]:
    """Return figures and what the paint means, on one line where both fit; where it is `low`, in short."""
    writing, at = shown.talk.writing, shown.cursor
    said = figures(writing, shown.vocabulary, at, cells, alone=shown.alone)
    if shown.alone and shown.paint.kind is PaintKind.KL:  # which is 0
        return [said]
    scale = legend(shown.paint, shown.tray, shown.label, shown.top(), short=low)
    if low and at is not None and at < len(writing.kl):
        return [crop(line(f" token {at + 1:<4} ", Span("KL ", Role.DIM), f"{writing.kl[at]:<5.2f} ", *scale), cells)]
    if width_of(said) + width_of(scale) + 3 <= cells:
        return [spread(said, line(*scale, " "), cells)]
    return [said, crop(line(" ", *scale), cells)]


def pointed_words(shown: Shown, x: int, y: int) -> Line:
    """Return the figures of the token drawn at a cell; empty where there is none."""
    token, writing = shown.token_at(x, y), shown.talk.writing
    return () if token is None else figures(writing, shown.vocabulary, token, WIDEST, alone=shown.alone)


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
        return "no server answers · R connects" if talk.attached else "model process stopped · R restarts it"
    if talk.phase is Phase.NONE:
        return "not connected · R connects" if talk.attached else "not loaded; ctrl+g loads it and writes"
    if talk.phase.waits:
        if working is None:
            return since("starting its process" if talk.phase is Phase.LOADING else "at work", talk.waited)
        far = f" {compact(working.done)} of {compact(working.total)} {working.unit}" if working.total else ""
        return since(printable(working.title + far), talk.waited)
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


def _texts(shown: Shown, cells: int, room: int, top: int) -> list[Line]:
    swept = shown.talk.swept
    if shown.sweeping and swept is not None:
        return [rule(sweep_title(swept), cells), *sweep_lines(swept, shown.vocabulary, cells, room - 1)]
    how = shown.talk.phase in (Phase.NONE, Phase.RESTING)
    return text_lines(shown, cells, room, top) if len(shown.talk.writing) else start_lines(shown, cells, room, how=how)
