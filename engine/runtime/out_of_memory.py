"""Turn out-of-memory errors into a one-line `WorkFailed` with advice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from store.files.errors import WorkFailed

_SIGNS = ("can't allocate memory", "out of memory", "failed to allocate")
"""Parts of the messages of torch's allocators, which raise a plain RuntimeError on the CPU."""


def no_memory(error: BaseException) -> WorkFailed | None:
    """Return the error to report if `error` means that memory has run out, else None."""
    text = str(error).lower()
    if not isinstance(error, MemoryError) and not (
        isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)
    ):
        return None
    which = "GPU memory" if "cuda" in text else "memory"
    return WorkFailed(
        f"out of {which}", "Use a shorter text, fewer strengths at once, `dtype=bfloat16`, or another `device`."
    )


@contextmanager
def explained() -> Iterator[None]:
    """Within the block, turn out-of-memory errors into `WorkFailed`.

    Raises:
        WorkFailed: memory has run out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = no_memory(error)
        if short is None:
            raise
        raise short from error
