"""Contents of a corpus's rows: text, conversations in the two usual forms, token ids; all else is refused by name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.corpus.conversations import TokenIds, Turn, content_of
from engine.corpus.data_argument import open_corpus
from store.files.errors import MonosemError

MESSAGES = [{"role": "user", "content": "What is 2?"}, {"role": "assistant", "content": "A number."}]
TURNS = (Turn("user", "What is 2?"), Turn("assistant", "A number."))


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (None, None),
        ("a", "a"),
        ([], None),
        (MESSAGES, TURNS),
        ([{"from": "human", "value": "What is 2?"}, {"from": "gpt", "value": "A number."}], TURNS),
        ([{"role": "user", "content": [{"type": "text", "text": "What "}, {"text": "is 2?"}]}], TURNS[:1]),
        ([{"role": "developer", "content": "x"}], (Turn("system", "x"),)),
        ([{"role": "user", "content": ""}], None),
        ([3, 1, 2], TokenIds((3, 1, 2))),
    ],
)
def test_contents(value: object, content: object) -> None:
    found = content_of(value)
    assert found == content
    assert type(found) is type(content)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "a number"),
        ({"a": 1}, "an object"),
        ([1, -2], "not token ids"),
        ([1, 2**31], "not token ids"),
        ([True], "neither messages nor token ids"),
        (["a"], "neither messages nor token ids"),
        ([{"role": "narrator", "content": "x"}], "message 1 has the role 'narrator'"),
        ([MESSAGES[0], {"role": "assistant", "content": None}], "message 2 has no text"),
        ([{"role": "user", "content": [{"type": "image"}]}], "message 1 has no text"),
        ([{"role": ["user"], "content": "x"}], "message 1 has the role"),
    ],
)
def test_other_contents_are_refused(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        content_of(value)


def written(folder: Path, rows: list[object], field: str) -> list[str]:
    """The same rows as .jsonl, .jsonl.gz, .json.gz and .parquet."""
    lines = "".join(json.dumps({field: row}) + "\n" for row in rows)
    (folder / "a.jsonl").write_text(lines)
    for name in ("b.jsonl.gz", "c.json.gz"):
        (folder / name).write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({field: rows}), folder / "d.parquet")
    return [f"{folder}/{name}:{field}" for name in ("a.jsonl", "b.jsonl.gz", "c.json.gz", "d.parquet")]


def test_conversations_of_every_kind_of_file(tmp_path: Path) -> None:
    for spec in written(tmp_path, [MESSAGES, None, MESSAGES[:1]], "messages"):
        first, second = open_corpus(spec).documents()
        assert (first.turns, second.turns, second.number) == (TURNS, TURNS[:1], 1)
        assert first.text == "What is 2?\nA number."


def test_token_ids_of_every_kind_of_file(tmp_path: Path) -> None:
    for spec in written(tmp_path, [[5, 6], [7]], "input_ids"):
        assert [document.ids for document in open_corpus(spec).documents()] == [(5, 6), (7,)]


def test_a_conversation_that_cannot_be_read_names_its_row(tmp_path: Path) -> None:
    rows: list[object] = [MESSAGES, [{"role": "narrator", "content": "x"}]]
    for spec, where in zip(written(tmp_path, rows, "chat"), ["line 2", "line 2", "line 2", "row 2"], strict=True):
        with pytest.raises(MonosemError, match=f"{where}: field 'chat' is a conversation whose message 1 has the role"):
            list(open_corpus(spec).documents())


def test_damaged_gzip_files_are_a_line(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "a b c"}\n' * 99)
    damaged = {
        "cut": (whole[:-9], "cut off"),
        "no": (b"text", "not gzip"),
        "bad": (whole[:20] + whole[25:], "gzip|cut"),
    }
    for name, (content, said) in damaged.items():
        path = tmp_path / f"{name}.jsonl.gz"
        path.write_bytes(content)
        with pytest.raises(MonosemError, match=said):
            list(open_corpus(str(path)).documents())
