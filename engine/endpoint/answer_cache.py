"""Answers kept on disk by the digest of their request, each complete or absent, so that nothing is asked twice.

They lie in the user's cache and not in a run: a run that was copied or is read-only can be explained, a run that came
from a stranger brings no answers along, and one that is given away shows none (docs/decisions/026). Files hold
answers alone, neither requests nor keys, and only their owner can read them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.endpoint.chat import Answer
from store.files.atomic import atomic_path, json_text
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, decode, parse

BALLAST = 1 << 20
"""Bytes that are set aside, so that answers under way can be kept where the disk becomes full."""
_ADVICE = "Free some space, or set $XDG_CACHE_HOME to another disk. Answers so far are kept, nothing is asked twice."


@dataclass(frozen=True)
class _Kept:
    """The content of a file."""

    request: str
    """Digest of the request: a file under another name is no answer."""
    answer: Answer


def cache_home() -> Path:
    """Return `$XDG_CACHE_HOME/monosem/answers`, else `~/.cache/monosem/answers`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "monosem" / "answers"


class AnswerCache:
    """A folder of answers. `put` may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: MonosemError | None = None
        """The reason why nothing more can be kept; answers under way when it appeared are kept all the same."""
        self._ballast = folder / f".ballast-{os.getpid()}"

    @contextmanager
    def room(self) -> Iterator[None]:
        """Set space aside while questions are asked.

        Raises:
            MonosemError: it cannot be written there, so nothing should be asked.
        """
        try:
            with disk_errors(self.folder, denied="Set $XDG_CACHE_HOME to a folder that you may write to."):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with self._ballast.open("wb") as stream:
                    stream.write(bytes(BALLAST))
                    stream.flush()
                    os.fsync(stream.fileno())
        except MonosemError as error:
            self._drop_ballast()
            raise MonosemError(error.what, _ADVICE) from error
        try:
            yield
        finally:
            self._drop_ballast()

    def get(self, digest: str) -> Answer | None:
        """Return the answer to a request; None where there is none, or its file is damaged."""
        with suppress(MonosemError, JsonError):
            kept = decode(_Kept, parse(read_whole(self._path(digest))))
            return kept.answer if kept.request == digest else None
        return None

    def put(self, digest: str, answer: Answer) -> None:
        """Keep an answer. Where the disk is full, it takes the space set aside, and `trouble` says so.

        Raises:
            MonosemError: it cannot be kept at all.
        """
        try:
            self._write(digest, answer)
        except MonosemError as error:
            self.trouble = MonosemError(error.what, _ADVICE)
            self._drop_ballast()
            self._write(digest, answer)

    def _write(self, digest: str, answer: Answer) -> None:
        with atomic_path(self._path(digest)) as temporary:
            # JSON has no infinity; a token without any probability is left out.
            data = asdict(_Kept(digest, answer))
            for token in data["answer"]["tokens"]:
                token["likeliest"] = [one for one in token["likeliest"] if one["logprob"] > -1e9]
            temporary.touch(mode=0o600)
            temporary.write_text(json_text(data), encoding="utf-8")

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.json"

    def _drop_ballast(self) -> None:
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)
