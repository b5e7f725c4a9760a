"""A feature's page as one HTML file that makes no request and runs no script of its own.

A screen of 1280 × 800 holds what tells most: the strongest examples on the left; histogram, promoted and suppressed
tokens, neighbours and companions on the right. Examples of the other intervals follow below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from monosem_tui.draw.heat import STEPS, bins
from monosem_tui.draw.html_parts import bar_class, bars, escaped, head, isolated, style_of
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.model.feature_card import FeatureCard, ShownExample, ShownSection
from monosem_tui.model.feature_document import Document
from monosem_tui.model.feature_stats import quantile_texts
from monosem_tui.pages.feature_examples import section_words
from monosem_tui.pages.passage import bordered_texts
from monosem_tui.terms.feature_page import FIRES_WITH, LOGIT_HISTOGRAM, NEURONS, PROMOTES, SIMILAR, SUPPRESSES, TWIN
from monosem_tui.terms.term import Term
from store.run.counted_noun import CountedNoun

BEFORE, AFTER = 110, 70
"""Characters of text around a peak; the rest comes with `more text`."""


@dataclass(frozen=True)
class Browser:
    """The set of pages around a page: the others beside it as NUMBER.html, the list one folder up."""

    n_features: int
    script: str
    """JavaScript for the keys of a page."""

    def page(self, feature: int) -> str:
        """Return the relative address of a feature's page."""
        return f"{feature}.html"


@dataclass(frozen=True)
class _Row:
    """A row of a table."""

    name: str
    """HTML."""
    value: str
    """Text."""
    kind: str = ""
    """Class of the name's cell."""
    bar: str = ""
    """Class of the value's cell."""


def as_html(document: Document, browser: Browser | None = None) -> str:
    """Return the page, for dark and light screens, with links to other pages if it is part of a set."""
    card = document.card
    name = f"{card.feature} {card.label}".strip()
    first, others = card.sections[:1], card.sections[1:]
    return "\n".join(
        [
            *head(f"{name} · {document.run}", _style(), browser.script if browser else ""),
            *([_nav(document, browser)] if browser else []),
            *_header(document, browser),
            *(_scale(card.noun) if card.sections else []),
            "<main>",
            '<section class="first">',
            *(line for section in first for line in _section(section, card)),
            "</section>",
            "<aside>",
            *_beside(document, browser),
            "</aside>",
            "</main>",
            '<div class="rest">',
            *(f for section in others for f in ("<section>", *_section(section, card), "</section>")),
            *_charts(document),
            "</div>",
            *([f"<script>{browser.script}</script>"] if browser else []),
            "</html>\n",
        ]
    )


@cache
def _style() -> str:
    return style_of(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))


def _nav(document: Document, browser: Browser) -> str:
    here, last = document.card.feature, browser.n_features - 1
    links = [f'<a rel="up" href="../index.html">all {count(browser.n_features)} features</a>']
    links += [f'<a rel="prev" href="{browser.page(here - 1)}">← {here - 1}</a>'] if here > 0 else []
    links += [f'<a rel="next" href="{browser.page(here + 1)}">{here + 1} →</a>'] if here < last else []
    links += ['<a rel="search" href="../index.html#search">search</a>']
    return f"<nav>{' '.join(links)} <span class=dim>keys: k, j, /, Esc</span></nav>"


def _header(document: Document, browser: Browser | None) -> Iterator[str]:
    card = document.card
    origin = f" · {isolated(document.origin)}" if document.origin else ""
    yield "<header>"
    yield f"<h1>{card.feature} {isolated(card.label)} <small>{_badges(card)}</small></h1>"
    yield f"<small class=of>{isolated(document.run)} · {isolated(document.model)}{origin}</small>"
    if card.comment:
        yield f"<p>{isolated(card.comment)}</p>"
    for one in card.explanations:
        figures = f" <small>{isolated(one.figures)}</small>" if one.figures else ""
        yield f"<p><b>{isolated(one.author)}</b> {isolated(one.text)}{figures}</p>"
    if card.dead:
        yield f"<p>Dead: it fires on none of the {count(card.n_counted)} {card.noun.many} of the index.</p>"
    else:
        values, at = quantile_texts(document.figures)
        yield (
            f"<p>fires on {share(card.density)} of {card.noun.many} ({count(card.count)}) · "
            f"max {activation(card.max)} · mean {activation(card.mean)} · "
            f"{f'{card.kind} feature · ' if card.kind else ''}norm {card.norm:.2f} "
            f"<span class=dim>· quantiles {values} at {at} %</span></p>"
        )
    if card.twin is not None:
        twin = _named(card.twin.feature, card.twin.name, browser)
        yield f"<p>{heading(TWIN)}, the {TWIN.phrase} of the same latent: {twin}</p>"
    yield "</header>"


def heading(term: Term) -> str:
    """Return a term as it heads a section of the app's page, in small letters but the first."""
    return term.title.capitalize()


def _badges(card: FeatureCard) -> str:
    return " ".join([*(["★"] if card.bookmark else []), *(isolated(f"#{tag}") for tag in card.tags)])


def _scale(noun: CountedNoun) -> Iterator[str]:
    """Yield the meaning of colours, and a box that shows all text; it works without a script."""
    steps = "".join(f"<bdi class=h{step}> {step} </bdi>" for step in range(1, STEPS + 1))
    words = f"strong, by the logarithm; point at a {noun.one} for its activation"
    yield f'<span class="scale">weak {steps} {words} ·</span>'
    yield '<input type="checkbox" id="more"><label for="more" class="scale">more text</label>'


def _section(section: ShownSection, card: FeatureCard) -> Iterator[str]:
    title, words = section_words(section, card)
    yield f"<h2>{escaped(title)} <small>{escaped(words)}</small></h2>"
    yield '<div class="examples">'
    for example in section.examples:
        yield f"<b>{activation(example.act)}{'!' * example.outlier}</b><p>{_passage(example, card.max)}</p>"
    yield "</div>"


def _passage(example: ShownExample, top: float) -> str:
    """Return a passage as HTML, with what is far from the peak in elements of their own."""
    example = replace(example, tokens=bordered_texts(example), borders=())
    first, last = _near(example)
    steps = bins(example.act_T, top).tolist()
    marked = [place for place, step in enumerate(steps) if step or place == example.peak]
    parts = []
    for start, stop in ((0, first), (first, last), (last, len(example.tokens))):
        html = _stretch(example, steps, [place for place in marked if start <= place < stop], start, stop)
        parts.append(html if start == first or not html else f"<span class=far>{html}</span>")
    return "".join(parts)


def _near(example: ShownExample) -> tuple[int, int]:
    """Return the half-open range of tokens that are always shown."""
    first, room = example.peak, BEFORE
    while first > 0 and (room := room - len(example.tokens[first - 1])) >= 0:
        first -= 1
    last, room, n = example.peak + 1, AFTER, len(example.tokens)
    while last < n and (room := room - len(example.tokens[last])) >= 0:
        last += 1
    return first, last


def _stretch(example: ShownExample, steps: list[int], marked: list[int], start: int, stop: int) -> str:
    """Return consecutive tokens as HTML: those at `marked` places as elements, the text between as it is."""
    parts: list[str] = []
    for place in marked:
        if start < place:
            parts.append(isolated("".join(example.tokens[start:place])))
        peak = " peak" if place == example.peak else ""
        act = activation(float(example.act_T[place]))
        parts.append(f'<bdi class="h{steps[place]}{peak}" title="{act}">{escaped(example.tokens[place])}</bdi>')
        start = place + 1
    return "".join([*parts, isolated("".join(example.tokens[start:stop]))] if start < stop else parts)


def _beside(document: Document, browser: Browser | None) -> Iterator[str]:
    """Yield what stands beside the strongest examples."""
    card, figures = document.card, document.figures
    if not card.dead:
        ends = f'<div class="ends"><span>0</span><span>{activation(card.max)}</span></div>'
        at_zero = f"{share(1 - card.density)} of {card.noun.many} at zero"
        yield f"<section><h2>Activations <small>{at_zero}</small></h2>{bars(card.histogram.counts)}{ends}</section>"
    yield '<div class="pair lists">'
    largest = max((abs(value) for _, value in (*card.raises, *card.lowers)), default=1.0)
    for term, effects, kind in ((PROMOTES, card.raises, "u"), (SUPPRESSES, card.lowers, "d")):
        rows = [_Row(isolated(token), signed(v), "t", bar_class(kind, abs(v) / largest)) for token, v in effects]
        yield from _table(heading(term), rows, term.phrase)
    if not card.raises:
        yield f"<section><h2>{heading(PROMOTES)}</h2><small>{escaped(card.without_effects)}</small></section>"
    near = [_Row(_named(n.feature, n.name, browser), cosine(n.cosine)) for n in card.near]
    yield from _table(heading(SIMILAR), near, SIMILAR.phrase)
    together = figures.cofiring
    companions = [
        _Row(_named(c.feature, figures.names[c.feature], browser), f"{share(c.share)} ×{activation(c.lift)}")
        for c in (together.companions if together else [])
    ]
    sampled = f", of {count(together.n_used)} {card.noun.many}" if together and together.sampled else ""
    yield from _table(heading(FIRES_WITH), companions, f"{FIRES_WITH.phrase}{sampled}")
    yield "</div>"


def _charts(document: Document) -> Iterator[str]:
    """Yield what is worth a look after the examples."""
    figures = document.figures
    if figures.drift and not document.card.dead:
        title = "<h2>Along the corpus <small>density in stretches of equal length</small></h2>"
        yield f"<section>{title}{bars(figures.drift.density_S)}</section>"
    if figures.logits is not None:
        low, high = (signed(float(value)) for value in figures.logits.edges[[0, -1]])
        words = f"of all {count(int(figures.logits.counts.sum()))} tokens"
        title = f"<h2>{heading(LOGIT_HISTOGRAM)} <small>{words}</small></h2>"
        ends = f'<div class="ends"><span>{low}</span><span>{high}</span></div>'
        yield f"<section>{title}{bars(figures.logits.counts)}{ends}</section>"
    neurons = zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    rows = [_Row(isolated(str(i)), cosine(value)) for i, value in neurons]
    yield from _table(heading(NEURONS), rows, f"{NEURONS.phrase}, layer {figures.neuron_layer}")


def _named(feature: int, name: str, browser: Browser | None) -> str:
    """Return another feature, linked to its page where there is one."""
    if browser is None:
        return isolated(f"{feature} {name}")
    return f'<a href="{browser.page(feature)}">{feature}</a> {isolated(name)}'


def _table(title: str, rows: Iterable[_Row], words: str = "") -> Iterator[str]:
    lines = [f"<tr><td{_class(r.kind)}>{r.name}</td><td{_class(r.bar)}>{escaped(r.value)}</td></tr>" for r in rows]
    if lines:
        more = f" <small>{escaped(words)}</small>" if words else ""
        yield f"<section><h2>{escaped(title)}{more}</h2><table>{''.join(lines)}</table></section>"


def _class(name: str) -> str:
    return f" class={name}" if name else ""
