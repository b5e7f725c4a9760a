"""A feature's page as one HTML file that makes no request and runs no script of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from monosem_tui.draw.heat import STEPS, bins
from monosem_tui.draw.html_parts import bars, escaped, head, isolated, style_of
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.model.feature_card import FeatureCard, ShownExample
from monosem_tui.model.feature_document import Document
from monosem_tui.model.feature_stats import quantile_texts
from monosem_tui.pages.feature_page import section_words

_STYLE = """
.examples { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem .8rem;
  font-family: ui-monospace, monospace; font-size: .9rem; }
.examples > b { text-align: right; font-weight: normal; color: var(--dim); }
.examples > p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
bdi[class] { padding: .1em 0; border-radius: 2px; }
.peak { font-weight: bold; text-decoration: underline; }
.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 0 2rem; }
nav { display: flex; flex-wrap: wrap; gap: 0 1.2rem; margin-bottom: 1rem; }
"""
Rows = Iterable[tuple[str, str]]
"""HTML on the left, text on the right."""


@dataclass(frozen=True)
class Browser:
    """The set of pages around a page: the others beside it as NUMBER.html, the list one folder up."""

    n_features: int
    script: str
    """JavaScript for the keys of a page."""

    def page(self, feature: int) -> str:
        """Return the relative address of a feature's page."""
        return f"{feature}.html"


def as_html(document: Document, browser: Browser | None = None) -> str:
    """Return the page, for dark and light screens, with links to other pages if it is part of a set."""
    card = document.card
    name = f"{card.feature} {card.label}".strip()
    return "\n".join(
        [
            *head(f"{name} · {document.run}", _style(), browser.script if browser else ""),
            *([_nav(document, browser)] if browser else []),
            f"<p class=dim>{isolated(document.run)} · {isolated(document.model)}</p>",
            f"<h1>{card.feature} {isolated(card.label)} <small>{_badges(card)}</small></h1>",
            *([f"<p>{isolated(card.comment)}</p>"] if card.comment else []),
            *_numbers(document),
            *_examples(card),
            '<div class="lists">',
            *_lists(document, browser),
            "</div>",
            *([f"<script>{browser.script}</script>"] if browser else []),
            "</html>\n",
        ]
    )


@cache
def _style() -> str:
    return style_of(_STYLE)


def _nav(document: Document, browser: Browser) -> str:
    here, last = document.card.feature, browser.n_features - 1
    links = [f'<a rel="up" href="../index.html">all {count(browser.n_features)} features</a>']
    links += [f'<a rel="prev" href="{browser.page(here - 1)}">← {here - 1}</a>'] if here > 0 else []
    links += [f'<a rel="next" href="{browser.page(here + 1)}">{here + 1} →</a>'] if here < last else []
    links += ['<a rel="search" href="../index.html#search">search</a>']
    return f"<nav>{' '.join(links)} <span class=dim>keys: k, j, /, Esc</span></nav>"


def _badges(card: FeatureCard) -> str:
    return " ".join([*(["★"] if card.bookmark else []), *(isolated(f"#{tag}") for tag in card.tags)])


def _numbers(document: Document) -> Iterator[str]:
    card, figures = document.card, document.figures
    if card.dead:
        yield f"<p>Dead: it fires on none of the {count(card.n_counted)} tokens of the index.</p>"
        return
    values, at = quantile_texts(figures)
    yield (
        f"<p>fires on {share(card.density)} of tokens ({count(card.count)}) · max {activation(card.max)} · "
        f"mean {activation(card.mean)} · norm {card.norm:.2f}<br>"
        f"<span class=dim>quantiles {values} at {at} %</span></p>"
    )
    yield f"<h2>Activations <small>0 to {activation(card.max)}; {share(1 - card.density)} at zero</small></h2>"
    yield bars(card.histogram.counts)
    if figures.drift:
        yield "<h2>Along the corpus <small>density in stretches of equal length</small></h2>"
        yield bars(figures.drift.density_S)


def _examples(card: FeatureCard) -> Iterator[str]:
    if card.sections:
        scale = "".join(f"<bdi class=h{step}> {step} </bdi>" for step in range(1, STEPS + 1))
        yield f"<p class=dim>weak {scale} strong, by the logarithm; pointing at a token shows its activation</p>"
    for section in card.sections:
        title, words = section_words(section, card)
        yield f"<h2>{escaped(title)} <small>{escaped(words)}</small></h2>"
        yield '<div class="examples">'
        for example in section.examples:
            yield f"<b>{activation(example.act)}{'!' * example.outlier}</b><p>{_passage(example, card.max)}</p>"
        yield "</div>"


def _passage(example: ShownExample, top: float) -> str:
    """Return a passage as HTML: active tokens as spans, the text between as it is."""
    parts: list[str] = []
    silent: list[str] = []
    for place, step in enumerate(bins(example.act_T, top).tolist()):
        token = example.tokens[place]
        if not step and place != example.peak:
            silent.append(token)
            continue
        if silent:
            parts.append(isolated("".join(silent)))
            silent = []
        peak = " peak" if place == example.peak else ""
        act = activation(float(example.act_T[place]))
        parts.append(f'<bdi class="h{step}{peak}" title="{act}">{escaped(token)}</bdi>')
    return "".join([*parts, isolated("".join(silent))] if silent else parts)


def _lists(document: Document, browser: Browser | None) -> Iterator[str]:
    card, figures = document.card, document.figures
    together = figures.cofiring
    neurons = zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    yield from _list("Raises", ((isolated(token), signed(value)) for token, value in card.raises))
    yield from _list("Lowers", ((isolated(token), signed(value)) for token, value in card.lowers))
    yield from _list("Near", ((_named(n.feature, n.name, browser), cosine(n.cosine)) for n in card.near))
    companions = (
        (_named(c.feature, figures.names[c.feature], browser), f"{share(c.share)} ×{activation(c.lift)}")
        for c in (together.companions if together else [])
    )
    estimated = f"from {count(together.n_used)} of its tokens" if together and together.sampled else ""
    yield from _list("Fires together with", companions, estimated)
    yield from _list(
        f"Neurons of layer {figures.neuron_layer}", ((isolated(str(i)), cosine(value)) for i, value in neurons)
    )


def _named(feature: int, name: str, browser: Browser | None) -> str:
    """Return another feature, linked to its page where there is one."""
    if browser is None:
        return isolated(f"{feature} {name}")
    return f'<a href="{browser.page(feature)}">{feature}</a> {isolated(name)}'


def _list(title: str, rows: Rows, words: str = "") -> Iterator[str]:
    lines = [f"<tr><td>{left}</td><td>{escaped(right)}</td></tr>" for left, right in rows]
    if lines:
        more = f" <small>{escaped(words)}</small>" if words else ""
        yield f"<section><h2>{escaped(title)}{more}</h2><table>{''.join(lines)}</table></section>"
