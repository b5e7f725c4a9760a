"""Rendering of the engine's progress: live bars on a terminal, occasional lines in a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.draw.bars import bar
from monosem_tui.draw.flags import with_flags
from monosem_tui.draw.numbers import activation, compact, duration
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

Fact = float | int | str

SECONDS, SHARE = 10.0, 0.1
"""A log gets a line once both this time and this share of the work have passed."""
WINDOW, WAITS = 20.0, 6
"""Seconds over which speed is measured, and the longest waits between reports that they span at least.

A laptop slows down when warm, and the recent speed decides the time left. A training that waits for each block of
activations and then races through it has a speed only over several blocks.
"""
LONG_BAR, SHORT_BAR = 20, 10
"""Cells of a bar."""
FRAMES = 4
"""Frames per second of bars: every frame crosses the SSH connection."""
_NAMES = {
    **{"loss": "loss", "explained_variance": "EV", "explained_variance_counted": "EV with outliers"},
    **{"l0": "L0", "dead": "dead", "lr": "lr"},
}
"""Titles of the facts shown first, in order; others follow under their own names."""
_TOLD = ("tok_s", "step", "tokens")
"""Facts that the line already contains."""


class TaskBar:
    """One task in progress: its amount done, speed and reported facts."""

    def __init__(self, title: str, total: int | None, unit: str, done: int, clock: Callable[[], float]) -> None:
        self.title = output.one_line(title)
        self.total = total
        self.unit = output.one_line(unit)
        self.done = self.start = done
        self.facts: dict[str, Fact] = {}
        self._clock = clock
        self._began = clock()
        self._recent = deque([(self._began, done)])
        self._longest_wait = 0.0

    def advance(self, amount: int, **facts: Fact) -> None:
        """Report `amount` more units done."""
        self.done += amount
        self.facts.update(facts)
        now = self._clock()
        self._longest_wait = max(self._longest_wait, now - self._recent[-1][0])
        self._recent.append((now, self.done))
        window = max(WINDOW, WAITS * self._longest_wait)
        while len(self._recent) > 2 and now - self._recent[0][0] > window:
            self._recent.popleft()

    @property
    def share(self) -> float | None:
        """The share done, from 0 to 1; None where the total is unknown."""
        return None if self.total is None else min(1.0, self.done / max(1, self.total))

    def speed(self) -> float:
        """Recent units per second; 0 before the first."""
        (first, before), (last, after) = self._recent[0], self._recent[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def amount(self) -> str:
        """Return the amount done: `120k of 1.0M tokens`."""
        whole = "" if self.total is None else f" of {compact(self.total)}"
        return f"{compact(self.done)}{whole} {self.unit}"

    def pace(self) -> str:
        """Speed and time left: `18k/s, 48 s left`."""
        speed = self.speed()
        if speed <= 0:
            return ""
        left = "" if self.total is None else f", {duration(max(0, self.total - self.done) / speed)} left"
        return f"{_speed(speed)}/s{left}"

    def figures(self) -> str:
        """Reported facts: `loss 0.412  EV 0.941  L0 32.0`."""
        known = [name for name in _NAMES if name in self.facts]
        others = [name for name in self.facts if name not in _NAMES and name not in _TOLD]
        return "  ".join(f"{_NAMES.get(name, name)} {_figure(name, self.facts[name])}" for name in known + others)

    def ending(self, finished: bool) -> str:
        """Return `training: 1.0M tokens in 52 s (19k/s)  loss 0.412`, or where it stopped."""
        if not finished:
            return f"{self.title}: stopped at {self.amount()}"
        seconds, done = self._clock() - self._began, self.done - self.start
        pace = f" ({_speed(done / seconds)}/s)" if seconds >= 1 and done else ""
        return "  ".join(
            part
            for part in (f"{self.title}: {compact(done)} {self.unit} in {duration(seconds)}{pace}", self.figures())
            if part
        )


def _figure(name: str, value: Fact) -> str:
    if isinstance(value, str):
        return output.one_line(value)
    if isinstance(value, int):
        return compact(value)
    if name.startswith("explained_variance"):
        return f"{value:.3f}"
    return f"{value:.3g}" if name in ("loss", "lr") and abs(value) < 1000 else activation(value)


def _speed(value: float) -> str:
    return compact(value) if value >= 10 else f"{value:.1f}"


class LoggedTask:
    """Writes a line when enough time and work have passed."""

    def __init__(self, stretch: TaskBar, clock: Callable[[], float]) -> None:
        self._stretch, self._clock = stretch, clock
        self._said_at, self._said_done = clock(), stretch.done

    def advance(self, amount: int, **facts: Fact) -> None:
        """`amount` more units are done."""
        stretch = self._stretch
        stretch.advance(amount, **facts)
        enough = SHARE * stretch.total if stretch.total is not None else 0
        if self._clock() - self._said_at < SECONDS or stretch.done - self._said_done < enough:
            return
        self._said_at, self._said_done = self._clock(), stretch.done
        output.narrate(_log_line(stretch))


def _log_line(stretch: TaskBar) -> str:
    share = "" if stretch.share is None else f" ({_percent(stretch.share)})"
    pace = stretch.pace()
    told = f"{stretch.title}: {stretch.amount()}{share}" + (f", {pace}" if pace else "")
    return "  ".join(part for part in (told, stretch.figures()) if part)


class ConsoleProgress:
    """Shows progress on stderr; has the shape of `engine.runtime.progress.Progress` without importing it."""

    def __init__(self, *, live: bool | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Show live bars where stderr is a terminal, unless `live` decides; `clock` returns seconds."""
        self._live = output.is_screen(sys.stderr) if live is None else live
        self._clock = clock
        self._shown: list[TaskBar] = []
        self._screen: Live | None = None

    def say(self, text: str) -> None:
        """Print one sentence."""
        output.narrate(with_flags(text))

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[TaskBar | LoggedTask]:
        """Open a task; at its end a line states how long it took or where it stopped."""
        stretch = TaskBar(title, total, unit, done, self._clock)
        if not self._live:
            output.narrate(_log_line(stretch))
        finished = False
        try:
            if self._live:
                self._show(stretch)
            yield stretch if self._live else LoggedTask(stretch, self._clock)
            finished = True
        finally:
            if self._live:
                self._hide(stretch)
            output.narrate(stretch.ending(finished))

    def _show(self, stretch: TaskBar) -> None:
        self._shown.append(stretch)
        if self._screen is None:
            from rich.live import Live

            terminal = output.console(sys.stderr)
            # Output of libraries to stderr goes above the bars; stdout is left alone.
            self._screen = Live(
                console=terminal,
                get_renderable=lambda: self._picture(terminal.width - 1),
                refresh_per_second=FRAMES,
                transient=True,
                redirect_stdout=False,
            )
            self._screen.start()

    def _hide(self, stretch: TaskBar) -> None:
        self._shown.remove(stretch)
        if not self._shown and self._screen is not None:
            self._screen.stop()
            self._screen = None

    def _picture(self, cells: int) -> RenderableType:
        from rich.console import Group

        return Group(*(output.styled_text(bar_line(stretch, cells), sys.stderr) for stretch in list(self._shown)))


def bar_line(stretch: TaskBar, cells: int) -> Line:
    """Return one task on a line of at most `cells` cells, with a short bar and percent where room is short."""
    share, rest = stretch.share, [text for text in (stretch.pace(), stretch.figures()) if text]
    if share is None:
        return crop(line(Span(stretch.title, Role.BOLD), "  " + "  ".join([stretch.amount(), *rest])), cells)
    drawn: Line = ()
    for size, done in ((LONG_BAR, stretch.amount()), (SHORT_BAR, _percent(share))):
        drawn = line(Span(stretch.title, Role.BOLD), f"  {bar(share, size):·<{size}}  ", "  ".join([done, *rest]))
        if width_of(drawn) <= cells:
            break
    return crop(drawn, cells)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
