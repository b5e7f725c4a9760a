"""Text at addresses (s3://, gs://, https://), read by fsspec in bounded memory; its errors in one line.

Ranges are asked for one after another, each a request of its own, so that no connection has to last as long as the
work. A web server that gives files only as a whole is read in one stream.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

from store.files.errors import MonosemError, WorkFailed

AHEAD = 4 << 20
"""Bytes asked for at once of a file read from its beginning to its end."""
BLOCK, BLOCKS = 1 << 20, 16
"""Bytes of a block, and blocks kept, of a file read out of order."""
SILENCE = 120
"""Seconds without a byte after which a web server is given up."""
MARKS = ("md5Hash", "Content-MD5", "Digest", "ETag", "etag", "blob_id", "generation", "version_id", "LastModified")
TIMES = ("last_modified", "Last-Modified", "updated", "mtime", "modified", "created")
"""How stores call what changes with a file's content; the first that is there marks its version."""

_PACKAGES = {
    **dict.fromkeys(("http", "https"), "'monosem[hub]'"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
_WEB = ("http", "https")
_DENIED = (401, 403)
T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address, as it was found there."""

    address: str
    size: int | None = None
    """Bytes; None where the server does not say."""
    mark: str = ""
    """The kind and value of the mark of its version, such as `ETag "5d41"`; empty where the store gives none."""

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """Its name, without its folder and a web address's query."""
        return path_and_query(self.address)[0].rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The last suffix of its name."""
        return PurePosixPath(self.name).suffix

    def open(self, *, seeking: bool = False, ahead: int = AHEAD) -> io.BufferedReader:
        """Open the file for reading bytes, out of order too if `seeking`; `ahead` bytes are asked for at once.

        Errors: MonosemError if it is not there or may not be read, WorkFailed if it cannot be reached; also later.
        """
        return io.BufferedReader(_Stream(self, seeking=seeking, ahead=ahead), min(ahead, 1 << 16))


TextFile = Path | RemoteFile
"""A file of text: on a disk, or at an address."""


def path_and_query(address: str) -> tuple[str, str]:
    """Return a web address up to its query or fragment, and the rest; any other address whole."""
    if not _is_web(address):
        return address, ""
    found = re.search("[?#]", address)
    end = found.start() if found else len(address)
    return address[:end], address[end:]


def matching_files(address: str) -> list[RemoteFile]:
    """Return the file at an address, or those that a glob matches, sorted, without hidden ones; empty if there is none.

    Errors: MonosemError for a folder, a missing package, or an address with a password; WorkFailed if the store cannot
    be reached.
    """
    _refuse_password(address)
    with _finding(address):
        system, path = _system(address)
        system.invalidate_cache()
        if glob := re.search(r"[*\[]" if _is_web(address) else r"[*?\[]", path):
            folder = path.rfind("/", 0, glob.start()) + 1
            names = sorted(name for name in system.glob(path) if "/." not in f"/{name[folder:]}")
            infos = [(system.unstrip_protocol(name), system.info(name)) for name in names]
            return [_found(name, info) for name, info in infos if info["type"] != "directory"]
        info = system.info(path)
    if info["type"] == "directory":
        folder_name = address.rstrip("/")
        raise MonosemError(f"{address} is a folder", f"Name its files with a glob, in quotes: '{folder_name}/*.jsonl'")
    return [_found(address, info)]


def digest_of_remote(files: Sequence[RemoteFile]) -> str:
    """Return SHA-256 over each file's address, size and mark; nothing is read."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.address}\0{file.size}\0{file.mark}\0".encode())
    return digest.hexdigest()


def recognised_by(files: Sequence[RemoteFile]) -> str:
    """Describe what a change of the files is recognised by, as they are not read for it."""
    if all(file.mark for file in files):
        kinds = " or ".join(sorted({file.mark.split(" ")[0] for file in files}))
        return f"recognised by address, size and {kinds}"
    return "recognised by address and size alone, as the server gives no mark of its version"


class _Stream(io.RawIOBase):
    """The bytes of a remote file, with every error of the library turned into one that can be acted on."""

    def __init__(self, file: RemoteFile, *, seeking: bool, ahead: int) -> None:
        self._of, self._seeking, self._place, self._whole = file, seeking, 0, False
        if seeking and ahead >= BLOCK:
            self._open(block_size=BLOCK, cache_type="blockcache", cache_options={"maxblocks": BLOCKS})
        else:
            self._open(block_size=ahead, cache_type="readahead")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seeking

    def readinto(self, buffer: Any) -> int:
        try:
            read = self._read(len(buffer))
        except _GivesNoParts:
            if self._seeking:
                raise
            self._go_on_in_one_stream()
            return self.readinto(buffer)
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = self._call(lambda: int(self._file.seek(offset, whence)))
        return self._place

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _open(self, **how: Any) -> None:
        with _finding(self._of.address):
            system, path = _system(self._of.address)
            self._file: Any = system.open(path, "rb", **how)

    def _read(self, most: int) -> bytes:
        return self._call(lambda: bytes(self._file.read(most)))

    def _go_on_in_one_stream(self) -> None:
        """Open the file as a whole, and pass over what has been read."""
        self._file.close()
        self._open(block_size=0)
        self._whole, left = True, self._place
        while left > 0:
            passed = len(self._read(min(left, BLOCK)))
            if not passed:
                raise self._broken("it has become shorter")
            left -= passed

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # each store's library raises its own kinds
            # This is how fsspec says that a web server has ignored the range that it was asked for.
            if isinstance(error, ValueError) and _is_web(self._of.address) and not self._whole:
                raise _GivesNoParts(self._of) from error
            raise self._broken(first_line(error)) from error

    def _broken(self, why: str) -> WorkFailed:
        return WorkFailed(
            f"reading {self._of} failed after byte {self._place}: {why}",
            "Check the network and run the same command again.",
        )


class _GivesNoParts(MonosemError):
    """A web server gives files only as a whole, which matters where they are read out of order."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__(
            f"the server of {file} does not give parts of files, which {file.suffix} needs",
            "Download it, and name the copy.",
        )


def first_line(error: Exception) -> str:
    """Return the first line of a library's error without control characters, or else its kind."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "".join(one if one.isprintable() else " " for one in lines[0])


def _is_web(address: str) -> bool:
    return _scheme(address) in _WEB


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def _system(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it."""
    try:
        import fsspec.core
    except ImportError as error:
        raise MonosemError(f"reading {address} needs the fsspec package", "pip install 'monosem[hub]'") from error
    scheme = _scheme(address)
    try:
        system, path = fsspec.core.url_to_fs(address, **(_patient() if scheme in _WEB else {}))
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        needs = f"the {package} package" if package and "[" not in package else "a further package"
        hint = f"pip install {package}" if package else first_line(error)
        raise MonosemError(f"reading {address} needs {needs}", hint) from error
    return system, path


def _patient() -> dict[str, Any]:
    """Return options of web addresses: the user's, without the limit of five minutes that a whole request has."""
    import aiohttp
    from fsspec.config import conf

    own = {**conf.get("http", {}), **conf.get("https", {})}.get("client_kwargs", {})
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    return {"client_kwargs": {"timeout": timeout, **own}}


@contextmanager
def _finding(address: str) -> Iterator[None]:
    """Turn errors of looking for a file and opening it into a `MonosemError` that names its address."""
    try:
        yield
    except MonosemError:
        raise
    except Exception as error:  # each store's library raises its own kinds
        _raise_explained(error, address)


def _raise_explained(error: Exception, address: str) -> NoReturn:
    # For the web, fsspec says of any failure that there is no such file; its cause tells.
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and _is_web(address):
        error = cause
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        raise MonosemError(f"no such file: {address}", "Check the address, and that you may see it.") from error
    if isinstance(error, PermissionError) or status in _DENIED or "Credential" in type(error).__name__:
        raise MonosemError(
            f"cannot read {address}: permission denied",
            "Credentials are taken from the environment; see docs/guide.md.",
        ) from error
    if isinstance(error, ValueError | TypeError | NotImplementedError):
        hint = "Addresses begin with s3://, gs://, https:// or another file system of fsspec."
        raise MonosemError(f"cannot read {address}: {first_line(error)}", hint) from error
    raise WorkFailed(
        f"cannot reach {address}: {first_line(error)}", "Check the network and run the same command again."
    ) from error


def _refuse_password(address: str) -> None:
    scheme, _, rest = address.partition("://")
    authority = re.split("[/?#]", rest)[0]
    user, at, host = authority.rpartition("@")
    if at and (":" in user or _is_web(address)):
        raise MonosemError(
            f"{scheme}://{host}{rest[len(authority) :]} is given with a password, which run.json would keep",
            "Leave it out: credentials are taken from the environment; see docs/guide.md.",
        )


def _found(address: str, info: dict[str, Any]) -> RemoteFile:
    kind = next((name for name in (*MARKS, *TIMES) if info.get(name)), None)
    return RemoteFile(address, info.get("size"), f"{kind} {info[kind]}" if kind else "")
