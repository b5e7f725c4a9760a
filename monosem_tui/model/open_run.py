"""A run opened for browsing: its store, its notes, and its name in one line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from monosem_tui.draw.numbers import count, share
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.editor import NoteEditor
from store.notes.explanations import Explanations, explanations_path
from store.notes.note_file import FeatureNotes, Notes, notes_path
from store.run.folder import RunFolder, RunRecord

if TYPE_CHECKING:
    from store.rules.kind_file import KeptKinds
    from store.rules.kinds import Kinds

PROGRAM = "monosem"


@dataclass(frozen=True)
class OpenRun:
    """A run's data, shared by all screens."""

    name: str
    path: Path
    """The run's folder, or the features.h5 opened on its own; links resolved."""
    store: FeatureStore
    notes: dict[int, FeatureNotes]
    """Notes per feature, updated in place by `editor`."""
    editor: NoteEditor
    """Changes and undoes notes."""
    explanations: Explanations
    """Explanations of its features, by all authors."""
    record: RunRecord | None
    """None for a features.h5 opened on its own."""

    @cached_property
    def kept_kinds(self) -> KeptKinds:
        """The file with the kinds of its features."""
        from store.rules.kind_file import KeptKinds

        return KeptKinds(self.store)

    @property
    def kinds(self) -> Kinds | None:
        """The kinds of its features as far as they are known; a damaged file of them costs nothing else."""
        return self.kept_kinds.sound()

    def kind(self, feature: int) -> str:
        """Return the kind of a feature; empty where it is not known."""
        kinds = self.kinds
        return (kinds.of(feature) if kinds else None) or ""


def open_run(path: Path, index: Path | None = None) -> OpenRun:
    """Open a run folder, or a features.h5 anywhere, and read the columns that every list needs.

    Args:
        path: the run, whose notes and explanations are read.
        index: an index of the same features on another text, in place of the run's own.

    Raises:
        MonosemError: there is nothing to browse, or a file is damaged or of a newer schema.
    """
    store = FeatureStore.open(index or path)
    try:
        _ = store.columns
    except MonosemError:
        store.close()
        raise
    run = RunFolder(path.parent if path.is_file() else path)
    alone = path.is_file() and path != run.features
    notes = Notes(notes_path(path))
    notes.follow()
    explanations = Explanations(explanations_path(path))
    explanations.follow()
    return OpenRun(
        name=printable(path.name if alone else run.name),
        path=(path if alone else run.path).resolve(),
        store=store,
        notes=notes.by_feature,
        editor=NoteEditor(notes),
        explanations=explanations,
        record=run.record() if run.exists() and not alone else None,
    )


def headline(run: OpenRun | None, cells: int) -> Line:
    """`monosem  stories · stories260K resid_post 2 · topk 1 024 k16 · EV 0.941 · L0 16.0`, as much as fits.

    When it is narrow, the program's name goes first, then the description of the SAE; the run's name stays longest.
    """
    if run is None:
        return crop(essential(run), cells)
    name, state, numbers = _name(run), _state(run), _numbers(run)
    title = [line(" · ", printable(part)) for part in run.store.spec.title().split(" · ")]
    program = line(Span(f" {PROGRAM} ", Role.DIM))
    made = _origin(run)
    for parts in (
        [program, name, *title, *made, *state, *numbers],
        [program, name, *title, *state, *numbers],
        [name, *title, *state, *numbers],
        [name, title[0], *state, *numbers],
        [name, *state, *numbers],
        [name, *state],
    ):
        spans = tuple(span for part in parts for span in part)
        if width_of(spans) <= cells:
            return spans
    return crop(name, cells)


def essential(run: OpenRun | None) -> Line:
    """Return the essential parts: the run's name, the indexed share, EV and L0."""
    if run is None:
        return line(Span(f" {PROGRAM}  ", Role.DIM), "no run open")
    return line(*_name(run), *(span for part in [*_state(run), *_numbers(run)] for span in part))


def _origin(run: OpenRun) -> list[Line]:
    """Return where an imported run came from."""
    if run.record is None or "import" not in run.record.config:
        return []
    from monosem_tui.model.run_origin import origin  # few runs need it, and the first screen is to be there soon

    return [line(Span(f" · {printable(origin(run.record))}", Role.DIM))]


def _name(run: OpenRun) -> Line:
    return line(" ", Span(run.name, Role.BOLD))


def _state(run: OpenRun) -> list[Line]:
    """Return the indexed share while the index is being written."""
    if run.store.complete:
        return []
    done, planned = run.store.n_contexts, run.store.plan.n_contexts
    return [line(" · ", Span(f"index {share(done / planned)}: {count(done)} of {count(planned)} contexts", Role.BOLD))]


def _numbers(run: OpenRun) -> list[Line]:
    results = run.record.results if run.record else None
    found = []
    if results and results.explained_variance is not None:
        found.append(line(f" · EV {results.explained_variance:.3f}"))
    if results and results.l0 is not None:
        found.append(line(f" · L0 {results.l0:.1f}"))
    return found
