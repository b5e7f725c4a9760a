"""Output of a key: the clipboard with a copy in a file, new files in the working directory, pictures of the screen."""

from __future__ import annotations

import html
import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from textual.screen import Screen

from monosem_tui.model.session_state import state_folder
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart
from store.files.atomic import write_text
from store.files.errors import MonosemError

LARGEST = 74_000
"""Bytes that terminals take in one OSC 52 sequence: xterm and tmux cap it near 100 kB of base64."""


def copy(text: str, to_terminal: Callable[[str], None]) -> str:
    """Copy `text` to the terminal's clipboard and, as no terminal confirms that, to a file; return where it is now."""
    path = copy_path()
    try:
        write_text(path, text)
        kept = f"file: {home_relative(path)}"
    except MonosemError as error:
        kept = f"no file: {error.what}"
    except OSError as error:
        kept = f"no file: {error}"
    if len(text.encode()) > LARGEST:
        return f"too large for a terminal's clipboard · {kept}"
    to_terminal(text)
    return f"copied · {kept}" + (" · tmux: set-clipboard on" if os.environ.get("TMUX") else "")


def copy_path() -> Path:
    """`$XDG_STATE_HOME/monosem/clipboard.txt`."""
    return state_folder() / "clipboard.txt"


def home_relative(path: Path) -> str:
    """`~/.local/state/…`, as one would type it."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def write(name: str, content: Callable[[], str]) -> str:
    """Write `content()` to a new file; return where it is, or why it was not written."""
    return _told(lambda: f"written to {home_relative(_new(name, content()))}")


def write_each(texts: Mapping[str, str]) -> str:
    """Write new files by their names; return their names, or why one was not written."""
    return _told(lambda: "written here: " + ", ".join(_new(name, text).name for name, text in texts.items()))


def _new(name: str, text: str) -> Path:
    from store.files.output_file import write_new

    return write_new(Path.cwd() / name, text)


def _told(work: Callable[[], str]) -> str:
    try:
        return work()
    except MonosemError as error:
        return f"nothing written: {error.what}"
    except OSError as error:
        return f"nothing written: {error.strerror}"
    except Exception as error:
        return f"nothing written: {unreadable(error).what}"


def unreadable(error: Exception) -> MonosemError:
    """Return what to show where reading a store has failed in an unforeseen way."""
    what = f"the store is damaged, or has changed while it was open: {type(error).__name__}: {error}"
    return MonosemError(what, "`monosem verify` says what is readable.")


class PictureFile(ScreenPart):
    """Writes the screen to a file."""

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host

    def action_picture(self) -> None:
        """Write the screen to a file as a picture."""
        from monosem_tui.export.page_files import file_name

        host = self._host
        run, light = host.session.run, not host.session.palette.dark
        name = run.name if run else "runs"
        host.tell(write(file_name(name, host.VIEW, "picture"), lambda: picture(host, name, light=light)))


def picture(screen: Screen[None], title: str, *, light: bool) -> str:
    """Return the screen as SVG that loads nothing from anywhere.

    `App.export_screenshot` does the same for dark terminals only.
    """
    width, height = screen.app.size
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
        safe_box=False,
    )
    console.print(screen._compositor.render_update(full=True))
    svg = console.export_svg(title=title, theme=DEFAULT_TERMINAL_THEME if light else SVG_EXPORT_THEME)
    # Rich names a server that has its font.
    return words_placed(re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg))


def words_placed(svg: str) -> str:
    """Return a picture of Rich's in which each word has its own place and length.

    Rich places whole spans, blanks included. Viewers that drop blanks at their ends, or that take no notice of
    `textLength` (librsvg, ImageMagick), then shift what follows.
    """
    return _SPAN.sub(_placed, svg)


_SPAN = re.compile(r'<text (class="[^"]*") x="([\d.]+)" (y="[\d.]+") textLength="([\d.]+)"([^>]*)>([^<]*)</text>')


def _placed(span: re.Match[str]) -> str:
    look, x, y, length, clip, written = span.groups()
    text = html.unescape(written)
    cell = float(length) / max(1, len(text))  # Rich counts characters here, wide ones too
    words, at = list[str](), 0
    for word in re.findall(r"\s+|\S+", text):
        cells = cell_len(word)
        if not word.isspace():
            place = f'x="{float(x) + at * cell:g}" textLength="{cells * cell:g}"'
            words.append(f"<tspan {place}>{html.escape(word)}</tspan>")
        at += cells
    return f"<text {look} {y}{clip}>{' '.join(words)}</text>" if words else ""
