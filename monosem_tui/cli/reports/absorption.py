"""Output of `monosem eval` about splitting and absorption of the planted corpus's classes."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from monosem_tui.cli import output
from monosem_tui.draw.numbers import count

COLUMNS = (
    output.Column("class"),
    *output.right("words", "main set"),
    *(output.Column(title, ">") for title in ("F1", "missed %", "worst word's recall", "leaders", "information")),
    output.Column("absorbed %", ">"),
    output.Column("most", shrinks=True),
)


def report(evaluation: dict[str, Any]) -> None:
    """Print a table of the classes, each figure beside its value with shuffled words, and the means."""
    classes = evaluation.get("absorption")
    if not classes:
        return
    output.emit_text("")
    output.emit_table(COLUMNS, [_row(one) for one in classes])
    output.emit_text("")
    output.emit_text("classes of words; in brackets the same with shuffled words. Means:")
    output.emit_text(_means([one["found"] for one in classes]))
    output.emit_text(f"shuffled: {_means([one['shuffled'] for one in classes])}")


def _row(one: dict[str, Any]) -> list[str]:
    found, shuffled = one["found"], one["shuffled"]

    def beside(name: str, times: float = 1, digits: int = 2) -> str:
        value, other = found[name], shuffled[name]
        return "–" if value is None else f"{times * value:.{digits}f} ({times * other:.{digits}f})"

    return [
        one["name"],
        count(one["words"]),
        f"{len(found['features'])} ({len(shuffled['features'])})",
        beside("f1"),
        beside("miss_rate", 100, 1),
        f"{found['worst_word']} {beside('worst_recall')}" if found["worst_word"] else "–",
        beside("leaders", digits=0),
        beside("information"),
        beside("absorbed", 100, 1),
        f"{found['absorbed_word']} by {found['absorbed_by']}" if found["absorbed_word"] else "",
    ]


def _means(figures: list[dict[str, Any]]) -> str:
    def mean(name: str) -> float:
        return fmean(one[name] for one in figures)

    absorbed = "" if figures[0]["absorbed"] is None else f", absorbed {100 * mean('absorbed'):.2f} %"
    return (
        f"F1 {mean('f1'):.3f}, missed {100 * mean('miss_rate'):.2f} %, worst word's recall {mean('worst_recall'):.2f}, "
        f"leaders {mean('leaders'):.1f}, information {mean('information'):.2f}{absorbed}"
    )
