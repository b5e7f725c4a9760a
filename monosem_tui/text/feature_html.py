"""A feature's page as one HTML file: it asks for nothing from anywhere, runs nothing, and all text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

import numpy as np
from numpy.typing import NDArray
from rich.color import Color

from monosem_tui.text.card import FeatureCard, ShownExample
from monosem_tui.text.feature_document import Document
from monosem_tui.text.heat import STEPS, bins
from monosem_tui.text.numbers import activation, cosine, count, share, signed
from monosem_tui.text.page import section_words
from monosem_tui.text.palette import DARK_RAMP, LIGHT_RAMP

_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --back: #ffffff; --dim: #5f5f5f; --rule: #d0d0d0; LIGHT }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e4e4; --back: #121212; --dim: #a0a0a0; --rule: #3a3a3a; DARK }
}
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: var(--text); background: var(--back);
  font: 15px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: .2rem 0; } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
small, .dim { color: var(--dim); font-weight: normal; font-size: .85rem; }
.examples { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem .8rem;
  font-family: ui-monospace, monospace; font-size: .9rem; }
.examples > b { text-align: right; font-weight: normal; color: var(--dim); }
.examples > p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
bdi { unicode-bidi: isolate; } bdi[class] { padding: .1em 0; border-radius: 2px; }
.peak { font-weight: bold; text-decoration: underline; }
svg { display: block; width: 100%; max-width: 40rem; height: 4rem; fill: var(--dim); }
.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 0 2rem; }
table { border-collapse: collapse; width: 100%; }
td { padding: .1rem .4rem .1rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; } td + td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
"""
Rows = Iterable[tuple[str, str]]


def as_html(document: Document) -> str:
    """The page, readable on a dark and on a light screen."""
    card = document.card
    name = f"{card.feature} {card.label}".strip()
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en" dir="ltr">',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(name)} · {_text(document.run)}</title>",
            f"<style>{_style()}</style>",
            f"<p class=dim>{_isolated(document.run)} · {_isolated(document.model)}</p>",
            f"<h1>{card.feature} {_isolated(card.label)} <small>{_badges(card)}</small></h1>",
            *([f"<p>{_isolated(card.comment)}</p>"] if card.comment else []),
            *_numbers(document),
            *_examples(card),
            '<div class="lists">',
            *_lists(document),
            "</div>",
            "</html>\n",
        ]
    )


def _text(text: str) -> str:
    return escape(text, quote=True)


def _isolated(text: str) -> str:
    """Text that may run from right to left, kept from turning what is beside it."""
    return f"<bdi>{_text(text)}</bdi>"


def _style() -> str:
    ramps = {"LIGHT": LIGHT_RAMP, "DARK": DARK_RAMP}
    style = _STYLE
    for name, ramp in ramps.items():
        steps = [f"--b{n}: {_hex(back)}; --t{n}: {_hex(text)};" for n, (back, text) in enumerate(ramp, 1)]
        style = style.replace(name, " ".join(steps))
    heat = [f".h{n} {{ background: var(--b{n}); color: var(--t{n}); }}" for n in range(1, STEPS + 1)]
    return style + "\n".join(heat) + "\n"


def _hex(number: int) -> str:
    return str(Color.from_ansi(number).get_truecolor().hex)


def _badges(card: FeatureCard) -> str:
    return " ".join([*(["★"] if card.bookmark else []), *(_isolated(f"#{tag}") for tag in card.tags)])


def _numbers(document: Document) -> Iterator[str]:
    card, figures = document.card, document.figures
    if card.dead:
        yield f"<p>Dead: it fires on none of the {count(card.n_counted)} tokens of the index.</p>"
        return
    values = " · ".join(activation(float(value)) for value in figures.quantiles.value)
    at = ", ".join(f"{100 * q:g}" for q in figures.quantiles.q)
    yield (
        f"<p>fires on {share(card.density)} of tokens ({count(card.count)}) · max {activation(card.max)} · "
        f"mean {activation(card.mean)} · norm {card.norm:.2f}<br>"
        f"<span class=dim>quantiles {values} at {at} %</span></p>"
    )
    yield f"<h2>Activations <small>0 to {activation(card.max)}; {share(1 - card.density)} at zero</small></h2>"
    yield _bars(card.histogram.counts)
    if figures.drift:
        yield "<h2>Along the corpus <small>density in stretches of equal length</small></h2>"
        yield _bars(figures.drift.density_S)


def _bars(values: NDArray[np.int64] | NDArray[np.float64]) -> str:
    """Columns; anything above zero shows."""
    heights = np.asarray(values, np.float64)
    top = float(heights.max(initial=0.0)) or 1.0
    columns = [
        f'<rect x="{place}.05" y="{40 - height:.2f}" width=".9" height="{height:.2f}"/>'
        for place, value in enumerate(heights.tolist())
        if (height := max(0.5, 40 * value / top) if value > 0 else 0.0)
    ]
    return (
        f'<svg viewBox="0 0 {len(heights)} 40" preserveAspectRatio="none" aria-hidden="true">{"".join(columns)}</svg>'
    )


def _examples(card: FeatureCard) -> Iterator[str]:
    if card.sections:
        scale = "".join(f"<bdi class=h{step}> {step} </bdi>" for step in range(1, STEPS + 1))
        yield f"<p class=dim>weak {scale} strong, by the logarithm; pointing at a token shows its activation</p>"
    for section in card.sections:
        title, words = section_words(section, card)
        yield f"<h2>{_text(title)} <small>{_text(words)}</small></h2>"
        yield '<div class="examples">'
        for example in section.examples:
            yield f"<b>{activation(example.act)}</b><p>{_passage(example, card.max)}</p>"
        yield "</div>"


def _passage(example: ShownExample, top: float) -> str:
    """Running text, a silent stretch or an active token at a time."""
    parts: list[str] = []
    silent: list[str] = []
    for place, step in enumerate(bins(example.act_T, top).tolist()):
        token = example.tokens[place]
        if not step and place != example.peak:
            silent.append(token)
            continue
        if silent:
            parts.append(_isolated("".join(silent)))
            silent = []
        peak = " peak" if place == example.peak else ""
        act = activation(float(example.act_T[place]))
        parts.append(f'<bdi class="h{step}{peak}" title="{act}">{_text(token)}</bdi>')
    return "".join([*parts, _isolated("".join(silent))] if silent else parts)


def _lists(document: Document) -> Iterator[str]:
    card, figures = document.card, document.figures
    together = figures.cofiring.companions if figures.cofiring else []
    neurons = zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    yield from _list("Raises", ((token, signed(value)) for token, value in card.raises))
    yield from _list("Lowers", ((token, signed(value)) for token, value in card.lowers))
    yield from _list("Near", ((f"{n.feature} {n.name}", cosine(n.cosine)) for n in card.near))
    yield from _list(
        "Fires together with",
        ((f"{c.feature} {figures.names[c.feature]}", f"{share(c.share)} ×{activation(c.lift)}") for c in together),
    )
    yield from _list(f"Neurons of layer {figures.neuron_layer}", ((str(i), cosine(value)) for i, value in neurons))


def _list(title: str, rows: Rows) -> Iterator[str]:
    lines = [f"<tr><td>{_isolated(left)}</td><td>{_text(right)}</td></tr>" for left, right in rows]
    if lines:
        yield f"<section><h2>{_text(title)}</h2><table>{''.join(lines)}</table></section>"
