"""Data sets of the Hub, against a stand-in that behaves as datasets 5.2 was seen to, and the real one where it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.corpus.data_argument import open_corpus
from store.files.errors import MonosemError, WorkFailed


class DatasetNotFoundError(FileNotFoundError):
    """As datasets.exceptions has it."""


@dataclass
class Value:
    """A declared kind of field."""

    dtype: str


class Rows:
    """A streamed split: fields declared or not, and rows, optionally followed by a fault."""

    def __init__(
        self, rows: list[dict[str, Any]], kinds: dict[str, str] | None, fault: Exception | None = None
    ) -> None:
        self.rows, self.fault = rows, fault
        self.features = {name: Value(kind) for name, kind in kinds.items()} if kinds else None

    def select_columns(self, names: list[str]) -> Rows:
        return Rows([{name: row[name] for name in names} for row in self.rows], None, self.fault)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if any("image" in row for row in self.rows):
            raise ImportError("To support decoding images, please install 'Pillow'.")
        yield from self.rows
        if self.fault:
            raise self.fault


class Library(ModuleType):
    """The functions of the package that monosem uses, recording their calls."""

    def __init__(self, answer: Rows | Exception, fingerprint: str = "e39756d2") -> None:
        super().__init__("datasets")
        self.answer, self.fingerprint = answer, fingerprint
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load_dataset(self, *args: Any, **named: Any) -> Rows:
        self.calls.append((args, named))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def load_dataset_builder(self, *args: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        builder = ModuleType("builder")
        builder.hash = self.fingerprint  # type: ignore[attr-defined]
        return builder


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(answer: Rows | Exception, fingerprint: str = "e39756d2") -> Library:
        made = Library(answer, fingerprint)
        monkeypatch.setitem(sys.modules, "datasets", made)
        return made

    return install


STORIES = [{"text": "one", "id": 1}, {"text": None, "id": 2}, {"text": " two\n", "id": 3}]
KINDS = {"text": "string", "id": "int64"}


def texts(spec: str) -> list[str]:
    return [document.text for document in open_corpus(spec).documents()]


def error_of(spec: str, kind: type[MonosemError] = MonosemError) -> str:
    with pytest.raises(kind) as caught:
        texts(spec)
    assert type(caught.value) is kind
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name", "config", "split"),
    [
        ("hf:tiny", "tiny", None, "train"),
        ("hf:org/tiny", "org/tiny", None, "train"),
        ("hf:org/tiny:en.v2", "org/tiny", "en.v2", "train"),
        ("hf:org/tiny@validation", "org/tiny", None, "validation"),
        ("hf:org/tiny:en@test:text", "org/tiny", "en", "test"),
    ],
)
def test_what_is_asked_of_the_library(library: Any, spec: str, name: str, config: str | None, split: str) -> None:
    asked = library(Rows(STORIES, KINDS))
    assert texts(spec) == ["one", "two"]
    assert asked.calls == [((name, config), {"split": split, "streaming": True})]


def test_every_call_starts_over(library: Any) -> None:
    asked = library(Rows(STORIES, KINDS))
    corpus = open_corpus("hf:tiny")
    assert [one.text for one in corpus.documents()] == [one.text for one in corpus.documents()] == ["one", "two"]
    assert len(asked.calls) == 1


@pytest.mark.parametrize("kinds", [{"content": "large_string", "n": "int64"}, None])
def test_the_only_field_of_text_is_taken_and_said(library: Any, kinds: dict[str, str] | None) -> None:
    library(Rows([{"content": "words", "n": 1}], kinds))
    assert texts("hf:tiny:en") == ["words"]
    assert open_corpus("hf:tiny:en").describe() == (
        "tiny, en, split train, field content (the only one that holds text)"
    )


def test_a_first_row_without_text(library: Any) -> None:
    library(Rows([{"text": None, "n": 1}, {"text": "words", "n": 2}], None))
    assert texts("hf:tiny") == ["words"]


def test_text_is_taken_without_a_word(library: Any) -> None:
    library(Rows([{"text": "words", "title": "a"}], {"text": "string", "title": "string"}))
    assert open_corpus("hf:tiny").describe() == "tiny, split train, field text"
    assert texts("hf:tiny@train:title") == ["a"]


def test_a_field_that_cannot_be_chosen(library: Any) -> None:
    library(Rows([], {"title": "string", "body": "string", "n": "int64"}))
    said = error_of("hf:org/tiny:en")
    assert "no field 'text'\n  There are: 'title', 'body'. Name one like this: hf:org/tiny:en@train:FIELD" in said
    assert "no field 'words'" in error_of("hf:org/tiny@train:words")
    assert "field 'n' is something else, not text" in error_of("hf:org/tiny@train:n")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    said = error_of("hf:org/tiny")
    assert said == "reading hf:org/tiny needs the datasets package\n  pip install 'monosem[hub]'"
    for ask in (open_corpus("hf:org/tiny").digest, open_corpus("hf:org/tiny").describe):
        with pytest.raises(MonosemError, match=r"^reading hf:org/tiny needs the datasets package"):
            ask()


@pytest.mark.parametrize(
    ("fault", "said", "kind"),
    [
        (
            DatasetNotFoundError("Dataset 'no/such' doesn't exist on the Hub or cannot be accessed."),
            "doesn't exist",
            MonosemError,
        ),
        (DatasetNotFoundError("Dataset 'no/such' is a gated dataset on the Hub."), "hf auth login", MonosemError),
        (
            ConnectionError("Couldn't reach 'no/such' on the Hub (LocalEntryNotFoundError)"),
            "cannot reach the Hugging",
            WorkFailed,
        ),
        (ConnectionError("Couldn't reach 'no/such' on the Hub (OfflineModeIsEnabled)"), "HF_HUB_OFFLINE", WorkFailed),
        (ValueError("BuilderConfig 'xx' not found. Available: ['en', 'de']"), "Available: ['en', 'de']", MonosemError),
        (ValueError("Bad split: xx. Available splits: ['train']"), "Available splits: ['train']", MonosemError),
        (
            RuntimeError("Dataset scripts are no longer supported, but found such.py"),
            "no longer supported",
            MonosemError,
        ),
        (OSError("first\x1b[2J line\nsecond line"), "first [2J line", MonosemError),
        (RuntimeError(), "RuntimeError", MonosemError),
    ],
)
def test_what_the_library_raises(library: Any, fault: Exception, said: str, kind: type[MonosemError]) -> None:
    library(fault)
    assert said in error_of("hf:no/such:xx", kind)


def test_a_stream_that_breaks_off(library: Any) -> None:
    library(Rows(STORIES, KINDS, ConnectionError("Server disconnected")))
    assert "failed after row 3: Server disconnected" in error_of("hf:tiny", WorkFailed)


def test_a_first_row_that_cannot_be_had(library: Any) -> None:
    library(Rows([], None, ConnectionError("Server disconnected")))
    assert "cannot reach the Hugging Face Hub" in error_of("hf:tiny", WorkFailed)


def test_other_columns_are_not_decoded(library: Any) -> None:
    library(Rows([{"text": "words", "image": b""}], {"text": "string", "image": "PIL.Image.Image"}))
    assert texts("hf:tiny") == ["words"]


def test_a_digest_out_of_reach(library: Any) -> None:
    library(ConnectionError("Couldn't reach 'tiny' on the Hub (LocalEntryNotFoundError)"))
    with pytest.raises(WorkFailed, match="cannot reach the Hugging Face Hub"):
        open_corpus("hf:tiny").digest()


def test_an_empty_split(library: Any) -> None:
    library(Rows([], KINDS))
    assert "hf:tiny holds no text" in error_of("hf:tiny")


@pytest.mark.parametrize("spec", ["hf:", "hf:a b", "hf:name@", "hf:name:", "hf:name@train[:10%]"])
def test_what_is_not_of_the_shape(library: Any, spec: str) -> None:
    library(Rows(STORIES, KINDS))
    assert "hf:NAME[:CONFIG][@SPLIT[:FIELD]]" in error_of(spec)


def test_the_digest_tells_content_apart(library: Any) -> None:
    digests = []
    for spec, fingerprint in (
        ("hf:a", "1"),
        ("hf:a", "1"),
        ("hf:a", "2"),
        ("hf:b", "1"),
        ("hf:a@test", "1"),
        ("hf:a:b", "1"),
    ):
        library(Rows(STORIES, KINDS), fingerprint)
        digests.append(open_corpus(spec).digest())
    assert digests[0] == digests[1]
    assert len(set(digests)) == 5
    assert all(len(digest) == 64 for digest in digests)


def test_the_real_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tiny"
    folder.mkdir()
    file = folder / "train.jsonl"
    file.write_text("".join(json.dumps({"content": f"story {n}", "n": n}) + "\n" for n in range(3)))
    corpus = open_corpus("hf:tiny")
    assert [one.text for one in corpus.documents()] == ["story 0", "story 1", "story 2"]
    assert [one.number for one in corpus.documents()] == [0, 1, 2]
    assert corpus.describe() == "tiny, split train, field content (the only one that holds text)"
    assert corpus.digest() == open_corpus("hf:tiny").digest()
    assert "Available splits: ['train']" in error_of("hf:tiny@test")
    assert "'xx' not found" in error_of("hf:tiny:xx")
    before = corpus.digest()
    file.write_text('{"content": "another", "n": 1}\n')
    assert open_corpus("hf:tiny").digest() != before
