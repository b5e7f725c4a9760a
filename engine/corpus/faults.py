"""The errors a reader can meet, each one sentence with the file in it and one about what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from store.files.errors import MonosemError

_SHOWN = 12


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an I/O error, met while reading `path`, into a `MonosemError` that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise MonosemError(f"no such file: {path}", "Check the path; it starts at the folder you are in.") from error
    except PermissionError as error:
        raise MonosemError(
            f"cannot read {path}: permission denied", f"Try: chmod u+r {shlex.quote(str(path))}"
        ) from error
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror or error}", "Check the disk it lies on.") from error


def is_folder(path: Path) -> MonosemError:
    """The error for a folder where files are asked for."""
    return MonosemError(f"{path} is a folder", f"Name its files with a glob, in quotes: '{path}/**/*.txt'")


def not_utf8(path: Path, offset: int, where: str = "") -> MonosemError:
    """The error for a byte at `offset` that UTF-8 text cannot have there. `where`: such as ", line 3"."""
    what = f"{path}{where}: not UTF-8 text at byte {offset}"
    if path.suffix == ".zst":
        return MonosemError(what + " of what is packed in it", "Unpack it, re-encode it with iconv, and pack it again.")
    with path.open("rb") as file:
        encoding = "UTF-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "ISO-8859-1"
    name = shlex.quote(path.name)
    return MonosemError(what, f"Re-encode it, for example: iconv -f {encoding} -t UTF-8 {name} > utf8-{name}")


def missing_field(where: str, field: str, fields: Iterable[object], spell: str) -> MonosemError:
    """The error for a field that is not there; `fields` are those that are, `spell` is how to name one of them."""
    names = [repr(str(name)) for name in fields]
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return MonosemError(f"{where}: no field {field!r}", f"There are: {shown or 'none'}. Name one like this: {spell}")


def not_text(where: str, field: str, held: str, spell: str) -> MonosemError:
    """The error for a field that holds something else than text; `spell` is how to name another."""
    return MonosemError(f"{where}: field {field!r} is {held}, not text", f"Name another field like this: {spell}")
