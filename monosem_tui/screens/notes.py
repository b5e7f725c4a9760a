"""A screen on which notes are taken: label, bookmark, tags, comment, undo; and those of other terminals appear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from monosem_tui.model.feature_card import renoted
from monosem_tui.model.feature_stats import renamed
from monosem_tui.pages.note_messages import commented, labelled, marked, passed_over, tagged, undone
from monosem_tui.screens.page_pane import CardRead, PagedScreen
from monosem_tui.screens.session import Session
from monosem_tui.widgets.filter_input import NOTES, NoteKind, Typed
from store.files.errors import MonosemError
from store.notes.note_file import FeatureNotes
from store.notes.statements import tag_words

EVERY = 2.0
"""Seconds between two looks at whether notes.jsonl has grown: each is one `stat`."""


class _Typing(NamedTuple):
    """What a note is typed about, and the text it began with."""

    feature: int
    kind: NoteKind
    text: str


class NotedScreen(PagedScreen):
    """Takes notes on the feature that a subclass has under its cursor, and says when notes have changed."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._noting: _Typing | None = None
        self._revision = self.run.editor.notes.revision
        self._unreadable = ""

    def notes_changed(self) -> None:
        """Draw anew what shows notes beside the page."""

    def on_mount(self) -> None:
        """Begin to look for the notes of others."""
        self.set_interval(EVERY, self.follow_notes)
        if damaged := self.run.editor.notes.damaged:
            self.call_after_refresh(self.tell, passed_over(damaged))

    def on_screen_resume(self) -> None:
        """Notes may have been taken on another screen."""
        self.follow_notes()

    def on_card_read(self, message: CardRead) -> None:
        """Notes may have changed while the page was read."""
        if isinstance(message.card, MonosemError):
            return
        message.card = renoted(message.card, self.run.store, self.run.notes)

    def follow_notes(self) -> None:
        """Show what has been added to the notes, here or in another terminal; nothing is drawn if nothing was."""
        if not self.is_current:
            return
        try:
            self.run.editor.notes.follow()
        except MonosemError as error:
            if error.what != self._unreadable:  # once, and not every time
                self._unreadable = error.what
                self.tell(error.what)
            return
        self._unreadable = ""
        self._show_notes()

    def _show_notes(self) -> None:
        revision = self.run.editor.notes.revision
        if revision == self._revision:
            return
        self._revision = revision
        self.notes_changed()
        card = self.page.card
        if card is not None:
            fresh = renoted(card, self.run.store, self.run.notes)
            if fresh != card:
                self.page.show(fresh)
            if (figures := self.page.figures) is not None:
                named = renamed(figures, self.run.store, self.run.notes)
                if named is not figures:
                    self.page.figures = named

    # Taking notes

    def _say(self, say: Callable[[], object], sentence: Callable[[], str]) -> None:
        """Say something, show it, and tell what was done, or why it could not be."""
        try:
            say()
        except MonosemError as error:
            self.tell(error.what)
            return
        self._show_notes()
        self.tell(sentence())

    def _note(self, feature: int) -> FeatureNotes:
        return self.run.notes.get(feature, FeatureNotes())

    def action_bookmark(self) -> None:
        """Set a bookmark, or remove it."""
        feature = self.feature
        if feature is not None:
            on = not self._note(feature).bookmark
            self._say(lambda: self.run.editor.bookmark(feature, on), lambda: marked(feature, on))

    def action_label(self) -> None:
        """Type a label."""
        self._type_note("label", lambda note: note.label)

    def action_comment(self) -> None:
        """Type a comment."""
        self._type_note("comment", lambda note: note.comment)

    def action_tags(self) -> None:
        """Type tags."""
        self._type_note("tags", lambda note: " ".join([*note.tags, ""]))

    def action_undo(self) -> None:
        """Take back the last note of this session."""
        found = []
        editor = self.run.editor
        self._say(lambda: found.append(editor.undo()), lambda: undone(found[0], self._note(found[0].feature)))

    def tell(self, said: str = "", right: str = "") -> None:
        """Renew the bottom line; while a note is typed it says on which feature."""
        if self.typing and self.input.kind in NOTES and self._noting is not None:
            right = f"feature {self._noting.feature}"
        super().tell(said, right)

    def _type_note(self, kind: NoteKind, text: Callable[[FeatureNotes], str]) -> None:
        if self.feature is not None:
            self._noting = _Typing(self.feature, kind, text(self._note(self.feature)))
            self.type_into(kind, self._noting.text)

    def typed(self, what: Typed) -> None:
        """The end of a note that is typed."""
        if self._noting is None or self.input.kind not in NOTES or what not in (Typed.KEEP, Typed.LEAVE):
            return
        noting, text, self._noting = self._noting, self.input.text, None
        self.stop_typing()
        if what is Typed.LEAVE or text == noting.text:
            self.tell()
            return
        feature, editor = noting.feature, self.run.editor
        if noting.kind == "label":
            self._say(lambda: editor.label(feature, text.strip()), lambda: labelled(feature, self._note(feature)))
        elif noting.kind == "comment":
            self._say(lambda: editor.comment(feature, text.strip()), lambda: commented(feature, self._note(feature)))
        else:
            self._retag(feature, tag_words(noting.text.split()), tag_words(text.split()))

    def _retag(self, feature: int, before: Sequence[str], after: Sequence[str]) -> None:
        """Only what was typed or deleted: a tag that another terminal has added meanwhile stays."""
        added = [tag for tag in after if tag not in before]
        removed = [tag for tag in before if tag not in after]
        self._say(lambda: self.run.editor.tags(feature, added, removed), lambda: tagged(feature, self._note(feature)))
