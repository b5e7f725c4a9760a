"""Labelled text (languages, topics, sources) as labels of the indexed corpus's tokens.

A label file has one label per line, in one of these forms:

- `label<TAB>text`, in a file of any name but .jsonl;
- `{"label": …, "text": …}`, a .jsonl file; `FILE.jsonl:NAME` takes the label from the field NAME. A corpus of that
  form is its own label file;
- `{"label": …, "document": 17}`, a .jsonl file: the document's number in the corpus, counted from 0 before shuffling,
  as `corpus/documents/id` has it.

A text labels the tokens of every document that equals it, else of every line that equals it; white space does not
matter. A document may span contexts, but ends where another document begins.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, parse
from store.index.corpus_text import NO_OPENER, Mask, TextBlock, opening_token, text_blocks
from store.index.reader import FeatureStore
from store.query.find import Question

UNLABELLED = -1
_LINE = re.compile(r"[^\n]+")
_NAMED = re.compile(r"(?P<path>.+\.jsonl):(?P<field>.+)", re.IGNORECASE | re.DOTALL)
_FORMS = (
    'A line is LABEL, a tab and the text; in a .jsonl file {"label": …, "text": …} or {"label": …, "document": 17}.'
)


@dataclass
class LabelFile:
    """Content of a label file."""

    names: dict[str, int] = field(default_factory=dict)
    """Number of each label, in order of first appearance."""
    by_text: dict[str, int] = field(default_factory=dict)
    """Number of the label of each text, with single spaces."""
    by_document: dict[int, int] = field(default_factory=dict)
    contradictions: int = 0
    """Texts and documents with several labels; they are left out."""
    _disputed: set[str | int] = field(default_factory=set)

    def add(self, name: str, what: str | int) -> None:
        """Add one line of the file; `what` is a text or the number of a document."""
        label = self.names.setdefault(name, len(self.names))
        known: dict[Any, int] = self.by_text if isinstance(what, str) else self.by_document
        if what not in self._disputed and known.setdefault(what, label) != label:
            del known[what]
            self._disputed.add(what)
            self.contradictions += 1


class Labels(NamedTuple):
    """The labels of an index's tokens."""

    names: tuple[str, ...]
    label_N: NDArray[np.int32]
    """Number of each token's label, or UNLABELLED."""
    found: int
    """Texts and documents of the file that are in the index."""
    missing: int
    """Texts and documents of the file that are not in the index."""
    contradictions: int
    """Texts and documents with several labels, left out."""


def read_labels(name: str) -> LabelFile:
    """Read a label file.

    Raises:
        MonosemError: it cannot be read, or a line has none of the forms.
    """
    path, label_field = Path(name), "label"
    if not path.is_file() and (named := _NAMED.fullmatch(name)):
        path, label_field = Path(named["path"]), named["field"]
    labels = LabelFile()
    try:
        text = read_whole(path, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MonosemError(f"{path} is not UTF-8: byte {error.start}", _FORMS) from error
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            _take(labels, line, label_field if path.suffix.lower() == ".jsonl" else None, f"{path}, line {number}")
    if not labels.names:
        raise MonosemError(f"{path} holds no labels", _FORMS)
    return labels


def _take(labels: LabelFile, line: str, label_field: str | None, where: str) -> None:
    if label_field is None:
        name, tab, text = line.partition("\t")
        if not (tab and name.strip() and text.strip()):
            raise MonosemError(f"{where}: no label, tab and text", _FORMS)
        labels.add(name.strip(), plain(text))
        return
    try:
        said = parse(line)
    except JsonError as error:
        raise MonosemError(f"{where} is not JSON", _FORMS) from error
    given = said.get(label_field) if isinstance(said, dict) else None
    name = str(given).strip() if isinstance(given, (str, int)) else ""
    if not name:
        raise MonosemError(f"{where}: no label in field {label_field!r}", _FORMS)
    document, text = said.get("document"), said.get("text")
    if type(document) is int:
        labels.add(name, document)
    elif isinstance(text, str):
        if plain(text):
            labels.add(name, plain(text))
    else:
        raise MonosemError(f"{where}: neither a document's number nor a text", _FORMS)


def plain(text: str) -> str:
    """Return `text` with every run of white space as a single space, and none at either end."""
    return " ".join(text.split())


def apply_labels(store: FeatureStore, file: LabelFile) -> Labels:
    """Find the labelled texts and documents in the corpus.

    Raises:
        MonosemError: none of them is there.
    """
    label_N = np.full(store.n_tokens, UNLABELLED, np.int32)
    found: set[str | int] = set()
    if file.by_text:
        _label_texts(store, file.by_text, label_N, found)
    if file.by_document:
        runs = store.layout.documents
        label_R = np.array([file.by_document.get(number, UNLABELLED) for number in runs.number.tolist()], np.int32)
        found.update(runs.number[label_R != UNLABELLED].tolist())
        by_run_N = np.repeat(label_R, np.diff(runs.start, append=store.n_tokens))
        label_N = np.where(by_run_N != UNLABELLED, by_run_N, label_N)
    if not found:
        raise MonosemError(
            "none of the labelled texts is in the indexed corpus",
            f"The index is over {store.plan.data}; a text must be a document of it, or a line of one.",
        )
    missing = len(file.by_text) + len(file.by_document) - len(found)
    return Labels(tuple(file.names), label_N, len(found), missing, file.contradictions)


def label_questions(store: FeatureStore, labels: Labels, *, ordinary: bool = False) -> list[Question]:
    """Return one question per label that the index has: its tokens against those of all other labels.

    Tokens without a label are not scored, as nothing is known about them, unless the file has a single label. With
    `ordinary`, outliers are not scored either.
    """
    scored_N: Mask = store.layout.counted_tokens(ordinary=ordinary)
    if len(labels.names) > 1:
        scored_N &= labels.label_N != UNLABELLED
    present = np.unique(labels.label_N[scored_N])
    return [
        Question(name, scored_N, labels.label_N == number)
        for number, name in enumerate(labels.names)
        if number in present
    ]


def _label_texts(
    store: FeatureStore, by_text: dict[str, int], label_N: NDArray[np.int32], found: set[str | int]
) -> None:
    opener = opening_token(store, store.layout.counted_tokens())
    begins = store.layout.documents.start
    closing = _closing_text(store, begins) if opener == NO_OPENER else ""
    for block in text_blocks(store, begins, opener):
        spans: dict[int, tuple[list[int], list[int]]] = {}
        for first, last in _stretches(block, closing):
            for a, b, text in _labelled(block.text, first, last, by_text):
                found.add(text)
                firsts, lasts = spans.setdefault(by_text[text], ([], []))
                firsts.append(a)
                lasts.append(b)
        for label, (firsts, lasts) in spans.items():
            label_N[block.start : block.start + block.n_tokens][block.holding(firsts, lasts)] = label


def _stretches(block: TextBlock, closing: str) -> list[tuple[int, int]]:
    """Return the half-open range of characters of each document, without the text that closes it."""
    spans = zip(block.first_S, block.last_S, strict=True)
    if not closing:
        return list(spans)
    ends = len(closing)
    return [(a, b - ends if block.text.endswith(closing, a, b) else b) for a, b in spans]


def _labelled(text: str, first: int, last: int, by_text: dict[str, int]) -> list[tuple[int, int, str]]:
    """Return the labelled ranges of a document, itself or its lines: first character, end (exclusive), and text."""
    whole = plain(text[first:last])
    if whole in by_text:
        return [(first, last, whole)]
    lines = ((line.start(), line.end(), plain(line[0])) for line in _LINE.finditer(text, first, last))
    return [line for line in lines if line[2] in by_text]


def _closing_text(store: FeatureStore, begins: NDArray[np.int64]) -> str:
    """Return the text of the token that closes every document, "" where they end on different tokens."""
    last = np.unique([store.tokens(int(start) - 1, int(start))[0] for start in begins[1:]])
    return store.vocabulary.text(last) if len(begins) > 2 and len(last) == 1 else ""
