"""The parts of a screen, and one meaning for each word of redrawing.

- `tell(sentence)` puts a sentence into the bottom line until the next key; `retell()` draws that line again.
- `show(…)` changes the content of a widget; `refresh()` repaints those of its lines that differ.
- `redraw()` makes a part draw its widgets from the state as it is now.
- `follow()` reads a feature's page once the cursor rests, `read()` at once, `reread()` even if it is shown already.
- `look()` reads files that may have changed, `look_later()` does so after some seconds.
- `repaint(palette)` draws everything with other colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from textual.message import Message

from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.model.session_state import Memory

Way = Callable[[], object]
"""The effect of escape."""


class ScreenPart:
    """A part of a screen: it owns the `action_*` methods of its keys, and everything that concerns only them.

    A part may be a widget as well. The screen looks an action up in its parts; no two of them own the same.
    """

    needs: Mapping[Need, Callable[[], bool]] = MappingProxyType({})
    """For each need that the part answers for: whether it is met now."""

    @property
    def here(self) -> Where | None:
        """The place whose keys work now, if this part has the keys."""
        return None

    def position(self) -> str:
        """Return where one is in it, for the end of the bottom line; empty where another part has the keys."""
        return ""

    def worth_a_hint(self, action: Action) -> bool:  # noqa: ARG002
        """Return whether the bottom line may name an action."""
        return True

    def way_back(self) -> Way | None:
        """Return what escape undoes here; None where nothing was opened."""
        return None

    def cover(self) -> Way | None:
        """Return what q closes here, as it stands over something else; None where nothing does, and q quits."""
        return None

    def interruption(self) -> Way | None:
        """Return what ctrl+c stops here; None where nothing runs."""
        return None

    def remembered(self, memory: Memory) -> Memory:
        """Return `memory` with what this part wants to find again in the next session."""
        return memory

    def started(self) -> None:
        """The screen is mounted."""

    def resized(self, cells: int) -> None:
        """The screen has another width."""

    def resumed(self) -> None:
        """The screen is shown, or shown again."""

    def suspended(self) -> None:
        """Another screen is shown."""

    def ended(self) -> None:
        """The screen is gone."""


@dataclass
class WorkDone(Message):
    """Work in a thread has come to a result, which `take` shows."""

    take: Callable[[], object]
