"""A feature's page as Markdown, for notes and issues: readable unrendered, with all text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.heat import strongest
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.draw.token_text import SPACE
from monosem_tui.model.feature_card import FeatureCard, ShownExample
from monosem_tui.model.feature_document import Document
from monosem_tui.model.feature_explanations import ShownExplanation
from monosem_tui.model.feature_stats import quantile_texts
from monosem_tui.pages.feature_examples import section_words
from monosem_tui.pages.passage import MARKED, bordered_texts
from monosem_tui.terms.feature_page import FIRES_WITH, NEURONS, PROMOTES, SIMILAR, SUPPRESSES, TWIN
from monosem_tui.terms.term import Term

BEFORE, AFTER = 24, 12
"""Tokens of an example around its peak."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&$@:/])")


def as_markdown(document: Document) -> str:
    """Return the page as CommonMark with GitHub's tables."""
    card = document.card
    parts = [
        f"# Feature {card.feature}" + (f": {escaped(card.label)}" if card.label else ""),
        " · ".join(escaped(part) for part in (document.run, document.model, document.origin) if part),
        " ".join([*(["★"] if card.bookmark else []), *(f"`#{_code(tag)}`" for tag in card.tags)]),
        escaped(card.comment),
        "\n".join(_explained(one) for one in card.explanations),
        _numbers(document),
        *_examples(card),
        "## Relations",
        "\n".join(_relations(document)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _explained(one: ShownExplanation) -> str:
    return f"- {' · '.join(escaped(part) for part in (one.author, one.text, one.figures) if part)}"


def escaped(text: str) -> str:
    """Escape every sign that could be markup."""
    return _MARKUP.sub(r"\\\1", text)


def _code(text: str) -> str:
    """Return text for a code span, where a backtick would end it."""
    return text.replace("`", "'")


def _numbers(document: Document) -> str:
    card, figures = document.card, document.figures
    if card.dead:
        return f"Dead: it fires on none of the {count(card.n_counted)} {card.noun.many} of the index."
    values, at = quantile_texts(figures)
    rows = [
        ("fires on", f"{share(card.density)} of {card.noun.many} ({count(card.count)})"),
        ("max, mean", f"{activation(card.max)}, {activation(card.mean)}"),
        ("quantiles", f"{values} at {at} %"),
        ("activations", f"`{sparkline(card.histogram.counts)}` 0 to {activation(card.max)}"),
        *([("along the corpus", f"`{sparkline(figures.drift.density_S)}`")] if figures.drift else []),
        *([("kind", card.kind)] if card.kind else []),
        ("decoder norm", f"{card.norm:.2f}"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _examples(card: FeatureCard) -> Iterator[str]:
    for section in card.sections:
        title, words = section_words(section, card)
        yield f"## {title}"
        yield words
        rows = [
            f"| {activation(example.act)}{'!' * example.outlier} | {_passage(example)} |"
            for example in section.examples
        ]
        yield "\n".join(["| | |", "|--:|---|", *rows])


def _passage(example: ShownExample) -> str:
    """Return text around the peak: the strongest tokens bold, `‹11.8›` after the peak."""
    first, last = max(0, example.peak - BEFORE), min(len(example.tokens), example.peak + AFTER + 1)
    tokens, bold = bordered_texts(example), strongest(example.act_T, MARKED) | {example.peak}
    parts = ["…"] if first else []
    for place in range(first, last):
        text = tokens[place]
        parts.append(_bold(text) if place in bold else escaped(text))
        if place == example.peak:
            parts.append(f"‹{activation(example.act)}›")
    # Adjacent bold pieces are joined; every asterisk of the text itself is escaped.
    return "".join(parts).strip().replace("****", "") + ("…" if last < len(example.tokens) else "")


def _bold(text: str) -> str:
    """Return bold text as Markdown allows it: around letters and digits, spaces outside."""
    core = text.strip(" ")
    if not (core and core[0].isalnum() and core[-1].isalnum()):
        return escaped(text)
    before = len(text) - len(text.lstrip(" "))
    return " " * before + f"**{escaped(core)}**" + " " * (len(text) - before - len(core))


def _relations(document: Document) -> Iterator[str]:
    card, figures = document.card, document.figures
    for term, effects in ((PROMOTES, card.raises), (SUPPRESSES, card.lowers)):
        if effects:
            yield _item(term, (f"`{_code(token or SPACE)}` {signed(value)}" for token, value in effects))
    if card.twin:
        yield _item(TWIN, (f"{card.twin.feature} {escaped(card.twin.name)}",))
    if card.near:
        yield _item(SIMILAR, (f"{n.feature} {escaped(n.name)} {cosine(n.cosine)}" for n in card.near))
    if figures.cofiring and figures.cofiring.companions:
        names, together = figures.names, figures.cofiring.companions
        yield _item(
            FIRES_WITH,
            (f"{c.feature} {escaped(names[c.feature])} {share(c.share)} ×{activation(c.lift)}" for c in together),
        )
    neurons = list(zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True))
    if neurons:
        yield _item(NEURONS, (f"{i} {cosine(value)}" for i, value in neurons), f", layer {figures.neuron_layer}")


def _item(term: Term, parts: Iterable[str], more: str = "") -> str:
    """Return parts behind a term as the app's page heads them, with its phrase."""
    return f"- **{term.title.capitalize()}** ({escaped(term.phrase)}{more}): " + ", ".join(parts)
