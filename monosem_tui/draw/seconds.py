"""Work that takes a while, with a sign that turns and the seconds so far."""

from __future__ import annotations

TURNS = "◐◓◑◒"
"""One of them a second: it says that the app goes on, also where the seconds are not looked at."""
FIRST = 2
"""Seconds from which on they are named: most work is done before."""


def since(work: str, seconds: int) -> str:
    """Return `◓ loading gpt2 · 12 s`; the work alone while it has just begun."""
    return f"{TURNS[seconds % len(TURNS)]} {work} · {seconds} s" if seconds >= FIRST else work
