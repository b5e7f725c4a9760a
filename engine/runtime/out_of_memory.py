"""Memory that has run out, said so that somebody can do something about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from store.files.errors import WorkFailed

_SIGNS = ("can't allocate memory", "out of memory", "failed to allocate")
"""As torch's allocators put it, which raise a plain RuntimeError on the CPU."""


def no_memory(error: BaseException) -> WorkFailed | None:
    """What to say of an error that means that memory has run out; None of any other."""
    text = str(error).lower()
    if not isinstance(error, MemoryError) and not (
        isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)
    ):
        return None
    where = "of the GPU" if "cuda" in text else ""
    return WorkFailed(
        " ".join(filter(None, ("the memory", where, "has run out"))),
        "Take a shorter text, fewer strengths at once, `dtype=bfloat16`, or another `device`.",
    )


@contextmanager
def told() -> Iterator[None]:
    """Within this block, memory that runs out is one sentence.

    Raises:
        WorkFailed: it has run out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = no_memory(error)
        if short is None:
            raise
        raise short from error
