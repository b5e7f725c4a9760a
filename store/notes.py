"""notes.jsonl: labels, bookmarks, comments and tags. User data: append-only, last line wins, never inside the HDF5."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from store.atomic import fsync_folder
from store.errors import MonosemError, disk_errors

Field = Literal["label", "bookmark", "comment", "tags"]
Value = str | bool | list[str]


@dataclass
class FeatureNotes:
    """What a person has said about one feature."""

    label: str = ""
    bookmark: bool = False
    comment: str = ""
    tags: list[str] = field(default_factory=list)


class Notes:
    """The notes of one run. Several terminals may append at once: each line is written under a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self, feature: int, name: Field, value: Value) -> None:
        """Append one statement about a feature; it survives a power cut once this returns."""
        line = json.dumps({"feature": feature, name: value, "time": round(time.time(), 3)}) + "\n"
        with disk_errors(self._path), self._path.open("ab+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0, os.SEEK_END)
            is_new = not stream.tell()
            if not is_new:
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # a writer died inside its line: keep ours whole
                    line = "\n" + line
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            fsync_folder(self._path.parent)

    def load(self) -> dict[int, FeatureNotes]:
        """The present state by feature; damaged lines are skipped.

        Raises:
            MonosemError: the file is there but may not be read.
        """
        notes: dict[int, FeatureNotes] = {}
        if not self._path.is_file():
            return notes
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise MonosemError(f"cannot read {self._path}: {error.strerror}") from error
        for line in text.split("\n"):  # and not at U+2028 and its like, which other programs leave inside strings
            try:
                data = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(data, dict) or type(data.get("feature")) is not int:
                continue
            note = notes.setdefault(data["feature"], FeatureNotes())
            if isinstance(data.get("label"), str):
                note.label = data["label"]
            if isinstance(data.get("bookmark"), bool):
                note.bookmark = data["bookmark"]
            if isinstance(data.get("comment"), str):
                note.comment = data["comment"]
            if isinstance(data.get("tags"), list):
                note.tags = [str(tag) for tag in data["tags"]]
        return notes
