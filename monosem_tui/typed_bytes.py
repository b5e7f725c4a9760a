"""What the terminal sends need not be UTF-8: noise on a line, another encoding, a paste cut in the middle."""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder


def _forgiving(encoding: str) -> type[IncrementalDecoder]:
    class Forgiving(getincrementaldecoder(encoding)):  # type: ignore[misc]
        """Gives U+FFFD for each byte that is no text."""

        def __init__(self) -> None:
            super().__init__(errors="replace")

    return Forgiving


def forgive() -> None:
    """Let Textual read such bytes as U+FFFD; by itself it decodes strictly, and one of them would end the app."""
    from textual.drivers import linux_driver

    linux_driver.getincrementaldecoder = _forgiving  # type: ignore[assignment, attr-defined]
