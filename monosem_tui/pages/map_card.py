"""The card of a feature in a few lines, for below a map or a text."""

from __future__ import annotations

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, share
from monosem_tui.draw.spans import Line, Role, Span, crop, line, rule_span, ruled
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.pages.feature_page import badges, title
from monosem_tui.pages.passage import frame, passage

EXAMPLES = 2
BEFORE = 3
"""Lines before the examples."""


def card_lines(card: FeatureCard, cells: int, rendering: Rendering, most: int = EXAMPLES) -> list[Line]:
    """Return number and label, what it fires on, its explanation or what it promotes, and `most` examples."""
    marks = badges(card)
    right = line(" ", *marks, " ") if marks else ()
    head = ruled(crop(line(rule_span(1), " ", *title(card), " "), cells), cells, right)
    facts = f" fires on {share(card.density)} of {card.noun.many} · max {activation(card.max)}"
    facts += f" · {card.kind} feature" if card.kind else ""
    said = card.explanations[0].text if card.explanations else ""
    raised = " ".join(token for token, _ in card.raises[:6])
    what = (
        [line(" ", Span(said, Role.DIM))] if said else [line(Span(" promotes ", Role.DIM), raised)] if raised else [()]
    )
    examples = card.sections[0].examples[:most] if card.sections else []
    drawn = Rendering.MARKS if rendering is Rendering.RULER else rendering
    where = frame(examples, cells - 2)
    texts = [line(" ", *passage(example, card.max, drawn, where)[0]) for example in examples]
    return [head, *(crop(one, cells) for one in (line(facts), *what, *texts))]
