"""What the bottom line says when a note was taken, or taken back."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut, printable
from store.notes.editor import Undone
from store.notes.note_file import FeatureNotes

SHOWN = 60
"""Cells of a label or comment in a sentence."""
AGAIN = " · u takes it back"
_CALLED = {"tag": "tags", "untag": "tags"}


def labelled(feature: int, note: FeatureNotes) -> str:
    """A feature has got a label, or lost it."""
    return (f"{feature} is “{_short(note.label)}”" if note.label else f"{feature} has no label now") + AGAIN


def commented(feature: int, note: FeatureNotes) -> str:
    """The same for a comment."""
    return (f"comment on {feature} kept" if note.comment else f"{feature} has no comment now") + AGAIN


def marked(feature: int, on: bool) -> str:
    """The same for a bookmark."""
    return (f"{feature} has a bookmark" if on else f"{feature} has no bookmark now") + AGAIN


def tagged(feature: int, note: FeatureNotes) -> str:
    """The same for tags."""
    return f"{feature}: {_tags(note)}{AGAIN}"


def undone(done: Undone, note: FeatureNotes) -> str:
    """What an undo did; `note` is what holds of its feature."""
    name = _CALLED.get(done.name, done.name)
    if done.outcome == "nothing":
        return "nothing to undo: no note was taken in this session, or all are taken back"
    if done.outcome == "changed elsewhere":
        return f"the {name} of {done.feature} changed in another terminal since: left as it is"
    if name == "bookmark":
        return f"{done.feature} has {'its' if note.bookmark else 'no'} bookmark again"
    if name == "tags":
        return f"{done.feature} again: {_tags(note)}"
    text = note.label if name == "label" else note.comment
    return f"{name} of {done.feature} again: {f'“{_short(text)}”' if text else 'none'}"


def passed_over(damaged: Sequence[int]) -> str:
    """Lines of notes.jsonl that cannot be read; they stay in the file."""
    lines = ", ".join(map(str, damaged[:8])) + (", …" if len(damaged) > 8 else "")
    what = "1 damaged line" if len(damaged) == 1 else f"{count(len(damaged))} damaged lines"
    return f"{what} in the notes passed over, and left in the file (line {lines})"


def _tags(note: FeatureNotes) -> str:
    return cut(" ".join(f"#{printable(tag)}" for tag in note.tags) or "no tags", SHOWN)


def _short(text: str) -> str:
    return cut(printable(text[: 4 * SHOWN]), SHOWN)
