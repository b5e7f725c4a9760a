"""Text and name of a file with a feature's page, and the name of a picture of the screen."""

from __future__ import annotations

import re
from typing import Literal, get_args

from monosem_tui.draw.json_text import json_text
from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_json import feature_json
from monosem_tui.export.feature_markdown import as_markdown
from monosem_tui.model.feature_document import read_document
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes
from store.settings.features import ExampleSettings

Form = Literal["markdown", "html", "json", "svg"]
FORMS: tuple[Form, ...] = get_args(Form)
_ENDINGS = {"markdown": "md", "html": "html", "json": "json", "svg": "svg", "picture": "svg", "text": "txt"}
_LONGEST_NAME = 80


def as_file(
    form: Form,
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    feature: int,
    choice: ExampleSettings,
    run: str,
    origin: str = "",
) -> str:
    """Return a feature's page in one of `FORMS`, its plots alone as svg; `origin` says where an imported run came from.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    if form == "json":
        return json_text(feature_json(store, notes, feature, choice), indent=1) + "\n"
    document = read_document(store, notes, feature, choice, run, origin=origin)
    if form == "svg":
        from monosem_tui.export.plots import feature_plots  # few want plots: the others do not wait for them

        return feature_plots(document) + "\n"
    return as_html(document) if form == "html" else as_markdown(document)


def file_name(run: str, what: str, form: Form | Literal["picture", "text"]) -> str:
    """Return a file name such as `stories-412.md`, safe for every file system and shell."""
    plain = re.sub(r"[^\w.]+", "-", run.removesuffix(".h5"), flags=re.ASCII).strip("-._")[:_LONGEST_NAME].rstrip("-._")
    return f"{plain or 'run'}-{what}.{_ENDINGS[form]}"
