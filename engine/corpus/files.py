"""Reading files block by block, and the errors of readers: one sentence naming the file, one with advice."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.corpus.conversations import Content, content_of
from engine.corpus.remote_files import AHEAD, RemoteFile, TextFile
from engine.runtime.progress import Progress, sha256_of
from store.files.errors import MonosemError
from store.files.regular_file import read_stream

BLOCK = 1 << 18
"""Bytes read at once."""
_SHOWN = 12
"""Field names listed in an error."""


def opened(file: TextFile, *, seeking: bool = False, ahead: int = AHEAD) -> io.BufferedReader:
    """Open a file for reading bytes; of a remote one, `ahead` bytes are asked for at once, out of order if `seeking`.

    Errors: OSError for a file on a disk, see `reading`; MonosemError for a remote one.
    """
    if isinstance(file, RemoteFile):
        return file.open(seeking=seeking, ahead=ahead)
    return read_stream(file, follow=True)


def check_readable(file: TextFile) -> None:
    """Read a byte of the file. Errors: MonosemError if it cannot be read."""
    with reading(file), opened(file, ahead=1) as stream:
        stream.read(1)


def size_of(file: TextFile) -> int | None:
    """Return the bytes of a file; None where a server does not say."""
    return file.size if isinstance(file, RemoteFile) else file.stat().st_size


def blocks(path: TextFile, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the file's bytes, `size` at a time. Errors: MonosemError if it cannot be read."""
    with reading(path), opened(path) as file:
        while block := file.read(size):
            yield block


def digest_of(paths: Sequence[Path], progress: Progress) -> str:
    """Return SHA-256 over the files' concatenated bytes, as `cat FILES | sha256sum` prints it."""
    size = sum(path.stat().st_size for path in paths if path.exists())
    read = (block for path in paths for block in blocks(path, 1 << 20))
    return sha256_of(read, size, "reading the text for its digest", progress)


@contextmanager
def reading(path: TextFile) -> Iterator[None]:
    """Turn I/O errors into a `MonosemError` that names `path`."""
    try:
        yield
    except FileNotFoundError as error:
        raise MonosemError(f"no such file: {path}", "Check the path; it starts at the folder you are in.") from error
    except PermissionError as error:
        raise MonosemError(
            f"cannot read {path}: permission denied", f"Try: chmod u+r {shlex.quote(str(path))}"
        ) from error
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror or error}", "Check the disk it is on.") from error


def is_folder(path: Path) -> MonosemError:
    """Return the error for a folder given instead of files."""
    return MonosemError(f"{path} is a folder", f"Name its files with a glob, in quotes: '{path}/**/*.txt'")


def not_utf8(path: TextFile, offset: int, where: str = "") -> MonosemError:
    """Return the error for an invalid UTF-8 byte at `offset`; `where` is for example ", line 3"."""
    what = f"{path}{where}: not UTF-8 text at byte {offset}"
    if path.suffix == ".zst":
        return MonosemError(
            what + " of its unpacked contents", "Unpack it, re-encode it with iconv, and pack it again."
        )
    with opened(path, ahead=2) as file:
        encoding = "UTF-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "ISO-8859-1"
    name = shlex.quote(path.name)
    return MonosemError(what, f"Re-encode it, for example: iconv -f {encoding} -t UTF-8 {name} > utf8-{name}")


def missing_field(where: str, field: str, fields: Iterable[object], spell: str) -> MonosemError:
    """Return the error for a missing field; `fields` are those present, `spell` shows how to name one."""
    names = [repr(str(name)) for name in fields]
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return MonosemError(f"{where}: no field {field!r}", f"There are: {shown or 'none'}. Name one like this: {spell}")


def checked_content(value: object, where: str, field: str, spell: str) -> Content | None:
    """Return the content of a field, None for an empty one; `spell` shows how to name another field.

    Raises:
        MonosemError: it is neither text, nor a conversation, nor token ids.
    """
    try:
        return content_of(value)
    except ValueError as error:
        raise not_text(where, field, str(error), spell) from error


def not_text(where: str, field: str, held: str, spell: str) -> MonosemError:
    """Return the error for a field that does not hold text; `spell` shows how to name another."""
    return MonosemError(f"{where}: field {field!r} is {held}, not text", f"Name another field like this: {spell}")
