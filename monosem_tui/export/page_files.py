"""Files of a feature's page or of the screen's picture, never over an existing file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, get_args

from monosem_tui.draw.json_text import json_text
from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_json import feature_json
from monosem_tui.export.feature_markdown import as_markdown
from monosem_tui.model.feature_document import ExampleRequest, read_document
from store.files.atomic import write_text
from store.files.errors import MonosemError, disk_errors
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes

Form = Literal["markdown", "html", "json"]
FORMS: tuple[Form, ...] = get_args(Form)
_ENDINGS = {"markdown": "md", "html": "html", "json": "json", "picture": "svg", "text": "txt"}
_LONGEST_NAME = 80
_MOST = 10_000
"""Most numbered files of one name."""


def as_file(
    form: Form, store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, choice: ExampleRequest, run: str
) -> str:
    """Return a feature's page in one of `FORMS`.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    if form == "json":
        return json_text(feature_json(store, notes, feature, choice), indent=1) + "\n"
    document = read_document(store, notes, feature, choice, run)
    return as_html(document) if form == "html" else as_markdown(document)


def file_name(run: str, what: str, form: Form | Literal["picture", "text"]) -> str:
    """Return a file name such as `stories-412.md`, safe for every file system and shell."""
    plain = re.sub(r"[^\w.]+", "-", run.removesuffix(".h5"), flags=re.ASCII).strip("-._")[:_LONGEST_NAME].rstrip("-._")
    return f"{plain or 'run'}-{what}.{_ENDINGS[form]}"


def write_new(path: Path, text: str) -> Path:
    """Write a file; where there is one of its name, `NAME-2.md` and so on. Returns where it is.

    Raises:
        MonosemError: it cannot be written there.
    """
    for name in (path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, _MOST))):
        try:
            with disk_errors(name):
                name.parent.mkdir(parents=True, exist_ok=True)
                if _claim(name):
                    _fill(name, text)
                    return name
        except MonosemError as error:
            raise MonosemError(error.what, "Choose another folder.") from error
    raise MonosemError(f"there are {_MOST} files like {path}", "Choose another name.")


def _claim(path: Path) -> bool:
    """Make an empty file, so that no other process takes the name; False where it is taken."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True


def _fill(path: Path, text: str) -> None:
    """All of it, or no file."""
    try:
        write_text(path, text)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
