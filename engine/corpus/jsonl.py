"""JSON Lines, plain or compressed: one object per line, its text, conversation or token ids in one field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.corpus.conversations import Content
from engine.corpus.files import BLOCK, blocks, checked_content, missing_field, not_utf8, opened, reading
from engine.corpus.remote_files import TextFile
from store.files.errors import MonosemError

MAX_LINE = 1 << 26
"""Most bytes of a line. A longer one means that the file does not have one object per line."""
PACKED = 1 << 10
"""Packed bytes read at once; each may stand for 43 KiB."""

_EXPECTED = 'Each line must be one JSON object, such as {"text": "Once upon a time"}.'


def texts(path: TextFile, field: str) -> Iterator[Content]:
    """Yield the texts of a .jsonl file. Blank lines, and objects whose field is null, are skipped.

    Errors: MonosemError with file and line if a line is not a JSON object, lacks the field, or has another kind in it.
    """
    return _texts(blocks(path), path, field)


def packed_texts(path: TextFile, field: str) -> Iterator[Content]:
    """Yield the texts of a .jsonl.zst file. Errors: as for `texts`, and for truncated or damaged archives."""
    return _texts(_unpacked(path), path, field)


def gzipped_texts(path: TextFile, field: str) -> Iterator[Content]:
    """Yield the texts of a .jsonl.gz or .json.gz file. Errors: as for `packed_texts`."""
    return _texts(_gunzipped(path), path, field)


def note(path: TextFile, field: str) -> str:
    """Describe where texts come from; appended to the file's name."""
    del path
    return f", field {field}"


def _texts(stream: Iterator[bytes], path: TextFile, field: str) -> Iterator[Content]:
    offset = 0
    for number, line in enumerate(_lines(stream, path), 1):
        where = f"{path}, line {number}"
        try:
            content = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(path, offset + error.start, f", line {number}") from error
        offset += len(line) + 1
        if content and not content.isspace():
            text = _field(_object(content, where), field, where, path)
            if text is not None:
                yield text


def _lines(stream: Iterator[bytes], path: TextFile) -> Iterator[bytes]:
    held: list[bytes] = []
    size, number = 0, 1
    for block in stream:
        first, *others = block.split(b"\n")
        held.append(first)
        size += len(first)
        if size > MAX_LINE:
            raise MonosemError(f"{path}, line {number}: longer than {MAX_LINE >> 20} MiB", _EXPECTED)
        if others:
            yield b"".join(held)
            yield from others[:-1]
            number += len(others)
            held, size = [others[-1]], len(others[-1])
    yield b"".join(held)


def _object(content: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        raise MonosemError(f"{where}: not JSON ({error.msg}, column {error.colno})", _EXPECTED) from error
    except (ValueError, RecursionError) as error:
        # Numbers with thousands of digits, or objects nested a thousand deep.
        raise MonosemError(f"{where}: JSON that cannot be read ({error})", _EXPECTED) from error
    if not isinstance(value, dict):
        raise MonosemError(f"{where}: {_kind(value)}, not an object", _EXPECTED)
    return value


def _field(value: dict[str, Any], field: str, where: str, path: TextFile) -> Content | None:
    if field not in value:
        raise missing_field(where, field, value, f"{path.name}:FIELD")
    return checked_content(value[field], where, field, f"{path.name}:FIELD")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def _gunzipped(path: TextFile) -> Iterator[bytes]:
    import gzip
    import zlib

    with reading(path), opened(path) as file, gzip.GzipFile(fileobj=file) as unpacked:
        try:
            while block := unpacked.read(BLOCK):
                yield block
        except EOFError as error:
            raise MonosemError(f"{path}: cut off", "Copy or download it again.") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise MonosemError(f"{path}: not gzip data, or damaged", f"Check it: gzip --test {path.name}") from error


def _unpacked(path: TextFile) -> Iterator[bytes]:
    import zstandard

    # Files made with `zstd --long=31` need a window of 2 GiB; the library's default limit is 128 MiB.
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame, offset = None, 0
    for block in blocks(path, PACKED):
        rest = block
        while rest:
            frame = frame or unpacker.decompressobj()
            try:
                text = frame.decompress(rest)
            except zstandard.ZstdError as error:
                raise MonosemError(
                    f"{path}: not Zstandard data, or damaged, near byte {offset}", f"Check it: zstd --test {path.name}"
                ) from error
            yield from (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
            rest, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
        offset += len(block)
    if frame is not None:
        raise MonosemError(f"{path}: cut off after {offset} bytes", "Copy or download it again.")
