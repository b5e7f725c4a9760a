"""The data of a feature's page, read from the store once and kept as strings and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.token_text import display_token, display_tokens
from monosem_tui.model.context_borders import Border, context_borders
from monosem_tui.model.example_choice import USUAL, ExampleChoice
from store.index.reader import FeatureStore, Weighted
from store.notes.note_file import FeatureNotes
from store.query.examples import Example, Section, sections
from store.query.histogram import Histogram, activation_histogram
from store.query.intervals import ActivationInterval
from store.run.counted_noun import TOKEN, CountedNoun

if TYPE_CHECKING:
    from monosem_tui.model.feature_explanations import ShownExplanation

TOP_EXAMPLES, INTERVALS, INTERVAL_EXAMPLES, RANDOM_EXAMPLES = 8, 4, 3, 4
BEFORE, AFTER = 60, 40
"""Tokens of text around a peak: as many as a very wide terminal can show."""
BINS = 32
OTHER_LAYERS = "nothing by itself: other layers come after"
NO_MODEL = "unknown: that needs a language model"


@dataclass(frozen=True)
class ShownExample:
    """One example, ready to be drawn. T tokens."""

    tokens: list[str]
    act_T: NDArray[np.float32]
    peak: int
    context: int
    position: int
    place: int = 0
    """Corpus position of the peak."""
    role: str = ""
    """The role of the turn with the peak; empty outside conversations and in the template."""
    outlier: bool = False
    """Whether the peak is an outlier token."""
    borders: tuple[Border, ...] = ()
    """Where one context of the document ends and the next begins."""

    @property
    def act(self) -> float:
        """Activation at the peak."""
        return float(self.act_T[self.peak])


@dataclass(frozen=True)
class ShownSection:
    """Examples of one interval of a feature's activations."""

    title: str
    first_rank: int
    n_entries: int
    examples: list[ShownExample]
    unit: str = "context"
    """The unit that appears once: a context or a document."""
    seed: int | None = None
    """Seed of random examples; None elsewhere."""
    interval: ActivationInterval | None = None
    """None for the strongest and for random ones."""


@dataclass(frozen=True)
class Neighbour:
    """A feature with a similar decoder direction."""

    feature: int
    name: str
    """Its label, else its top token."""
    cosine: float


@dataclass(frozen=True)
class FeatureCard:
    """One feature, ready to be laid out at any width."""

    feature: int
    label: str
    bookmark: bool
    tags: list[str]
    comment: str
    count: int
    density: float
    max: float
    mean: float
    norm: float
    token: str
    """Its top token; empty for a dead feature."""
    n_counted: int
    """Number of counted tokens, the denominator of the density."""
    histogram: Histogram
    """Histogram of its non-zero activations."""
    sections: list[ShownSection]
    raises: list[tuple[str, float]]
    """Tokens and logit effects; empty where the site does not lead to the logits."""
    lowers: list[tuple[str, float]]
    near: list[Neighbour]
    without_effects: str = OTHER_LAYERS
    """Why there are no logit effects, where there are none."""
    twin: Neighbour | None = None
    """The other sign of the same signed latent, where the dictionary was made of such."""
    choice: ExampleChoice = USUAL
    """The choice of examples."""
    explanations: tuple[ShownExplanation, ...] = ()
    """The best first."""
    kind: str = ""
    """Its kind; empty where it is not known."""
    noun: CountedNoun = TOKEN
    """The noun for what it fires on."""

    @property
    def dead(self) -> bool:
        """Whether it is never active on the indexed corpus."""
        return self.count == 0


def read_card(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    feature: int,
    choice: ExampleChoice = USUAL,
) -> FeatureCard:
    """Read one feature's page.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    card = read_facts(store, notes, feature)
    found = sections(
        store,
        feature,
        top=TOP_EXAMPLES,
        intervals=choice.intervals,
        by_value=choice.by_value,
        each=INTERVAL_EXAMPLES,
        random=RANDOM_EXAMPLES,
        seed=choice.seed,
        one_per_document=choice.one_per_document,
        before=choice.text.before,
        after=choice.text.after,
    )
    return replace(card, sections=shown_sections(store, found, choice.unit, choice.seed), choice=choice)


def read_facts(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> FeatureCard:
    """Read one feature's page, without examples.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    store.check_lengths()
    logits, columns = store.logits(feature), store.columns
    return FeatureCard(
        feature=feature,
        **_noted(notes, feature),
        count=int(columns.count_F[feature]),
        density=float(columns.density_F[feature]),
        max=float(columns.max_F[feature]),
        mean=float(columns.mean_F[feature]),
        norm=float(columns.decoder_norm_F[feature]),
        token=top_token(store, feature),
        n_counted=store.n_counted,
        histogram=activation_histogram(store, feature, BINS),
        sections=[],
        raises=_effects(store, logits.top),
        lowers=_effects(store, logits.bottom),
        near=[
            Neighbour(int(i), feature_name(store, notes, int(i)), float(value))
            for i, value in zip(*store.neighbours(feature), strict=True)
        ],
        twin=_twin(store, notes, feature),
        without_effects=NO_MODEL if store.plan.of_array else OTHER_LAYERS,
        noun=store.plan.noun,
    )


def _twin(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> Neighbour | None:
    other = store.twin(feature)
    return None if other is None else Neighbour(other, feature_name(store, notes, other), -1.0)


def renoted(card: FeatureCard, store: FeatureStore, notes: dict[int, FeatureNotes]) -> FeatureCard:
    """Return the card with present notes: the same object if they have not changed."""
    near = [replace(near, name=feature_name(store, notes, near.feature)) for near in card.near]
    twin = card.twin and replace(card.twin, name=feature_name(store, notes, card.twin.feature))
    said = _noted(notes, card.feature) | {"near": near, "twin": twin}
    return replace(card, **said) if any(value != getattr(card, name) for name, value in said.items()) else card


def _noted(notes: dict[int, FeatureNotes], feature: int) -> dict[str, Any]:
    """Return the fields of a card that notes decide."""
    note = notes.get(feature, FeatureNotes())
    return {
        "label": printable(note.label),
        "bookmark": note.bookmark,
        "tags": [printable(tag) for tag in note.tags],
        "comment": printable(note.comment),
    }


def feature_name(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> str:
    """Return a feature's label, else its top token, else an empty string."""
    note = notes.get(feature)
    return printable(note.label) if note and note.label else top_token(store, feature)


def top_token(store: FeatureStore, feature: int) -> str:
    """Return a feature's top token with spaces as `·`; empty for a dead feature."""
    token = int(store.columns.top_token_F[feature])
    return display_token(store.vocabulary.token(token)) if token >= 0 else ""


def shown_sections(
    store: FeatureStore, found: Sequence[Section], unit: str, seed: int | None = None
) -> list[ShownSection]:
    """Convert sections of the store; see `ShownSection` for `unit` and `seed`."""
    return [
        ShownSection(s.title, s.first_rank, s.n_entries, [shown(store, e) for e in s.examples], unit, seed, s.interval)
        for s in found
    ]


def shown(store: FeatureStore, example: Example) -> ShownExample:
    """Convert an example of the store to one that is ready to be drawn."""
    tokens = display_tokens(store.vocabulary.tokens(example.token_T))
    place = example.start + example.peak
    role, outlier = example.role or "", store.layout.is_outlier(place)
    return ShownExample(
        tokens,
        example.act_T,
        example.peak,
        example.context,
        example.position,
        place,
        role,
        outlier,
        context_borders(store, example.start, example.start + len(tokens)),
    )


def _effects(store: FeatureStore, effects: Weighted) -> list[tuple[str, float]]:
    tokens = store.vocabulary.tokens(effects.id)
    return [(display_token(token), float(value)) for token, value in zip(tokens, effects.value, strict=True)]
