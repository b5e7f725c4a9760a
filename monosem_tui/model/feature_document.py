"""A feature's page for a file or a pipe: chosen examples and every known figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from monosem_tui.draw.safe_text import printable
from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.feature_card import (
    AFTER,
    BEFORE,
    RANDOM_EXAMPLES,
    TOP_EXAMPLES,
    FeatureCard,
    read_facts,
    shown_sections,
)
from monosem_tui.model.feature_explanations import shown_explanations
from monosem_tui.model.feature_stats import Figures, read_figures
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.examples import Section, sections
from store.rules.kind_file import KeptKinds
from store.rules.kinds import Kinds
from store.settings.features import ExampleSettings


def same_examples(shown: ExampleChoice) -> ExampleSettings:
    """Return the examples of a screen's choice, with as much text as a form shows by default."""
    return ExampleSettings(
        top=TOP_EXAMPLES,
        intervals=shown.intervals,
        by_value=shown.by_value,
        random=RANDOM_EXAMPLES,
        seed=shown.seed,
        one_per_document=shown.one_per_document,
    )


def example_sections(store: FeatureStore, feature: int, choice: ExampleSettings, **usual: int) -> list[Section]:
    """Return the examples; `usual` holds the amount of text that a form shows by default."""
    asked = {name: value for name, value in asdict(choice).items() if value is not None}
    return sections(store, feature, **(usual | asked))


@dataclass(frozen=True)
class Document:
    """A feature's page and its origin; all text in it is printable."""

    run: str
    """Name of the run or file."""
    model: str
    """Model, site and size, as in `SaeSpec.title`."""
    card: FeatureCard
    figures: Figures
    origin: str = ""
    """Where an imported autoencoder came from; empty for one trained here."""


def read_document(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    feature: int,
    choice: ExampleSettings,
    run: str,
    sample: int | None = None,
    origin: str = "",
    explanations: Explanations | None = None,
    kinds: Kinds | None = None,
) -> Document:
    """Read a feature's page; companions come from `sample` of its active tokens, by default from all.

    `origin` says where an imported autoencoder came from. `explanations` and
    `kinds` are read from beside the store unless given.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    unit = "document" if choice.one_per_document else "context"
    found = example_sections(store, feature, choice, before=BEFORE, after=AFTER)
    said = shown_explanations(explanations or Explanations.load(store.path), feature)
    kinds = kinds or KeptKinds(store).sound()
    card = replace(
        read_facts(store, notes, feature),
        sections=shown_sections(store, found, unit),
        explanations=said,
        kind=(kinds.of(feature) if kinds else None) or "",
    )
    figures = read_figures(store, notes, feature, sample)
    return Document(printable(run), printable(store.spec.title()), card, figures, printable(origin))
