"""Every kind of file gives its texts, and every way it can be wrong gives one sentence that names it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from engine.corpus import files as blocks_module
from engine.corpus import jsonl, parquet
from engine.corpus.data_argument import open_corpus
from engine.corpus.documents import MAX_DOCUMENT
from store.files.errors import MonosemError
from tests.shared_data import shared_path

STORIES = ["Once upon a time", "There was a sea.\n\nIt was blue.", "日本 é 🎈"]
ROWS = "".join(json.dumps({"text": text, "id": number}) + "\n" for number, text in enumerate(STORIES))


def texts(spec: object) -> list[str]:
    return [document.text for document in open_corpus(str(spec)).documents()]


def error_of(spec: object) -> str:
    with pytest.raises(MonosemError) as caught:
        texts(spec)
    assert len(str(caught.value).splitlines()) <= 2
    assert caught.value.hint
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Text


def test_text_by_marks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "<|endoftext|>\n".join(STORIES))
    assert texts(path) == STORIES
    assert open_corpus(str(path)).describe() == "a.txt: documents separated by <|endoftext|>"


def test_text_by_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\nstill one\n\n\n \t\ntwo\n  indented\n\n")
    assert texts(path) == ["one\nstill one", "two\n  indented"]
    assert open_corpus(str(path)).describe() == (
        "a.txt: no <|endoftext|> found, so documents are separated by blank lines"
    )


def test_a_mark_is_looked_for_in_the_first_mebibyte(tmp_path: Path) -> None:
    filler = "a b\n" * (1 << 18)
    late = write(tmp_path / "late.txt", filler + "x <|endoftext|> y\n\nz")
    early = write(tmp_path / "early.txt", "x <|endoftext|> y\n\nz" + filler)
    assert texts(late)[-1] == "z"
    assert texts(early)[0] == "x"
    assert texts(early)[1].startswith("y\n\nz")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(blocks_module.blocks, "__defaults__", (size,))
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbf" + "é日\r\nline 🎈\r\n\r\nnext\rold\r\n".encode())
    assert texts(path) == ["é日\nline 🎈", "next\nold"]
    rows = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + ROWS.replace("\n", "\r\n").encode())
    assert texts(rows) == STORIES


@pytest.mark.parametrize("before", [0, 5, (1 << 18) - 1, 1 << 18, 300_000])
def test_text_that_is_not_utf8_names_the_byte(tmp_path: Path, before: int) -> None:
    path = write(tmp_path / "latin.txt", b"\xef\xbb\xbf" + b"a" * before + "é".encode("latin-1") + b"bc")
    message = error_of(path)
    assert f"{path}: not UTF-8 text at byte {before + 3}\n" in message
    assert "iconv -f ISO-8859-1 -t UTF-8 latin.txt" in message


def test_a_character_cut_off_at_the_end(tmp_path: Path) -> None:
    assert "not UTF-8 text at byte 3\n" in error_of(write(tmp_path / "a.txt", b"abc\xe6\x97"))


def test_utf16_is_recognised(tmp_path: Path) -> None:
    assert "iconv -f UTF-16" in error_of(write(tmp_path / "a.txt", "words".encode("utf-16")))


@pytest.mark.parametrize(
    "content", ["word " * 4_000_000, "日" * 6_000_000, " " * 20_000_000 + "word", "\n" * 20_000_000]
)
def test_a_giant_file_streams_in_bounded_memory(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.txt", content)
    corpus = open_corpus(str(path))
    longest = count = 0
    tracemalloc.start()
    try:
        for document in corpus.documents():
            longest, count = max(longest, len(document.text)), count + 1
    except MonosemError:
        assert not content.strip()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    assert longest <= MAX_DOCUMENT
    assert count == -(-len(content.strip()) // MAX_DOCUMENT) or content.startswith("word")


# JSON Lines


@pytest.fixture(params=[".jsonl", ".jsonl.zst"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows(path: Path, content: str | bytes) -> Path:
    data = content if isinstance(content, bytes) else content.encode()
    return write(path, zstandard.ZstdCompressor().compress(data) if path.suffix == ".zst" else data)


def test_rows(tmp_path: Path, suffix: str) -> None:
    path = rows(tmp_path / f"a{suffix}", "\n" + ROWS + "  \n" + '{"text": null}\n{"text": "last"}')
    assert texts(path) == [*STORIES, "last"]
    assert open_corpus(str(path)).describe() == f"a{suffix}, field text"


def test_another_field(tmp_path: Path, suffix: str) -> None:
    path = rows(tmp_path / f"a{suffix}", '{"text": "no", "body:html": "yes"}\n')
    assert texts(f"{path}:body:html") == ["yes"]
    assert open_corpus(f"{path}:body:html").describe() == f"a{suffix}, field body:html"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "cut o', "not JSON (Unterminated string starting at, column 10)"),
        ("plain words", "not JSON"),
        ("[1, 2]", "a list, not an object"),
        ("null", "null, not an object"),
        ('"words"', "a string, not an object"),
        ('{"title": "a", "body": "b"}', "no field 'text'"),
        ("{}", "There are: none"),
        ('{"text": 3}', "field 'text' is a number, not text"),
        ('{"text": true}', "field 'text' is true or false, not text"),
        ('{"text": {"a": 1}}', "field 'text' is an object, not text"),
        ('{"text": ["a"]}', "field 'text' is a list of neither messages nor token ids, not text"),
        ("[" * 200_000, "JSON that cannot be read"),
        ('{"text": ' + "9" * 5_000 + "}", "JSON that cannot be read"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, suffix: str, line: str, said: str) -> None:
    path = rows(tmp_path / f"a{suffix}", '{"text": "good"}\n\n' + line + "\n")
    message = error_of(path)
    assert message.startswith(f"{path}, line 3: ")
    assert said in message


def test_the_fields_there_are_get_listed_without_control_characters(tmp_path: Path) -> None:
    message = error_of(write(tmp_path / "a.jsonl", json.dumps({"title": "a", "\x1b[2J": "b"})))
    assert "There are: 'title', '\\x1b[2J'. Name one like this: a.jsonl:FIELD" in message


def test_rows_that_are_not_utf8(tmp_path: Path, suffix: str) -> None:
    path = rows(tmp_path / f"a{suffix}", b'{"text": "a"}\n{"text": "\xe9"}\n')
    assert f"{path}, line 2: not UTF-8 text at byte 24" in error_of(path)


def test_a_surrogate_alone_becomes_a_replacement_character(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a.jsonl", r'{"text": "a\ud800b\ud83c\udf88"}')) == ["a\ufffdb🎈"]


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 1 << 20)
    path = write(tmp_path / "a.jsonl", ROWS + '{"text": "' + "a" * (2 << 20))
    assert "line 4: longer than 1 MiB" in error_of(path)


def test_several_packed_frames_are_one_stream(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor().compress
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    half = len(ROWS) // 2
    path = write(tmp_path / "a.jsonl.zst", skipped + pack(ROWS[:half].encode()) + pack(ROWS[half:].encode()))
    assert texts(path) == STORIES


def test_a_packed_file_cut_off(tmp_path: Path) -> None:
    whole = zstandard.ZstdCompressor().compress("".join(f'{{"text": "{n * n}"}}\n' for n in range(9_999)).encode())
    path = write(tmp_path / "a.jsonl.zst", whole[: len(whole) // 2])
    assert error_of(path).startswith(f"{path}: cut off after {len(whole) // 2} bytes")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    assert error_of(write(tmp_path / "b.jsonl.zst", bytes(damaged)))
    assert "not Zstandard data" in error_of(write(tmp_path / "c.jsonl.zst", ROWS))


def test_a_packed_file_with_a_long_window(tmp_path: Path) -> None:
    settings = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    path = write(tmp_path / "a.jsonl.zst", packer.compress(ROWS.encode()) + packer.flush())
    assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 1 << 28
    assert texts(path) == STORIES


# Parquet


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array([STORIES[0], None, *STORIES[1:]] * 500).cast(kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": range(len(values)), "text": values}), path, row_group_size=300)
    assert texts(path) == STORIES * 500
    assert open_corpus(str(path)).describe() == "a.parquet, field text"


def test_a_column_that_is_missing_or_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "body": ["words"], "raw": [b"x"]}), path)
    assert texts(f"{path}:body") == ["words"]
    assert "no field 'text'\n  There are: 'id', 'body', 'raw'. Name one like this: a.parquet:FIELD" in error_of(path)
    assert "field 'id' is int64, not text" in error_of(f"{path}:id")
    assert "field 'raw' is binary, not text" in error_of(f"{path}:raw")


def test_what_is_not_parquet(tmp_path: Path) -> None:
    for number, content in enumerate(["", "PAR1", "words " * 100]):
        path = write(tmp_path / f"{number}.parquet", content)
        assert error_of(path).startswith(f"{path}: not a Parquet file, or cut off")


def test_parquet_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"{n} words" for n in range(50_000)]}), path, compression="snappy")
    data = bytearray(path.read_bytes())
    data[100:20_000] = b"\xff" * 19_900
    assert "damaged in or after row 1" in error_of(write(path, bytes(data)))


@pytest.mark.parametrize("dictionary", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_small_parquet_file_that_claims_to_be_vast_is_refused(dictionary: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a" * (80 << 20)]})
    pq.write_table(table, path, use_dictionary=dictionary, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 50_000
    assert re.search("a page of [0-9,]+ bytes claims to unpack to 83,886,", error_of(path))


@pytest.mark.parametrize("encoding", ["RLE_DICTIONARY", "DELTA_BYTE_ARRAY"])
def test_a_parquet_file_that_repeats_a_long_text_takes_little_memory(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "REPEATED", 4 << 20)
    path, long = tmp_path / "a.parquet", "a" * (1 << 20)
    whole: dict[str, Any] = {"dictionary_pagesize_limit": 1 << 30, "write_page_index": True}
    if encoding != "RLE_DICTIONARY":
        whole = {"use_dictionary": False, "column_encoding": encoding, "data_page_version": "2.0"}
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 60), pa.array([long])).cast(pa.string())
    pq.write_table(pa.table({"text": column}), path, compression="zstd", **whole)
    del column
    before = pa.total_allocated_bytes()
    for number, text in enumerate(parquet.texts(path, "text")):
        assert len(text) == len(long)
        assert pa.total_allocated_bytes() - before < 20 << 20, number
    assert number == 59


def test_page_headers_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": STORIES * 5}), path)
    column = pq.read_metadata(path).row_group(0).column(0)
    sound = path.read_bytes()
    start = column.dictionary_page_offset
    for damage in (b"\xff" * 40, bytes(40), b"\x1c" * 40, b"\x15\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"):
        write(path, sound[:start] + damage + sound[start + len(damage) :])
        assert "a.parquet: a page" in error_of(path)


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    words = pa.array([b"good"] * 300 + [b"\xff\xfe"])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.StringArray.from_buffers(301, *words.buffers()[1:])}), path)
    assert f"{path}: damaged in or after row 257" in error_of(path)


# What a spec names


def test_a_glob_is_sorted_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "deep/c.txt", "deep/er/d.txt", ".hidden.txt"):
        write(tmp_path / name, f"text of {name}")
    found = open_corpus(f"{tmp_path}/**/*.txt")
    assert [document.text for document in found.documents()] == [
        f"text of {name}" for name in ("a.txt", "b.txt", "deep/c.txt", "deep/er/d.txt")
    ]
    assert found.describe().startswith("4 files of .txt; text files: documents separated by <|endoftext|>, or by")
    assert [document.number for document in found.documents()] == [0, 1, 2, 3]


def test_kinds_may_be_mixed_if_all_are_known(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "b.txt", "words")
    assert texts(f"{tmp_path}/*") == [*STORIES, "words"]
    assert "1 file of .jsonl, 1 file of .txt, field text; text files" in open_corpus(f"{tmp_path}/*").describe()
    write(tmp_path / "c.csv", "a,b")
    message = error_of(f"{tmp_path}/*")
    assert "c.csv" in message and ".txt, .jsonl, .jsonl.zst, .jsonl.gz, .json.gz, .parquet" in message


def test_names_with_colons_and_brackets_are_names_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.jsonl", '{"b.jsonl": "the field"}')
    assert texts("a.jsonl:b.jsonl") == ["the field"]
    write(tmp_path / "a.jsonl:b.jsonl", '{"text": "the file"}')
    assert texts("a.jsonl:b.jsonl") == ["the file"]
    write(tmp_path / "notes [1].txt", "brackets")
    assert texts("notes [1].txt") == ["brackets"]
    write(tmp_path / "10:30.txt", "half past ten")
    assert texts("10:30.txt") == ["half past ten"]
    assert "no such file: C:\\texts\\a.jsonl" in error_of("C:\\texts\\a.jsonl")


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.txt", "at home")
    assert texts("~/*.txt") == texts("~/a.txt") == ["at home"]
    assert "no such file: ~nobody-of-that-name/a.txt" in error_of("~nobody-of-that-name/a.txt")


def test_a_field_of_plain_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "words")
    assert "is plain text and has no field 'body'" in error_of(f"{path}:body")


def test_what_is_not_there(tmp_path: Path) -> None:
    assert f"no such file: {tmp_path}/a.txt\n  `data` may be stdlib, planted, a file or glob" in error_of(
        tmp_path / "a.txt"
    )
    assert f"no such file: {tmp_path}/a.jsonl\n" in error_of(f"{tmp_path}/a.jsonl:body")
    assert f"no file matches {tmp_path}/*.txt" in error_of(f"{tmp_path}/*.txt")
    assert f"{tmp_path} is a folder\n  Name its files with a glob" in error_of(tmp_path)
    assert error_of("a" * 5_000)


def test_an_empty_corpus(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", ""),
        ("b.txt", " \n\n \n"),
        ("c.jsonl", "\n"),
        ("d.jsonl", '{"text": " "}'),
        ("e.jsonl.zst", ""),
    ):
        path = write(tmp_path / name, content)
        assert f"{path} holds no text" in error_of(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_what_may_not_be_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "words")
    path.chmod(0)
    assert f"cannot read {path}: permission denied\n  Try: chmod u+r" in error_of(path)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_permission_denied_by_any_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = write(tmp_path / name, "words")

    def denied(path: object, *args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", denied)
    assert f"cannot read {path}: permission denied" in error_of(path)


def test_a_file_that_vanishes_after_opening(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "words")
    corpus = open_corpus(str(path))
    path.unlink()
    with pytest.raises(MonosemError, match="no such file"):
        list(corpus.documents())


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "b.txt", "two")
    assert open_corpus(f"{tmp_path}/a.txt").digest() == hashlib.sha256(b"one").hexdigest()
    assert open_corpus(f"{tmp_path}/*.txt").digest() == hashlib.sha256(b"onetwo").hexdigest()


def test_every_call_starts_over(tmp_path: Path) -> None:
    corpus = open_corpus(str(write(tmp_path / "a.jsonl", ROWS)))
    first = corpus.documents()
    next(first)
    assert [document.text for document in corpus.documents()] == STORIES
    assert [document.text for document in first] == STORIES[1:]


def test_real_texts() -> None:
    stories = shared_path("text/tinystories_sample_2MB.txt")
    pieces = stories.read_text(encoding="utf-8").split("<|endoftext|>")
    assert texts(stories) == [piece.strip() for piece in pieces if piece.strip()]
    functions = shared_path("text/humaneval.jsonl")
    prompts = [json.loads(line)["prompt"].strip() for line in functions.read_text(encoding="utf-8").splitlines()]
    assert texts(f"{functions}:prompt") == prompts
