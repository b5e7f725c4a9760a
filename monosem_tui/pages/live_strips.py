"""Strips with one column per token for KL and clamped activations, and the figures of the token under the cursor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from textwrap import wrap

from monosem_tui.draw.bars import LEVELS
from monosem_tui.draw.numbers import activation, known, share
from monosem_tui.draw.safe_text import cut, fit
from monosem_tui.draw.spans import Line, Role, Span, crop, line
from monosem_tui.draw.token_rows import window
from monosem_tui.draw.token_text import display_token, display_tokens
from monosem_tui.live.breakdown import Breakdown
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import ClampedAct, DrawnToken

NAME = 8
"""Cells before a strip."""
SHOWN_TOKEN = 20
SHOWN_LOOP = 18
"""Cells of a stretch that repeats itself."""


def figures(
    writing: Transcript, vocabulary: Vocabulary, cursor: int | None, cells: int, *, alone: bool = False
) -> Line:
    """Return perplexities and KL of the whole text, or the figures of one token; of the base text where it is alone."""
    if not len(writing):
        return ()
    parts = (
        _of_all(writing, alone=alone)
        if cursor is None
        else _of_token(writing, vocabulary, min(cursor, len(writing) - 1))
    )
    spans: list[Span] = []
    for number, (name, value) in enumerate(parts):
        spans += [Span("   " if number else " ", Role.DIM), Span(f"{name} ", Role.DIM), Span(value)]
    return crop(tuple(spans), cells)


def breakdown_lines(found: Breakdown | None, vocabulary: Vocabulary, cells: int) -> list[Line]:
    """Return how the clamped text has broken down, in a line or two; none while it has not."""
    if found is None:
        return []
    said = wrap(_broken(found, vocabulary), max(1, cells - 2))
    return [crop(line(" ", Span(one, Role.ERROR)), cells) for one in said]


def _broken(found: Breakdown, vocabulary: Vocabulary) -> str:
    if found.loop is None:
        why = f"perplexity {found.perplexity:.0f}, {found.ratio:.0f} × base"
        return f"the text has broken down: {why}; lower the strength"
    text = cut("".join(display_tokens(vocabulary.tokens(found.loop.tokens))), SHOWN_LOOP)
    if found.base_too:
        return f"both texts repeat themselves, this one “{text}”: g sets a temperature"
    return f"the text has broken down: repeats “{text}”; lower the strength"


def strips(
    writing: Transcript,
    tray: Tray,
    maximum: Callable[[int], float | None],
    cursor: int | None,
    cells: int,
    most: int,
) -> list[Line]:
    """Return the strip of KL, and those of at most `most` clamped features."""
    if not len(writing):
        return []
    room = cells - NAME - 2
    first = window(len(writing), room, cursor)
    until = first + room
    lines = [_strip("KL", writing.kl[first:until], _ceiling(writing.kl), first, cursor)]
    features = list(dict.fromkeys(held.clamp.feature for held in tray.held))
    here = tray.present.clamp.feature if tray.present else None
    if here in features[most:]:
        features = [here, *(feature for feature in features if feature != here)]
    for feature in features[:most]:
        levels = [_act(acts, feature) for acts in writing.acts]
        top = max((level for level in levels if level is not None), default=0.0)
        lines.append(_strip(str(feature), levels[first:until], max(top, maximum(feature) or 0.0), first, cursor))
    return [crop(spans, cells) for spans in lines]


def _of_all(writing: Transcript, *, alone: bool) -> list[tuple[str, str]]:
    base, clamped = writing.perplexities
    if alone:
        return [("perplexity", _number(base))]
    parts = [("perplexity base", _number(base)), ("clamped", _number(clamped))]
    found = writing.mean_kl()
    if found is None:
        return [*parts, ("KL", "0: no clamp has changed anything")]
    return [*parts, ("KL mean", f"{found[0]:.2f} nats from token {found[1] + 1}")]


def _of_token(writing: Transcript, vocabulary: Vocabulary, at: int) -> list[tuple[str, str]]:
    parts = [("token", str(at + 1))]
    for name, tokens in (("base", writing.base), ("clamped", writing.clamped)):
        if at < len(tokens):
            parts.append((name, f"{_token(vocabulary, tokens[at])} {_odds(tokens[at].logprob)}"))
    parts += _watched(writing, at)
    if at < len(writing.kl):
        parts += [("unclamped", _odds(writing.own[at])), ("KL", f"{writing.kl[at]:.2f}")]
    return parts


def _watched(writing: Transcript, at: int) -> list[tuple[str, str]]:
    """Return the activations of the feature that paints the texts, before any clamp there."""
    watched = writing.watched
    known = [acts[at] for acts in (watched.base, watched.clamped) if at < len(acts) and math.isfinite(acts[at])]
    return [(str(watched.feature), " → ".join(map(activation, known)))] if known else []


def _token(vocabulary: Vocabulary, token: DrawnToken) -> str:
    return display_token(vocabulary.token(token.token), longest=SHOWN_TOKEN)


def _odds(logprob: float) -> str:
    return share(math.exp(min(0.0, logprob))) if math.isfinite(logprob) else "?"


def _number(value: float | None) -> str:
    return known(value, activation, "–")


def _act(acts: Sequence[ClampedAct], feature: int) -> float | None:
    return next((act.clamped for act in acts if act.feature == feature), None)


def _ceiling(values: Sequence[float]) -> float:
    """Return a power of two above all values: the strip is drawn again only when one exceeds it."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    return 2.0 ** math.ceil(math.log2(top)) if top > 2**-6 else 2**-6


def _strip(name: str, values: Sequence[float | None], top: float, first: int, cursor: int | None) -> Line:
    spans = [Span(" "), Span(fit(name, NAME), Role.BOLD)]
    text = "".join(_column(value, top) for value in values)
    at = None if cursor is None else cursor - first
    if at is None or not 0 <= at < len(text):
        return line(*spans, text)
    return line(*spans, text[:at], Span(text[at], Role.CARET), text[at + 1 :])


def _column(value: float | None, top: float) -> str:
    if value is None:
        return " "
    if not math.isfinite(value):
        return LEVELS[-1]
    return LEVELS[max(1, min(8, round(8 * value / top)))] if top > 0 else LEVELS[1]
