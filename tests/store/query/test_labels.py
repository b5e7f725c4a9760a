"""Label files, and which tokens of an index they label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.vocabulary import Vocabulary
from store.query.labels import Labels, apply_labels, label_questions, read_labels
from tests.store import raw as raws
from tests.store.raw import Raw, RawToken, build_store

VOCAB = [b"<s>", b"one ", b"two", b"\n", b" three", "é".encode()[:1], "é".encode()[1:], b"<end>"]
BOS, ONE, TWO, NEWLINE, THREE, E1, E2, END = range(8)


def contexts(*documents: list[list[int]], bos: bool = True) -> Raw:
    """Documents as the pieces that contexts cut them into."""
    made = []
    for number, pieces in enumerate(documents):
        for ids in pieces:
            first = [RawToken(BOS, number, False, {})] if bos else []
            made.append(first + [RawToken(i, number, bos or place > 0, {1: 1.0}) for place, i in enumerate(ids)])
    return Raw(4, made)


def labelled(
    folder: Path, raw: Raw, file: Path, *, merged: bool = True, per_segment: int = 1
) -> tuple[Labels, FeatureStore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raws, "vocabulary", lambda: Vocabulary.from_tokens(VOCAB))
        build_store(folder / "run", raw, per_segment, merged=merged)
    store = FeatureStore.open(folder / "run")
    return apply_labels(store, read_labels(str(file))), store


@pytest.mark.parametrize("merged", [True, False])
def test_documents_and_lines_by_their_text(tmp_path: Path, merged: bool) -> None:
    """A document over two contexts and segments, whose é is cut in two; one with two lines; one that is unknown."""
    raw = contexts([[ONE, TWO, E1], [E2]], [[ONE, ONE, NEWLINE, TWO, THREE]], [[THREE]])
    file = tmp_path / "labels.tsv"
    file.write_text("b\t  one   twoé \na\ttwo three\nc\tnot there\n\n", encoding="utf-8")
    labels, store = labelled(tmp_path, raw, file, merged=merged)
    b, a, none = 0, 1, -1
    # BOS has no text: it is labelled nowhere, and the context border inside the document's text is invisible.
    first, second, third = [none, b, b, b, none, b], [none, none, none, none, a, a], [none, none]
    assert labels.label_N.tolist() == first + second + third
    assert (labels.names, labels.found, labels.missing, labels.contradictions) == (("b", "a", "c"), 2, 1, 0)
    questions = label_questions(store, labels)
    assert [question.name for question in questions] == ["b", "a"]
    for question, number in zip(questions, (b, a), strict=True):
        assert question.scored_N.tolist() == (labels.label_N >= 0).tolist()
        assert question.matched_N.tolist() == (labels.label_N == number).tolist()
    store.close()


def test_documents_by_number(tmp_path: Path) -> None:
    raw = contexts([[ONE], [TWO]], [[ONE]], [[TWO]])
    file = tmp_path / "labels.jsonl"
    lines = [{"label": "x", "document": 0}, {"label": 7, "document": 2}, {"label": "x", "document": 99}]
    file.write_text("\n".join(map(json.dumps, lines)))
    labels, store = labelled(tmp_path, raw, file)
    assert labels.label_N.tolist() == [0, 0, 0, 0, -1, -1, 1, 1]
    assert (labels.names, labels.found, labels.missing) == (("x", "7"), 2, 1)
    store.close()


def test_a_single_label_is_told_from_everything(tmp_path: Path) -> None:
    raw = contexts([[ONE]], [[TWO]])
    file = tmp_path / "labels.tsv"
    file.write_text("x\ttwo\n")
    labels, store = labelled(tmp_path, raw, file)
    (question,) = label_questions(store, labels)
    assert question.scored_N.tolist() == [False, True, False, True]
    assert question.matched_N.tolist() == [False, False, False, True]
    store.close()


def test_a_closing_token_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Models without BOS close documents with a token of their own."""
    raw = contexts([[ONE, TWO, END]], [[TWO, END]], [[TWO, TWO, END]], bos=False)
    file = tmp_path / "labels.tsv"
    file.write_text("x\tone two\ny\ttwotwo\n")
    labels, store = labelled(tmp_path, raw, file)
    assert labels.label_N.tolist() == [0, 0, -1, -1, -1, 1, 1, -1]
    store.close()


def test_a_named_field_and_texts_with_two_labels(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    lines = [("one", "en"), ("two", "en"), ("two", "fr"), ("two", "en"), (" one ", "en")]
    file.write_text("".join(json.dumps({"text": text, "language": label}) + "\n" for text, label in lines))
    read = read_labels(f"{file}:language")
    assert read.by_text == {"one": 0}
    assert (list(read.names), read.contradictions) == (["en", "fr"], 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tsv", b"en\tone\nno tab here\n", "line 2: no label, tab and text"),
        ("a.tsv", b"\n \n", "holds no labels"),
        ("a.tsv", b"en\t\xff\n", "is not UTF-8"),
        ("a.jsonl", b"{\n", "line 1 is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1: no label in field 'label'"),
        ("a.jsonl", b'{"label": "x", "text": 3}\n', "neither a document's number nor a text"),
        ("a.jsonl", b'{"label": null, "text": "t"}\n', "no label in field 'label'"),
    ],
)
def test_broken_files_say_where(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MonosemError, match=said):
        read_labels(str(tmp_path / name))


def test_missing_files_and_texts(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="No such file"):
        read_labels(str(tmp_path / "nothing.tsv"))
    file = tmp_path / "labels.tsv"
    file.write_text("x\tnowhere\n")
    with pytest.raises(MonosemError, match="none of the labelled texts"):
        labelled(tmp_path, contexts([[ONE]]), file)


def test_every_token_of_a_large_corpus(tmp_path: Path) -> None:
    """Documents drawn at random, cut anywhere: the label of each is that of its text."""
    rng = np.random.default_rng(0)
    documents = [rng.integers(1, 5, rng.integers(3, 9)).tolist() for _ in range(60)]
    pieces = [[ids[: len(ids) // 2], ids[len(ids) // 2 :]] for ids in documents]
    texts = [" ".join(b"".join(VOCAB[i] for i in ids).decode().split()) for ids in documents]
    chosen = {text: f"label {number % 3}" for number, text in enumerate(texts) if text and number % 2}
    file = tmp_path / "labels.tsv"
    file.write_text("".join(f"{label}\t{text}\n" for text, label in chosen.items()))
    lines_too = {text for text in chosen if text in ("one", "two", "three")}
    labels, store = labelled(tmp_path, contexts(*pieces), file, per_segment=15)
    place = 0
    for text, both in zip(texts, pieces, strict=True):
        for ids in both:
            got = labels.label_N[place + 1 : place + 1 + len(ids)]
            if text in chosen:
                assert {labels.names[i] for i in got.tolist()} == {chosen[text]}
            elif not lines_too:
                assert set(got.tolist()) <= {-1}
            place += 1 + len(ids)
    store.close()
