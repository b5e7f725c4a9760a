"""Notes on a feature: label, bookmark, tags, comment and undo; notes of other terminals appear as well."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from monosem_tui.model.feature_card import renoted
from monosem_tui.model.feature_stats import renamed
from monosem_tui.pages.note_messages import commented, labelled, marked, passed_over, redone, tagged, undone
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart
from monosem_tui.widgets.line_input import NoteKind
from store.files.errors import MonosemError, UnguardedWarning
from store.notes.editor import NoteEditor, Undone
from store.notes.note_file import FeatureNotes
from store.notes.statements import tag_words

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide


class NotesControl(ScreenPart):
    """Takes notes on the feature that the pane is about, and shows notes that have changed."""

    def __init__(self, state: PaneState) -> None:
        self._state, self._host = state, state.host
        self._revision = self._editor.notes.revision
        self._unreadable = ""
        self._lacking: set[str] = set()
        """Warnings about the file system that were shown."""

    @property
    def _editor(self) -> NoteEditor:
        return self._state.run.editor

    def started(self) -> None:
        """Begin to look for the notes of other terminals."""
        self._host.set_interval(self._host.session.tuning.notes, self.look)
        if damaged := self._editor.notes.damaged:
            self._host.call_after_refresh(self._host.tell, passed_over(damaged))

    def resumed(self) -> None:
        """Notes may have been taken on another screen."""
        self.look()

    def look(self) -> None:
        """Show what has been added to the notes, here or in another terminal; draw nothing if nothing was."""
        if not self._host.is_current:
            return
        try:
            self._editor.notes.follow()
        except MonosemError as error:
            if error.what != self._unreadable:  # once, and not every time
                self._unreadable = error.what
                self._host.tell(error.what)
            return
        self._unreadable = ""
        self.redraw()

    def redraw(self) -> None:
        """Draw rows and page with the notes as they are now, if they have changed."""
        if self._editor.notes.revision == self._revision:
            return
        self._revision = self._editor.notes.revision
        state, page = self._state, self._state.page
        state.listing.take_notes()
        if page.card is None:
            return
        fresh = renoted(page.card, state.run.store, state.run.notes)
        if fresh != page.card:
            page.show(fresh)
        if (figures := page.figures) is not None:
            named = renamed(figures, state.run.store, state.run.notes)
            if named is not figures:
                page.figures = named
                page.lay_out()

    # Taking notes

    def _write(self, write: Callable[[], object], sentence: Callable[[], str]) -> None:
        """Write a note, show it, and say what was done.

        Raises:
            MonosemError: it cannot be written.
        """
        with warnings.catch_warnings(record=True, action="always") as found:
            write()
        self.redraw()
        lacking = {str(one.message) for one in found if one.category is UnguardedWarning} - self._lacking
        self._lacking |= lacking
        self._host.tell(" · ".join([sentence(), *sorted(lacking)]))

    def _note(self, feature: int) -> FeatureNotes:
        return self._state.run.notes.get(feature, FeatureNotes())

    def action_bookmark(self) -> None:
        """Set a bookmark, or remove it."""
        feature = self._state.feature
        if feature is not None:
            on = not self._note(feature).bookmark
            with self._host.mentioning():
                self._write(lambda: self._editor.bookmark(feature, on), lambda: marked(feature, on))

    def action_undo(self) -> None:
        """Take back the last note of this session."""
        found: list[Undone] = []
        with self._host.mentioning():
            self._write(
                lambda: found.append(self._editor.undo()), lambda: undone(found[0], self._note(found[0].feature))
            )

    def action_redo(self) -> None:
        """Make the note again that was taken back last."""
        found: list[Undone] = []
        self._write(lambda: found.append(self._editor.redo()), lambda: redone(found[0], self._note(found[0].feature)))

    def action_label(self) -> None:
        """Type a label."""
        self._type_line("label", lambda note: note.label, self._editor.label, labelled)

    def label_as(self, feature: int, text: str) -> None:
        """Take a text as one's label of a feature."""
        with self._host.mentioning():
            self._write(lambda: self._editor.label(feature, text), lambda: labelled(feature, self._note(feature)))

    def action_comment(self) -> None:
        """Type a comment."""
        self._type_line("comment", lambda note: note.comment, self._editor.comment, commented)

    def action_tags(self) -> None:
        """Type tags."""
        self._type("tags", lambda note: " ".join([*note.tags, ""]), self._retag)

    def _type(
        self, kind: NoteKind, begin: Callable[[FeatureNotes], str], take: Callable[[int, str, str], None]
    ) -> None:
        """Have a note typed; where it was changed, `take` is given the feature, the text before and the text after."""
        feature = self._state.feature
        if feature is not None:
            before = begin(self._note(feature))
            self._host.line.ask(
                kind,
                before,
                lambda text: take(feature, before, text) if text != before else None,
                lambda: f"feature {feature}",
                guide=self._guide() if kind == "tags" else None,
            )

    def _guide(self) -> Guide | None:
        """Return the hints of tags: those that other features have; None where there are none."""
        from monosem_tui.pages.filter_words import filter_words
        from monosem_tui.pages.prompt_hints import tag_hints
        from monosem_tui.pages.typing_hints import Guide

        tags = filter_words(self._state.run, None).tags
        return Guide(lambda text, at: tag_hints(text, at, tags)) if tags else None

    def _type_line(
        self,
        kind: NoteKind,
        begin: Callable[[FeatureNotes], str],
        write: Callable[[int, str], object],
        sentence: Callable[[int, FeatureNotes], str],
    ) -> None:
        def take(feature: int, _before: str, text: str) -> None:
            self._write(lambda: write(feature, text.strip()), lambda: sentence(feature, self._note(feature)))

        self._type(kind, begin, take)

    def _retag(self, feature: int, before: str, after: str) -> None:
        """Write only what was typed or deleted: a tag that another terminal has added meanwhile stays."""
        old, new = tag_words(before.split()), tag_words(after.split())
        added = [tag for tag in new if tag not in old]
        removed = [tag for tag in old if tag not in new]
        self._write(lambda: self._editor.tags(feature, added, removed), lambda: tagged(feature, self._note(feature)))
