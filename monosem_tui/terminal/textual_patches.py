"""Patches to Textual: bytes that are no UTF-8, a lost terminal, escapes in pastes, scraps in tmux, needless bytes."""

from __future__ import annotations

import os
import re
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.style import Style
from textual import _compositor, screen
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate, ReflowResult
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers._writer_thread import WriterThread
from textual.message import Message

if TYPE_CHECKING:
    from textual.app import App
    from textual.geometry import Size
    from textual.strip import Strip
    from textual.widget import Widget


CLEAR = "\x1b[H\x1b[J"
LONGEST_WRITTEN = 5
"""Most blanks that are not longer than the sequence that erases them."""
RESET_AND_SET = re.compile(r"\x1b\[0m\x1b\[(?=[0-9;]+m)")


class PlainPastes(XTermParser):
    """A parser that drops escape characters from pastes.

    Textual looks for sequences in a paste and types those that it does not know, so that a pasted prompt with escape
    sequences would press keys.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasting, self._before, self._held = False, "", ""

    def feed(self, data: str) -> Iterable[Message]:
        """Parse input; empty input means that it has ended."""
        plain = self._plain(data)
        return super().feed(plain) if plain or not data else ()

    def _plain(self, data: str) -> str:
        found = ""
        while data:
            if self._pasting:
                inside, end, rest = (self._held + data).partition(BRACKETED_PASTE_END)
                held = 0 if end else _begun(inside, BRACKETED_PASTE_END)
                self._held, data, self._pasting = inside[len(inside) - held :], rest, not end
                found += inside[: len(inside) - held].replace("\x1b", "") + end
            else:  # a possible start of a sequence has been passed on: escape alone is a key and must not wait
                outside, start, rest = (self._before + data).partition(BRACKETED_PASTE_START)
                found += (outside + start)[len(self._before) :]
                self._before = "" if start else outside[1 - len(BRACKETED_PASTE_START) :]
                data, self._pasting = rest, bool(start)
        return found


def _begun(text: str, mark: str) -> int:
    """Return how many characters of a mark's start the text ends with."""
    return next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)


def _forgiving(encoding: str) -> type[IncrementalDecoder]:
    class Forgiving(getincrementaldecoder(encoding)):  # type: ignore[misc]
        """A decoder that returns U+FFFD for invalid bytes."""

        def __init__(self) -> None:
            super().__init__(errors="replace")

    return Forgiving


class LineWriter(WriterThread):
    """The thread that writes to the terminal; it discards the rest after the terminal is gone.

    Textual's thread ends with the first write that fails, and its queue of 30 writes then fills: the next write, or the
    end of the app, would wait for ever, and SIGHUP would not be handled any more.
    """

    def run(self) -> None:
        """Write what is queued, until None comes."""
        while (text := self._queue.get()) is not None:
            self._put(text, self._queue.empty())
        self._put("", True)

    def _put(self, text: str, last: bool) -> None:
        try:
            self._file.write(text)
            if last:
                self._file.flush()
        except OSError:  # the rest, and what Python writes out at its end: that failing would change the exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())


class CellsUpdate(ChopsUpdate):
    """An update of parts of lines that writes the cells that are to be repainted and nothing else.

    Textual writes every part of a line from the start of its widget on, moves the cursor to the widget behind it and to
    the next line, and resets the style before it sets another. Blanks at the end of a part are erased, not written.
    """

    def render_segments(self, console: Console) -> str:
        """Return what is written to the terminal."""
        written = []
        for y, first, stop in self.spans:
            for end, (start, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(first, start), min(stop, end)
                if strip is not None and left < right:
                    part = strip.crop(left - start, right - start)
                    blanks = _blanks_at_end(part)
                    erased = f"\x1b[{blanks}X" if blanks > LONGEST_WRITTEN else ""
                    drawn = part.crop(0, part.cell_length - blanks) if erased else part
                    written += [f"\x1b[{y + 1};{left + 1}H", drawn.render(console), erased]
        return RESET_AND_SET.sub("\x1b[0;", "".join(written)).replace("\x1b[0m", "\x1b[m")


def _blanks_at_end(strip: Strip) -> int:
    """Return the cells of blanks at the end of a strip in which no style shows."""
    found = 0
    for text, style, _ in reversed(list(strip)):
        if style is not None and not _bare(style):
            break
        found += len(text) - len(text.rstrip(" "))
        if text.rstrip(" "):
            break
    return found


def _bare(style: Style) -> bool:
    """Return whether nothing of a style shows on blanks."""
    filled = style.bgcolor is not None and not style.bgcolor.is_default
    return not (filled or style.underline or style.underline2 or style.reverse or style.strike or style.overline)


class CurrentCompositor(Compositor):
    """A compositor after whose full updates no widget has anything left to repaint, and for which only widgets that
    come, go, move or grow are to be painted when the layout has changed.

    Textual keeps regions that a widget asked for before a full update, and writes them again with its next change. It
    numbers widgets in their order on the screen, and paints all whose number has changed: a panel that comes up over
    the others would have everything painted.
    """

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay widgets out; return those that are hidden, shown and resized."""
        before, dirty = self._full_map, set(self._dirty_regions)
        result = super().reflow(parent, size)
        self._dirty_regions = dirty
        for widget in before.keys() | self._full_map.keys():
            old, new = before.get(widget), self._full_map.get(widget)
            if old is None or new is None or (old.region, old.clip) != (new.region, new.clip):
                found = (one.visible_region for one in (old, new) if one is not None)
                self._dirty_regions.update(filter(None, found))
        return result

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """Return an update of the whole screen; a simplified one is for a picture and changes nothing."""
        update = super().render_full_update(simplify)
        if not simplify:
            for widget in self.visible_widgets:
                widget._exchange_repaint_regions()
        return update


def end_threads(app: App[Any]) -> None:
    """End the threads of an app's driver, which Textual leaves going where its end was cut short.

    The process would wait for them for ever, and the one that reads a terminal that is gone takes all of a core.
    """
    from textual.drivers.linux_driver import LinuxDriver

    driver = app._driver
    if isinstance(driver, LinuxDriver):
        if driver._key_thread is not None and driver._key_thread.is_alive():
            driver.exit_event.set()
            driver._key_thread.join()
        if driver._writer_thread is not None and driver._writer_thread.is_alive():
            driver._writer_thread.stop()


def forgive() -> None:
    """Install the patches.

    Invalid bytes are read as U+FFFD (Textual decodes strictly, and one byte of another encoding would end the app);
    pastes press no keys; a terminal that is gone blocks nothing until SIGHUP ends the app; the screen is left empty;
    only cells that change are written.
    """
    from textual.drivers import linux_driver

    class Cleared(linux_driver.LinuxDriver):
        """A driver that clears the alternate screen before it leaves it.

        tmux pushes rows of the alternate screen into the scrollback when its window has another size than at the
        beginning.
        """

        def stop_application_mode(self) -> None:
            """Clear and leave the screen."""
            self.write(CLEAR)
            super().stop_application_mode()

    linux_driver.getincrementaldecoder = _forgiving  # type: ignore[assignment, attr-defined]
    linux_driver.XTermParser = PlainPastes  # type: ignore[attr-defined]
    linux_driver.WriterThread = LineWriter  # type: ignore[attr-defined]
    linux_driver.LinuxDriver = Cleared  # type: ignore[misc]
    _compositor.ChopsUpdate = CellsUpdate  # type: ignore[misc]
    screen.Compositor = CurrentCompositor  # type: ignore[attr-defined]
