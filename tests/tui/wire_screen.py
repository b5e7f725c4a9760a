"""A terminal that knows the sequences that the app may write, and fails at any other.

Cells are counted by Unicode's own tables, not by the library that the app measures with.
"""

from __future__ import annotations

import base64
import codecs
import re
import unicodedata

MODES = {"25", "1000", "1003", "1004", "1006", "1015", "1016", "1049", "2004", "2026", "2048", "7"}
"""Private modes: cursor, mouse, focus, alternate screen, paste, synchronised output, resize reports, line wrap."""
FORBIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_KNOWN = re.compile(
    r"""
    \x1b\[ (?P<place>[0-9]*;[0-9]*|) H
    | \x1b\[ (?P<look>[0-9;]*) m
    | \x1b\[ \? (?P<modes>[0-9;]+) [hl]
    | \x1b\[ \? (?P<asked>2026|2048) \$ p
    | \x1b\[ (?P<erase>[0-2]?) J
    | \x1b\[ (?P<blanks>[0-9]+) X
    | \x1b\[ (?P<keys>[<>=] [0-9;]* u)
    | \x1b\] (?P<pointer>22;default) \x07
    | \x1b\] 52;c; (?P<copy>[A-Za-z0-9+/=]*) \x07
    """,
    re.VERBOSE,
)


def cells(character: str) -> int:
    """Cells that a terminal moves its cursor for a character."""
    if unicodedata.category(character) in ("Mn", "Me") or 0x1160 <= ord(character) <= 0x11FF:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class WireScreen:
    """Takes bytes; keeps what is on the screen, what was copied, and every sequence."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [[" "] * width for _ in range(height)]
        self.copied: list[str] = []
        self.sequences: list[str] = []
        self._x = self._y = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""

    def feed(self, written: bytes) -> None:
        """Take what was written; a sequence may be cut anywhere."""
        text = self._rest + self._decoder.decode(written)
        place = 0
        self._rest = ""
        while place < len(text):
            if text[place] != "\x1b":
                self._character(text[place])
                place += 1
                continue
            found = _KNOWN.match(text, place)
            if found is None:
                if len(text) - place < 24 or text.startswith("\x1b]52;", place):
                    self._rest = text[place:]
                    return
                raise AssertionError(f"unknown sequence: {text[place : place + 60]!r}")
            self._sequence(found)
            place = found.end()

    def done(self) -> None:
        """Nothing may be left half-written."""
        assert self._rest == "", f"unknown sequence: {self._rest[:60]!r}"

    def lines(self) -> list[str]:
        """Visible cells; the second cell of a wide character is empty."""
        return ["".join(row) for row in self.rows]

    def text(self) -> str:
        """The lines, one under the other."""
        return "\n".join(self.lines())

    def column(self, x: int) -> list[str]:
        """One cell of each row."""
        return [row[x] for row in self.rows]

    def _sequence(self, found: re.Match[str]) -> None:
        self.sequences.append(found[0])
        if found["place"] is not None:
            y, _, x = (found["place"] or "1;1").partition(";")
            self._y, self._x = int(y or 1) - 1, int(x or 1) - 1
            assert 0 <= self._y < self.height and 0 <= self._x < self.width, found[0]
        elif found["modes"] is not None:
            assert set(found["modes"].split(";")) <= MODES, found[0]
        elif found["blanks"] is not None:
            end = self._x + int(found["blanks"])
            assert end <= self.width, found[0]
            self.rows[self._y][self._x : end] = [" "] * int(found["blanks"])
        elif found["erase"] is not None:
            self.rows = [[" "] * self.width for _ in range(self.height)]
        elif found["copy"] is not None:
            self.copied.append(base64.b64decode(found["copy"], validate=True).decode())

    def _character(self, character: str) -> None:
        if character in "\r\n":
            self._x, self._y = (0, self._y) if character == "\r" else (0, self._y + 1)
            return
        assert unicodedata.category(character) not in FORBIDDEN, f"U+{ord(character):04X} reached the terminal"
        assert self._y < self.height, "below the last row"
        size = cells(character)
        if not size:
            assert self._x > 0, "a mark on nothing"
            owner = self._x - 1 if self.rows[self._y][self._x - 1] else self._x - 2
            self.rows[self._y][owner] += character
            return
        assert self._x + size <= self.width, f"row {self._y} is wider than {self.width}: {self.lines()[self._y]!r}"
        self.rows[self._y][self._x : self._x + size] = [character, *[""] * (size - 1)]
        self._x += size
