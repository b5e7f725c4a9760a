"""What Textual takes for its own errors or for keys, and is the line's: bytes that are no UTF-8, a terminal that has
gone, and escape sequences in what is pasted."""

from __future__ import annotations

import errno
import threading
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterable

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.message import Message

_GONE = {errno.EIO, errno.EPIPE, errno.EBADF}


class PlainPastes(XTermParser):
    """Leaves escape characters out of what is pasted.

    Textual looks for sequences in it, and types those that it does not know: a text with escape sequences, pasted as
    a prompt, would press keys. Nothing that is typed here can hold an escape character.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasting, self._before, self._held = False, "", ""

    def feed(self, data: str) -> Iterable[Message]:
        """Take what was read; nothing means that there is no more."""
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
            else:  # what could become a beginning has been passed on: escape alone is a key, and must not wait
                outside, start, rest = (self._before + data).partition(BRACKETED_PASTE_START)
                found += (outside + start)[len(self._before) :]
                self._before = "" if start else outside[1 - len(BRACKETED_PASTE_START) :]
                data, self._pasting = rest, bool(start)
        return found


def _begun(text: str, mark: str) -> int:
    """How many of a mark's letters a text ends with."""
    return next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)


def _forgiving(encoding: str) -> type[IncrementalDecoder]:
    class Forgiving(getincrementaldecoder(encoding)):  # type: ignore[misc]
        """Gives U+FFFD for each byte that is no text."""

        def __init__(self) -> None:
            super().__init__(errors="replace")

    return Forgiving


def forgive() -> None:
    """Read noise as U+FFFD: by itself Textual decodes strictly, and one byte of another encoding would end the app.

    Let what is pasted press no keys; and let the thread that writes to a terminal end without a traceback once there is
    none: SIGHUP ends the rest.
    """
    from textual.drivers import linux_driver

    linux_driver.getincrementaldecoder = _forgiving  # type: ignore[assignment, attr-defined]
    linux_driver.XTermParser = PlainPastes  # type: ignore[attr-defined]
    before = threading.excepthook

    def hook(raised: threading.ExceptHookArgs) -> None:
        if not (isinstance(raised.exc_value, OSError) and raised.exc_value.errno in _GONE):
            before(raised)

    threading.excepthook = hook
