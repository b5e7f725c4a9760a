"""The first screen where there are no runs yet: the commands that make one."""

from __future__ import annotations

from monosem_tui.draw.spans import Line, Role, Span, crop, line, wrap

WELCOME = (
    (
        "monosem demo",
        "trains a small language model and a dictionary of its features on this machine, in a few minutes",
    ),
    (
        "monosem train --model gpt2 --layer 6 --data FILE",
        "trains a sparse autoencoder on a model and a text of yours, evaluates and indexes it",
    ),
    (
        "monosem import FOLDER --model gpt2",
        "takes over an autoencoder of another library (or hf:OWNER/NAME/PATH) and measures it; then `monosem index`",
    ),
)
"""Commands that make a run, and what each does."""
LAST = "A run appears here as soon as it begins, and its training can be watched. `monosem --help` lists all commands."
MARGIN = 3


def welcome_lines(cells: int) -> list[Line]:
    """Return the commands with what they do, in `cells` cells."""
    lines: list[Line] = [
        (),
        line(" ", Span("Welcome. There is no run to look at yet; any of these makes one:", Role.BOLD)),
    ]
    for command, does in WELCOME:
        lines += [(), crop(line(" " * MARGIN, Span(command, Role.ACCENT)), cells), *_sentence(does, cells)]
    return [*lines, (), *_sentence(LAST, cells, 1)]


def _sentence(text: str, cells: int, margin: int = MARGIN) -> list[Line]:
    words = [line(Span(word, Role.DIM)) for word in text.split(" ")]
    return [line(" " * margin, *one) for one in wrap(words, min(100, cells) - margin - 1, " ")]
