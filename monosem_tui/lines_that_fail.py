"""What Textual takes for its own errors, and is the line's: bytes that are no UTF-8, and a terminal that has gone."""

from __future__ import annotations

import errno
import threading
from codecs import IncrementalDecoder, getincrementaldecoder

_GONE = {errno.EIO, errno.EPIPE, errno.EBADF}


def _forgiving(encoding: str) -> type[IncrementalDecoder]:
    class Forgiving(getincrementaldecoder(encoding)):  # type: ignore[misc]
        """Gives U+FFFD for each byte that is no text."""

        def __init__(self) -> None:
            super().__init__(errors="replace")

    return Forgiving


def forgive() -> None:
    """Read noise as U+FFFD: by itself Textual decodes strictly, and one byte of another encoding would end the app.

    And let the thread that writes to a terminal end without a traceback once there is none; SIGHUP ends the rest.
    """
    from textual.drivers import linux_driver

    linux_driver.getincrementaldecoder = _forgiving  # type: ignore[assignment, attr-defined]
    before = threading.excepthook

    def hook(raised: threading.ExceptHookArgs) -> None:
        if not (isinstance(raised.exc_value, OSError) and raised.exc_value.errno in _GONE):
            before(raised)

    threading.excepthook = hook
