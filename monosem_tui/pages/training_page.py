"""A run's training as lines: how far it is, its figures, and curves with axes over its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monosem_tui.draw.axes import axes_chart, grown_end
from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import activation, compact, count, duration, share
from monosem_tui.draw.safe_text import cut, fit, printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of, wrap
from monosem_tui.model.training_watch import Training, TrainingWatch, planned_tokens, recent_speed, seconds_left
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.events import TrainEvent
from store.run.folder import RunRecord

CURVE_ROWS = 5
"""Rows of a curve where a page scrolls."""
LEAST_ROWS, MOST_ROWS = 4, 18
TWO, THREE = 76, 150
"""Least cells for two and for three curves side by side."""
WIDEST = 72
"""Most cells of a curve."""
GAP = 3
PROGRESS = 24
"""Cells of the bar that shows how far a training is."""
PHASES = {"training": "training", "indexing": "indexing", "evaluating": "evaluating"}
"""Phases of a training in their order, by the status of the run."""


class _Measure(NamedTuple):
    name: str
    value: Callable[[TrainEvent, int], float]
    shown: Callable[[float], str]
    tick: Callable[[float], str]
    log: bool = False
    least: float | None = None


def _plain(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e4 else compact(value)


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


MEASURES = (
    _Measure("EV", lambda event, _n: max(0.0, event.explained_variance), lambda value: f"{value:.3f}", _plain),
    _Measure("L0", lambda event, _n: event.l0, lambda value: f"{value:.1f}", _plain),
    _Measure("loss", lambda event, _n: event.loss, activation, _plain, log=True),
    _Measure("dead", lambda event, n: event.dead / max(1, n), share, _percent, least=0.0),
    _Measure("speed", lambda event, _n: event.tok_s, compact, compact, least=0.0),
    _Measure("learning rate", lambda event, _n: event.lr, lambda value: f"{value:.2g}", _plain, least=0.0),
)
"""Curves in their order; `n` is the number of features."""
SHOWN_ALWAYS = 4
"""Curves that are shown wherever a training is; the others where three stand side by side."""


def training_lines(training: Training, n_features: int, cells: int, noun: CountedNoun = TOKEN) -> list[Line]:
    """Return the curves of a training under a heading, for a page that scrolls."""
    points = training.points
    if not points:
        return []
    said = [f"{count(points[-1].step)} steps", f"{count(points[-1].tokens)} {noun.many}"]
    if training.end is not None:
        said += [f"{compact(training.end.tok_s)} {noun.per_second}", duration(training.end.seconds)]
    else:
        said.append(f"{compact(recent_speed(points))} {noun.per_second}")
    head = wrap([line(Span("TRAINING", Role.HEADING), "  ", said[0]), *map(line, said[1:])], cells, " · ")
    return [*head, *training_curves(points, n_features, None, cells, CURVE_ROWS, noun)]


def training_curves(
    points: Sequence[TrainEvent], n_features: int, planned: int | None, cells: int, rows: int, noun: CountedNoun
) -> list[Line]:
    """Return the curves of log points, several side by side where there is room.

    Args:
        points: the log points.
        n_features: the features of the dictionary.
        planned: tokens of the whole training, where it goes on.
        cells: width.
        rows: height of each curve.
        noun: what tokens are called.
    """
    abreast = _abreast(cells)
    wide = min(WIDEST, (cells - GAP * (abreast - 1)) // abreast)
    measures = MEASURES if abreast == 3 else MEASURES[:SHOWN_ALWAYS]
    charts = [_chart(measure, points, n_features, planned, wide, rows, noun) for measure in measures]
    lines = []
    for first in range(0, len(charts), abreast):
        for parts in zip(*charts[first : first + abreast], strict=True):
            spans: list[Span] = []
            for part in parts:
                gap = " " * GAP if spans else ""
                spans += [Span(gap), *part, Span(" " * (wide - width_of(part)))]
            lines.append(line(*spans))
    return lines


def _abreast(cells: int) -> int:
    return 3 if cells >= THREE else 2 if cells >= TWO else 1


def _chart(
    measure: _Measure,
    points: Sequence[TrainEvent],
    n_features: int,
    planned: int | None,
    cells: int,
    rows: int,
    noun: CountedNoun,
) -> list[Line]:
    x_N = np.array([point.tokens for point in points], np.float64)
    y_N = np.array([measure.value(point, n_features) for point in points], np.float64)
    last = measure.shown(float(y_N[-1])) if np.isfinite(y_N[-1]) else str(y_N[-1])
    over = f"{'log · ' if measure.log else ''}over {noun.many}"
    head = line(Span(f"{measure.name} ", Role.BOLD), last)
    gap = max(1, cells - width_of(head) - len(over))
    ends = x_N[np.isfinite(x_N)]
    end = float(ends.max()) if len(ends) else 0.0
    right = grown_end(end, planned) if planned else max(1.0, end)
    drawn = axes_chart(
        x_N, y_N, cells, rows, right=right, x_shown=compact, y_shown=measure.tick, log=measure.log, least=measure.least
    )
    return [crop(line(*head, " " * gap, Span(over, Role.DIM)), cells), *drawn]


def dashboard(watch: TrainingWatch, cells: int, height: int) -> list[Line]:
    """Return a training as it goes on, in `height` lines where they are enough for its curves."""
    record, training = watch.record, watch.training
    if record is None:
        return []
    head = [*_phases(watch, record, cells), *_figures(training, record, cells)]
    if watch.gone:
        head.append(crop(line(Span("the run's files are gone: this is what was read of them", Role.ERROR)), cells))
    if not training.points:
        waits = "no log point yet: the first activations are being made" if watch.working else "no log points"
        return [*head, (), line(Span(waits, Role.DIM))]
    abreast = _abreast(cells)
    below = -(-(len(MEASURES) if abreast == 3 else SHOWN_ALWAYS) // abreast)
    rows = max(LEAST_ROWS, min(MOST_ROWS, (height - len(head) - 1) // below - 2))
    planned = planned_tokens(record) if watch.working else None
    return [*head, (), *training_curves(training.points, record.spec.d_sae, planned, cells, rows, record.noun)]


def _phases(watch: TrainingWatch, record: RunRecord, cells: int) -> list[Line]:
    """Return the phases with the present one, and how far it is."""
    status = record.current_status()
    parts: list[Line] = []
    if status in PHASES:
        order = list(PHASES)
        now = order.index(status)
        for number, phase in enumerate(order):
            mark, role = ("✓", Role.DIM) if number < now else ("●", Role.BOLD) if number == now else ("·", Role.DIM)
            parts.append(line(Span(f"{mark} {phase}", role)))
    else:
        parts.append(line(Span(printable(status), Role.BOLD)))
        if record.message and status in ("failed", "stopped"):
            parts.append(line(Span(cut(printable(record.message), cells), Role.ERROR)))
    return wrap([*parts, *_progress(watch, record, status)], cells, "   ")


def _progress(watch: TrainingWatch, record: RunRecord, status: str) -> list[Line]:
    points, planned = watch.training.points, planned_tokens(record)
    if status == "indexing" and watch.contexts is not None:
        indexed, wanted = watch.contexts
        return [_bar(indexed / max(1, wanted)), line(f"{count(indexed)} of {count(wanted)} contexts")]
    if status != "training" or not points:
        return []
    done, noun = points[-1].tokens, record.noun
    far = [_bar(done / planned)] if planned else []
    of = f" of {compact(planned)}" if planned else ""
    said = [f"{compact(done)}{of} {noun.many}", f"{compact(recent_speed(points))} {noun.per_second}"]
    left = seconds_left(points, planned)
    said += [f"{duration(left)} left"] if left is not None else []
    return [*far, *map(line, said)]


def _bar(part: float) -> Line:
    drawn = fit(bar(part, PROGRESS), PROGRESS)
    return line(Span("▕", Role.DIM), Span(drawn, Role.ACCENT), Span("▏", Role.DIM), f" {100 * min(1.0, part):.0f} %")


def _figures(training: Training, record: RunRecord, cells: int) -> list[Line]:
    """Return the figures of the last log point, or of the whole training."""
    if not training.points:
        return []
    last, end, noun, n = training.points[-1], training.end, record.noun, record.spec.d_sae
    said = [
        f"step {count(last.step)}",
        f"loss {activation(last.loss)}",
        f"EV {last.explained_variance:.3f}",
        f"L0 {last.l0:.1f}",
        f"dead {count(last.dead)}" + (f" ({share(last.dead / n)})" if n else ""),
    ]
    if last.outlier_tokens is not None:
        said.append(f"{count(last.outlier_tokens)} outlier {noun.many} skipped")
    if last.explained_variance_counted is not None:
        said.append(f"EV {last.explained_variance_counted:.3f} with them")
    if end is not None:
        said.append(f"{compact(end.tok_s)} {noun.per_second} over {duration(end.seconds)}")
    return wrap([line(Span(one, Role.DIM)) for one in said], cells, " · ")
