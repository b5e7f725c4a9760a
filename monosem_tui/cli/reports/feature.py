"""`monosem show RUN ID`: a feature's page."""

from __future__ import annotations

from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.heat import Rendering, default_rendering
from monosem_tui.draw.spans import Line, Role, Span, line, spread, text_of
from monosem_tui.export.feature_json import feature_json
from monosem_tui.export.page_files import Form, as_file, file_name
from monosem_tui.model.feature_document import Document, read_document
from monosem_tui.model.run_origin import origin
from monosem_tui.pages.feature_page import badges, page, title
from store.files.output_file import write_new, write_output
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes, Notes, notes_path
from store.settings.features import ExampleSettings


def report(
    place: Place,
    feature: int,
    *,
    choice: ExampleSettings,
    width: int,
    form: Form | None,
    to: Path | None,
    overwrite: bool,
) -> None:
    """Print a feature's page for `width` columns, or write it to a file.

    Args:
        place: the run or the file.
        feature: number of the feature.
        choice: the examples wanted.
        width: columns of text.
        form: the form of a file; None for text.
        to: a file or a folder; None prints.
        overwrite: replace a file that is there, instead of choosing another name.

    Raises:
        MonosemError: there is no such feature or no index, the store is damaged, or the file cannot be written.
    """
    with FeatureStore.open(place.path) as store:
        notes = read_notes(place)
        if form != "json":
            narrate_unfinished(store)
        if form == "json" and to is None:
            output.emit_json(feature_json(store, notes, feature, choice))
            return
        if form is not None:
            text = as_file(form, store, notes, feature, choice, place.name, origin_of(place))
        else:
            document = read_document(store, notes, feature, choice, place.name, origin=origin_of(place))
            lines = _lines(document, width, marks=to is not None)
            if to is None:
                output.emit_lines(lines)
                return
            text = "".join(text_of(spans).rstrip() + "\n" for spans in lines)
    if to is None:
        output.emit_text(text.rstrip("\n"))
    else:
        target = to / file_name(place.name, str(feature), form or "text") if to.is_dir() else to
        if overwrite:
            write_output(target, text, overwrite=True)
        output.narrate(f"written to {target if overwrite else write_new(target, text)}")


def _lines(document: Document, width: int, *, marks: bool) -> list[Line]:
    card, figures = document.card, document.figures
    heading = line("feature ", *title(card))
    named = spread(heading, line(*badges(card)), width) if badges(card) else heading
    about = [f"{document.run} · {document.model}", *([document.origin] if document.origin else [])]
    head: list[Line] = [*(line(Span(text, Role.DIM)) for text in about), named]
    return [*head, *page(card, figures, width, Rendering.MARKS if marks else rendering())]


def origin_of(place: Place) -> str:
    """Return where an imported run came from; empty for others and for a features.h5 on its own."""
    return origin(place.run.record()) if place.run and place.run.exists() else ""


def read_notes(place: Place) -> dict[int, FeatureNotes]:
    """Read the notes of a run or file."""
    return Notes(notes_path(place.path)).load()


def rendering() -> Rendering:
    """Return how activations are drawn on stdout: as colours where available, else as marks."""
    colors = output.palette().colors
    return default_rendering(colors) if colors else Rendering.MARKS


def narrate_unfinished(store: FeatureStore) -> None:
    """Say how far an index is that is still being written."""
    if not store.complete:
        output.narrate(f"the index is unfinished: {store.n_contexts} of {store.plan.n_contexts} contexts so far")
