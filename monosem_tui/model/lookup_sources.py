"""Sources of a lookup: features, runs, recipes and documents of the open run, read in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.feature_card import top_token
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.lookup import Finding, Kind, LookupSource
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.runs_watch import RunState, RunsWatch
from monosem_tui.model.word_index import IndexedText, WordIndex
from store.index.reader import FeatureStore
from store.live.saved_recipes import KeptRecipe, kept_recipes
from store.notes.note_file import FeatureNotes

NAME, TAG, SAID, TOKEN = range(4)
"""Ranks of fields: labels and names, tags, what is said of a thing, the token with most of a feature's activation."""
MOST_DOCUMENTS = 20_000
"""Documents whose beginnings are indexed: those of a larger corpus are found by number."""
BEGINNING_TOKENS = 24
Wanted = Callable[[], bool]


class FeatureSource:
    """Features by number, label, tag, comment, explanation and token."""

    kind = Kind.FEATURE

    def __init__(self, run: OpenRun, before: FeatureSource | None, wanted: Wanted) -> None:
        """Index the features; what has not changed since `before` is taken from it."""
        self._run, self._notes_at = run, run.editor.notes.revision
        self._said_at = run.explanations.revision
        store, known = run.store, before if before is not None and before._run is run else None
        if known is not None and known._notes_at == self._notes_at:
            notes = known.indexes[0]
        else:
            notes = WordIndex(_noted(run.notes), store.d_sae, wanted)
        if known is not None and known._said_at == self._said_at:
            said = known.indexes[1]
        else:
            said = WordIndex(_said(run), store.d_sae, wanted)
        self.indexes: Sequence[WordIndex] = notes, said

    @cached_property
    def weight_E(self) -> NDArray[np.float64]:
        """Features of a larger maximum first."""
        max_F = np.nan_to_num(self._run.store.columns.max_F.astype(np.float64), posinf=0.0)
        return max_F / max(float(max_F.max(initial=0.0)), 1e-9)

    def numbered(self, number: int) -> int | None:
        """Return the feature of a number."""
        return number if number < self._run.store.d_sae else None

    def finding(self, entry: int) -> Finding:
        """Return a feature with its label or explanation, its token and its tags."""
        run, note = self._run, self._run.notes.get(entry, FeatureNotes())
        said = printable(note.label) or suggestion(run.explanations, entry)
        token = top_token(run.store, entry) or "never fires"
        tags = " ".join(f"#{printable(tag)}" for tag in note.tags)
        text = "  ".join(filter(None, (said, token, tags)))
        return Finding(Kind.FEATURE, entry, str(entry), text, given=bool(note.label))


def _noted(notes: Mapping[int, FeatureNotes]) -> Iterator[IndexedText]:
    for feature in sorted(notes):
        note = notes.get(feature)
        if note is not None:
            yield IndexedText(feature, NAME, note.label)
            yield IndexedText(feature, TAG, " ".join(f"#{tag} {tag}" for tag in note.tags))
            yield IndexedText(feature, SAID, note.comment)


def _said(run: OpenRun) -> Iterator[IndexedText]:
    """Yield the explanations and the token of each feature."""
    store, explained = run.store, _by_feature(run.explanations.texts())
    token_F = store.columns.top_token_F
    used, place_F = np.unique(token_F, return_inverse=True)
    names = [store.vocabulary.token(token).decode("utf-8", "replace") if token >= 0 else "" for token in used.tolist()]
    for feature, place in enumerate(place_F.tolist()):
        for text in explained.get(feature, ()):
            yield IndexedText(feature, SAID, text)
        yield IndexedText(feature, TOKEN, names[place])


def _by_feature(texts: Iterator[tuple[int, str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for feature, text in texts:
        found.setdefault(feature, []).append(text)
    return found


class RunSource:
    """Runs by name, model and size; the newest first among equals."""

    kind = Kind.RUN

    def __init__(self, states: Sequence[RunState]) -> None:
        self.states = {str(state.path): state for state in states}
        """The runs by their paths."""
        self._states = states
        texts = (
            IndexedText(entry, rank, text)
            for entry, state in enumerate(states)
            for rank, text in ((NAME, state.row.name), (SAID, f"{state.title} {state.row.status}"))
        )
        self.indexes: Sequence[WordIndex] = (WordIndex(texts, len(states)),)
        self.weight_E = np.linspace(1.0, 0.0, len(states))

    def numbered(self, _number: int) -> int | None:
        """Runs have no numbers."""
        return None

    def finding(self, entry: int) -> Finding:
        """Return a run with its status and what it is of."""
        state = self._states[entry]
        text = " · ".join(filter(None, (printable(state.row.status), printable(state.title))))
        return Finding(Kind.RUN, str(state.path), printable(state.row.name), text)


class RecipeSource:
    """Recipes by name and prompt; the last one kept first among equals."""

    kind = Kind.RECIPE

    def __init__(self, kept: Sequence[KeptRecipe]) -> None:
        self.kept = {one.name: one for one in kept}
        """The recipes by their names."""
        self._kept = kept
        texts = (
            IndexedText(entry, rank, text)
            for entry, one in enumerate(kept)
            for rank, text in ((NAME, one.name), (SAID, one.recipe.prompt))
        )
        self.indexes: Sequence[WordIndex] = (WordIndex(texts, len(kept)),)
        self.weight_E = np.linspace(1.0, 0.0, len(kept))

    def numbered(self, _number: int) -> int | None:
        """Recipes have no numbers."""
        return None

    def finding(self, entry: int) -> Finding:
        """Return a recipe with the start of its prompt."""
        one = self._kept[entry]
        return Finding(Kind.RECIPE, one.name, printable(one.name), printable(one.recipe.prompt[:200]))


class DocumentSource:
    """Documents by number and by their first words; contexts where documents are unknown."""

    kind = Kind.DOCUMENT

    def __init__(self, store: FeatureStore, wanted: Wanted) -> None:
        self._store = store
        layout = store.layout
        self._start, self._number = layout.documents if store.n_documents else _contexts(store)
        self._name = "document" if store.n_documents else "context"
        n = len(self._start)
        self.indexes: Sequence[WordIndex] = (WordIndex(self._texts(min(n, MOST_DOCUMENTS)), n, wanted),)
        self.weight_E = np.linspace(1.0, 0.0, n)

    def _texts(self, n: int) -> Iterator[IndexedText]:
        for entry in range(n):
            yield IndexedText(entry, NAME, f"{self._name} {self._number[entry]}")
            yield IndexedText(entry, SAID, self.beginning(entry))

    def beginning(self, entry: int, tokens: int = BEGINNING_TOKENS) -> str:
        """Return the first words of a document, without tokens that only open a context."""
        start = int(self._start[entry])
        end = int(self._start[entry + 1]) if entry + 1 < len(self._start) else self._store.n_tokens
        stop = min(start + tokens, end)
        token_T = self._store.tokens(start, stop)[self._store.counted(start, stop)]
        return self._store.vocabulary.text(token_T.tolist())

    def numbered(self, number: int) -> int | None:
        """Return the document of a number."""
        found = np.flatnonzero(self._number == number)
        return int(found[0]) if len(found) else None

    def finding(self, entry: int) -> Finding:
        """Return a document with its first words."""
        text = " ".join(self.beginning(entry).split())
        return Finding(Kind.DOCUMENT, int(self._start[entry]), str(self._number[entry]), printable(text))

    def text_at(self, place: int, tokens: int) -> str:
        """Return the first tokens of the document that begins at a place."""
        return self.beginning(int(np.searchsorted(self._start, place)), tokens)

    def size(self, place: int) -> str:
        """Return the size of the document that begins at a place, in words."""
        start, stop = self._store.document_span(place) if self._store.n_documents else (0, 0)
        return f"{count(stop - start)} {self._store.plan.noun.many}" if stop else ""


def _contexts(store: FeatureStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    start = store.layout.contexts.start
    return start, np.arange(len(start))


class LookupCatalogue:
    """Everything that can be looked up beside commands; `read` brings it up to date, in one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._watch = RunsWatch(root)
        self.features: FeatureSource | None = None
        self.runs = RunSource(())
        self.recipes = RecipeSource(())
        self.documents: DocumentSource | None = None
        self._store: FeatureStore | None = None

    @property
    def sources(self) -> list[LookupSource]:
        """The sources read so far."""
        found: tuple[LookupSource | None, ...] = self.features, self.runs, self.recipes, self.documents
        return [one for one in found if one is not None]

    def read(self, run: OpenRun | None, wanted: Wanted) -> None:
        """Read what has changed: names first, the words of documents last.

        Raises:
            MonosemError: a file cannot be read.
            Superseded: the work is not wanted any more.
        """
        if run is not None:
            self.recipes = RecipeSource(kept_recipes(run.editor.notes.path))
            self.features = FeatureSource(run, self.features, wanted)
        self.runs = RunSource(self._watch.poll())
        if run is not None and self._store is not run.store:
            self.documents = DocumentSource(run.store, wanted)
            self._store = run.store
