"""Output of `monosem label`: notes about the features of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import count
from store.files.errors import MonosemError
from store.files.output_file import write_output
from store.files.typed_json import need_unicode
from store.notes import neuronpedia
from store.notes.editor import NoteEditor
from store.notes.exchange import Outcome, entries_json, is_export, merging, note_json, read_entries, to_csv, to_json
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes, Notes, Statement, notes_path
from store.settings.features import NoteSettings

STAR = "★"
_COLUMNS = (
    output.Column("id", ">"),
    output.Column(STAR),
    output.Column("label", shrinks=True),
    output.Column("tags", shrinks=True),
    output.Column("comment", shrinks=True),
)
_NAMED = 8
"""Most features named in a sentence; beyond that it counts them."""


def report(place: Place, *, json: bool) -> None:
    """Print all notes, by feature."""
    notes = _followed(place)
    if json:
        output.emit_json(entries_json(notes.by_feature))
    elif not any(not note.empty for note in notes.by_feature.values()):
        output.narrate(f"there are no notes on {place.name}; `monosem label {place.name} ID TEXT` makes one")
    else:
        _table(notes.by_feature)


def say(place: Place, feature: int, label: str | None, wanted: NoteSettings, *, json: bool) -> None:
    """Take a label and other notes about a feature, as far as they are given, then print its notes.

    Raises:
        MonosemError: there is no such feature, or its notes cannot be read or written.
    """
    last = _features(place) - 1
    if feature > last:
        raise MonosemError(f"{place.name} has no feature {feature}", f"Features are numbered 0 to {last}.")
    notes = _followed(place)
    if said := _statements(feature, label, wanted):
        NoteEditor(notes).say(said)
    note = notes.by_feature.get(feature, FeatureNotes())
    if json:
        output.emit_json(note_json(feature, note))
    elif note.empty:
        output.narrate(f"nothing is said about feature {feature}")
    else:
        _table({feature: note})


def export(place: Place, path: Path, *, overwrite: bool) -> None:
    """Write all notes to a .csv or .json file, all or nothing; an earlier export is replaced.

    Raises:
        MonosemError: it is of another kind, another file is there, or the notes cannot be read or the file written.
    """
    writers = {".csv": to_csv, ".json": to_json}
    if path.suffix.lower() not in writers:
        raise MonosemError(f"--export {path} is neither .csv nor .json")
    notes = _followed(place).by_feature
    write_output(path, writers[path.suffix.lower()](notes), "notes export", is_export, overwrite=overwrite)
    said = sum(not note.empty for note in notes.values())
    output.narrate(f"notes on {_counted(said, 'feature')} exported to {path}")


def take_in(place: Place, path: Path, *, overwrite: bool, json: bool) -> None:
    """Import the notes of a file, or Neuronpedia's explanations, and print the outcome.

    Raises:
        MonosemError: the file cannot be read or names an unknown feature, or the notes cannot be written; then
            nothing is imported.
    """
    if neuronpedia.is_export(path):
        _take_in_explanations(place, path, json=json)
        return
    entries, features = read_entries(path), _features(place)
    for entry in entries:
        if entry.feature >= features:
            raise MonosemError(
                f"{path}, {entry.where}: {place.name} has no feature {entry.feature}",
                f"Features are numbered 0 to {features - 1}. Are these notes on another run?",
            )
    outcome = Outcome()
    _followed(place).change(merging(entries, outcome, overwrite=overwrite))
    changed = sorted({said.feature for said in outcome.added})
    if json:
        kept = [{"feature": feature, "name": name} for feature, name in outcome.kept]
        output.emit_json({"read": len(entries), "changed": changed, "kept": kept})
        return
    output.narrate(
        f"{path}: notes on {_counted(len(entries), 'feature')} read, {count(len(changed))} of them changed here"
    )
    for name in ("label", "comment"):
        kept_here = [feature for feature, kind in outcome.kept if kind == name]
        if kept_here:
            output.narrate(
                f"{_counted(len(kept_here), name)} that the file has otherwise stayed ({_numbers(kept_here)}); "
                "--overwrite takes the file's"
            )


def _take_in_explanations(place: Place, path: Path, *, json: bool) -> None:
    """Import explanations of Neuronpedia beside those of other authors; labels stay as they are."""
    read, features = neuronpedia.read_export(path), _features(place)
    beyond = next((one.feature for one in read if one.feature >= features), None)
    if beyond is not None:
        raise MonosemError(
            f"{path}: {place.name} has no feature {beyond}",
            f"Features are numbered 0 to {features - 1}. Are these explanations of another dictionary?",
        )
    present = Explanations.load(place.path)
    standing = {(one.feature, one.author): one for feature in present.features for one in present.of(feature)}
    added = [one for one in read if standing.get((one.feature, one.author)) != one]
    if added:
        present.append(added)
    authors, changed = sorted({one.author for one in read}), sorted({one.feature for one in added})
    if json:
        output.emit_json({"read": len(read), "changed": changed, "authors": authors})
        return
    output.narrate(
        f"{path}: {_counted(len(read), 'explanation')} by {', '.join(authors[:_NAMED])} read, "
        f"{count(len(added))} of them new here"
    )


def _statements(feature: int, label: str | None, wanted: NoteSettings) -> list[Statement]:
    for text in (*wanted.tag, *wanted.untag, label, wanted.comment):
        need_unicode(text or "", "note")
    said = [Statement(feature, "tag", word) for word in wanted.tag]
    said += [Statement(feature, "untag", word) for word in wanted.untag]
    said += [Statement(feature, "label", label)] if label is not None else []
    said += [Statement(feature, "bookmark", wanted.bookmark)] if wanted.bookmark is not None else []
    return said + ([Statement(feature, "comment", wanted.comment)] if wanted.comment is not None else [])


def _followed(place: Place) -> Notes:
    """Read the notes and report damaged lines."""
    notes = Notes(notes_path(place.path))
    notes.follow()
    if notes.damaged:
        output.narrate(
            f"{_counted(len(notes.damaged), 'damaged line')} in {notes.path} passed over, and left in the file "
            f"(line {_numbers(notes.damaged)})"
        )
    return notes


def _features(place: Place) -> int:
    """Return the number of features."""
    if place.run and place.path.is_dir() and place.run.exists():
        if not (features := place.run.record().spec.d_sae):
            raise MonosemError(f"{place.name} has no features yet", f"Train some: monosem train --out {place.path}")
        return features
    from store.index.reader import FeatureStore

    with FeatureStore.open(place.path) as store:
        return store.d_sae


def _table(notes: Mapping[int, FeatureNotes]) -> None:
    rows = [
        (str(i), STAR if n.bookmark else "", n.label, " ".join(f"#{tag}" for tag in n.tags), n.comment)
        for i, n in sorted(notes.items())
        if not n.empty
    ]
    output.emit_table(_COLUMNS, rows)


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def _numbers(numbers: Iterable[int]) -> str:
    first, *more = [str(number) for number in numbers]
    shown = [first, *more][:_NAMED]
    return ", ".join(shown) + (", …" if len(more) >= _NAMED else "")
