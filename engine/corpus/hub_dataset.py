"""Datasets of the Hugging Face Hub, streamed with the optional `datasets` package; their code is never run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.corpus.conversations import Content
from engine.corpus.documents import Document, numbered
from engine.corpus.files import checked_content, missing_field, not_text
from engine.corpus.remote_files import first_line
from store.files.errors import MonosemError, WorkFailed

PREFIX = "hf:"
SHAPE = "hf:NAME[:CONFIG][@SPLIT[:FIELD]]"

_SPEC = re.compile(
    r"hf:(?P<name>[^:@\s]+)(?::(?P<config>[^:@]+))?(?:@(?P<split>[^:@\[\]]+)(?::(?P<field>.+))?)?", re.DOTALL
)


@dataclass(frozen=True)
class HubDataset:
    """A split of a dataset: each row is a document; rows whose text is null are skipped."""

    spec: str
    name: str
    config: str | None
    split: str
    field: str | None
    """None for `text`, or else the only text field."""

    @classmethod
    def parse(cls, spec: str) -> HubDataset:
        """Parse a setting of the form SHAPE. Errors: MonosemError for any other form."""
        found = _SPEC.fullmatch(spec)
        if found is None:
            raise MonosemError(f"not a dataset: {spec}", f"Write {SHAPE}, such as hf:roneneldan/TinyStories@train.")
        return cls(spec, found["name"], found["config"], found["split"] or "train", found["field"])

    def documents(self) -> Iterator[Document]:
        """Stream all documents. Errors: MonosemError as for any corpus; WorkFailed if the Hub cannot be reached."""
        return numbered(self._texts(), self.spec)

    def describe(self) -> str:
        """Describe the dataset, its split, and the field read."""
        said = f"{self.name}{f', {self.config}' if self.config else ''}, split {self.split}, field {self._column}"
        return said if self.field or self._column == "text" else f"{said} (the only one that holds text)"

    def digest(self) -> str:
        """Return SHA-256 over name, configuration, split, field, and the library's fingerprint of the revision."""
        library = _library(self.spec)
        try:
            builder = library.load_dataset_builder(self.name, self.config)
        except Exception as error:
            raise _explained(error, self.spec) from error
        parts = [self.name, self.config, self.split, self._column, getattr(builder, "hash", None)]
        return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()

    @cached_property
    def _rows(self) -> Any:
        library = _library(self.spec)
        try:
            return library.load_dataset(self.name, self.config, split=self.split, streaming=True)
        except Exception as error:  # the library and those it uses raise dozens of kinds
            raise _explained(error, self.spec) from error

    @cached_property
    def _column(self) -> str:
        fields = self._fields()
        wanted = self.field or "text"
        if wanted in fields:
            if not fields[wanted] and not (self.field and self._is_list(wanted)):
                raise not_text(self.spec, wanted, "something else", self._spell)
            return wanted
        of_text = [name for name, is_text in fields.items() if is_text]
        if self.field is None and len(of_text) == 1:
            return of_text[0]
        raise missing_field(self.spec, wanted, of_text or fields, self._spell)

    def _is_list(self, column: str) -> bool:
        """Return whether a column is declared to hold lists: conversations or token ids."""
        kind = (self._rows.features or {}).get(column)
        return isinstance(kind, list) or hasattr(kind, "feature") or kind is None

    @property
    def _spell(self) -> str:
        return f"hf:{self.name}{f':{self.config}' if self.config else ''}@{self.split}:FIELD"

    def _fields(self) -> dict[str, bool]:
        """Return each field and whether it holds text, as declared or else as in the first row."""
        if self._rows.features:
            kinds = {name: getattr(kind, "dtype", None) for name, kind in self._rows.features.items()}
            return {name: kind in ("string", "large_string") for name, kind in kinds.items()}
        try:
            row: dict[str, object] = next(iter(self._rows), {})
        except Exception as error:
            raise _explained(error, self.spec) from error
        return {name: value is None or isinstance(value, str) for name, value in row.items()}

    def _texts(self) -> Iterator[Content]:
        column = self._column
        number = 0
        try:
            # Other columns are not decoded: images and sound need further packages.
            for row in self._rows.select_columns([column]):
                number += 1
                content = checked_content(row[column], f"{self.spec}, row {number}", column, self._spell)
                if content is not None:
                    yield content
        except MonosemError:
            raise
        except Exception as error:
            raise WorkFailed(
                f"reading {self.spec} failed after row {number}: {first_line(error)}",
                "Check the network and run the same command again.",
            ) from error


def _library(spec: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MonosemError(f"reading {spec} needs the datasets package", "pip install 'monosem[hub]'") from error
    return datasets


def _explained(error: Exception, spec: str) -> MonosemError:
    """Return a one-line error for an exception of the library."""
    if isinstance(error, ConnectionError | TimeoutError):
        return WorkFailed(
            f"cannot reach the Hugging Face Hub to read {spec}",
            "Check the network (and that HF_HUB_OFFLINE is not set), or use a text file as `data`.",
        )
    hint = (
        "Check its name, or log in with: hf auth login" if isinstance(error, FileNotFoundError) else f"Write {SHAPE}."
    )
    return MonosemError(f"cannot read {spec}: {first_line(error)}", hint)
