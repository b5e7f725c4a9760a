"""Text at addresses reads as the same text on a disk does, and every way it can fail gives one sentence."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from engine.commands.rerun import evaluate_again
from engine.commands.train import train
from engine.corpus.data_argument import FORMATS, Files, open_corpus
from engine.corpus.documents import names_files
from engine.corpus.remote_files import AHEAD
from engine.jobs.resume import check_unchanged
from engine.jobs.subject import pinned
from engine.jobs.trained_run import reopen
from engine.resources.plans import text_bytes
from engine.runtime.progress import Silent
from store.files.errors import MonosemError, WorkFailed
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings, SubjectSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import EvaluateSettings
from tests.engine.small import random_texts
from tests.engine.trained import CONTEXT, model_folder, small_forwards, text_file

fsspec = pytest.importorskip("fsspec", reason="addresses are read by fsspec")

TEXTS = [f"Story {number}.\nOnce upon a time 日本 🎈" for number in range(300)]
ROWS = "".join(json.dumps({"text": text, "other": "no"}) + "\n" for text in TEXTS).encode()
NOISE = random.Random(0)


@pytest.fixture
def store() -> Iterator[Any]:
    """The store of memory://, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def texts(spec: object) -> list[str]:
    return [document.text for document in open_corpus(str(spec)).documents()]


def error_of(spec: object) -> MonosemError:
    with pytest.raises(MonosemError) as caught:
        texts(spec)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def content_of(suffix: str, folder: Path) -> bytes:
    """Return TEXTS as a file of a format."""
    if suffix == ".txt":
        return "<|endoftext|>".join(TEXTS).encode()
    if suffix == ".parquet":
        pq.write_table(pa.table({"other": range(len(TEXTS)), "text": TEXTS}), folder / "made", row_group_size=77)
        return (folder / "made").read_bytes()
    packers: dict[str, Any] = {"zst": zstandard.ZstdCompressor().compress, "gz": gzip.compress}
    return packers.get(suffix.rpartition(".")[2], bytes)(ROWS)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_reads_as_on_a_disk(suffix: str, store: Any, tmp_path: Path) -> None:
    local = tmp_path / f"a{suffix}"
    local.write_bytes(content_of(suffix, tmp_path))
    store.pipe(f"/deep/a{suffix}", local.read_bytes())
    here, there = open_corpus(str(local)), open_corpus(f"memory://deep/a{suffix}")
    assert list(there.documents()) == list(here.documents()) == list(there.documents())
    assert [document.text for document in there.documents()] == TEXTS
    assert there.describe() == f"{here.describe()}; recognised by address, size and created"
    assert text_bytes(there) == text_bytes(here)


def test_a_field_comes_after_the_suffix(store: Any) -> None:
    store.pipe("/a.jsonl", b'{"text": "no", "body": "yes"}\n')
    store.pipe("/a.txt", b"words")
    assert texts("memory://a.jsonl:body") == ["yes"]
    assert "no field 'title'" in str(error_of("memory://a.jsonl:title"))
    assert "is plain text and has no field 'body'" in str(error_of("memory://a.txt:body"))


def test_a_glob_is_sorted_and_leaves_hidden_files_out(store: Any) -> None:
    for name in ("b.txt", "a.txt", ".hidden.txt", "more/c.txt", "more/.not/d.txt"):
        store.pipe(f"/.deep/{name}", f"text of {name}".encode())
    assert texts("memory://.deep/*.txt") == ["text of a.txt", "text of b.txt"]
    found = open_corpus("memory://.deep/**/*.txt")
    assert [document.text for document in found.documents()][-1] == "text of more/c.txt"
    assert found.describe().startswith("3 files of .txt; text files: documents separated by <|endoftext|>, or by")
    assert "no file matches memory://.deep/*.jsonl" in str(error_of("memory://.deep/*.jsonl"))


def test_the_digest_changes_with_content_and_reads_nothing(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/a.txt", b"one")
    store.pipe("/b.txt", b"two")
    corpus = open_corpus("memory://*.txt")
    monkeypatch.setattr(type(store), "open", None)
    before = corpus.digest()
    monkeypatch.undo()
    assert open_corpus("memory://*.txt").digest() == before
    store.pipe("/b.txt", b"too")
    assert open_corpus("memory://*.txt").digest() != before


def test_errors_of_contents_name_the_address(store: Any) -> None:
    store.pipe("/a.txt", b"caf\xe9")
    assert "memory://a.txt: not UTF-8 text at byte 3" in str(error_of("memory://a.txt"))
    store.pipe("/a.parquet", b"words " * 100)
    assert str(error_of("memory://a.parquet")).startswith("memory://a.parquet: not a Parquet file, or cut off")
    store.pipe("/a.jsonl.gz", gzip.compress(ROWS)[:-100])
    assert str(error_of("memory://a.jsonl.gz")).startswith("memory://a.jsonl.gz: cut off")


def test_files_that_are_not_there(store: Any) -> None:
    store.pipe("/deep/a.csv", b"a,b")
    missing = error_of("memory://deep/a.txt")
    assert missing.exit_code == 2 and missing.what == "no such file: memory://deep/a.txt"
    assert "memory://deep is a folder\n  Name its files with a glob" in str(error_of("memory://deep"))
    assert "cannot tell how to read memory://deep/a.csv" in str(error_of("memory://deep/a.csv"))
    assert "cannot read strange://a.txt: Protocol not known" in str(error_of("strange://a.txt"))


@pytest.mark.parametrize(
    ("address", "module", "package"),
    [
        ("s3://bucket/a.txt", "s3fs", "s3fs"),
        ("gs://bucket/a.txt", "gcsfs", "gcsfs"),
        ("https://localhost/a.txt", "fsspec.implementations.http", "'monosem[hub]'"),
        ("memory://a.txt", "fsspec.core", "'monosem[hub]'"),
    ],
)
def test_a_missing_package_is_named(address: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(loaded, address.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    missing = error_of(address)
    assert missing.exit_code == 2
    assert missing.hint == f"pip install {package}"


@pytest.mark.parametrize(
    "address", ["https://me:secret@host/a.txt?x=1", "https://token@host/a.txt", "ftp://a:b@c/a.txt"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    refused = error_of(address)
    assert "with a password" in refused.what and refused.exit_code == 2
    assert "secret" not in str(refused) and "token@" not in str(refused) and "b@" not in str(refused)


def test_addresses_stay_as_they_are_where_paths_become_absolute() -> None:
    for address in ("s3://bucket/*.jsonl.zst:body", "https://host/a.txt?key=a:b", "hf://datasets/a/b/c.parquet"):
        assert not names_files(address)
        assert pinned(SubjectSettings(data=address)).data == address


def test_a_run_on_an_address_is_resumed_and_measured(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_forwards(monkeypatch)
    model_folder(tmp_path / "model")
    text_file(tmp_path / "text.txt", random_texts(120, longest=30))
    store.put(str(tmp_path / "text.txt"), "/text.txt")
    sizes: dict[str, Any] = {"layer": 0, "context": CONTEXT, "device": "cpu", "tokens": 300, "batch": 100, "d_sae": 20}
    asked = TrainSettings(model=str(tmp_path / "model"), data="memory://text.txt", k=5, index_tokens=200, **sizes)
    run = RunFolder(tmp_path / "run")
    train(run, asked, Silent(), resume=False)
    assert run.record().provenance.corpus == "memory://text.txt"
    train(run, asked, Silent(), resume=True)
    assert evaluate_again(run, EvaluateSettings(), Silent())
    store.pipe("/text.txt", (tmp_path / "text.txt").read_bytes() + b"more")
    with pytest.raises(MonosemError, match="its content has changed"):
        check_unchanged(run, reopen(run, ReopenSettings(), Silent()).provenance())


# The web


class Site(ThreadingHTTPServer):
    """A web server on this machine: files by path, with ranges or without; some break off or are refused."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.ranges, self.breaks_at, self.sent = True, 1 << 60, 0
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client has gone."""


class Answer(BaseHTTPRequestHandler):
    """Answers of `Site`."""

    server: Site

    def do_HEAD(self) -> None:
        self.answer(is_wanted=False)

    def do_GET(self) -> None:
        self.answer(is_wanted=True)

    def answer(self, *, is_wanted: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/secret") or path not in self.server.files:
            self.send_error(403 if path.startswith("/secret") else 404)
            return
        content = self.server.files[path]
        start, end = 0, len(content)
        if self.server.ranges and (wanted := self.headers.get("Range")):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(end, int(last) + 1)
        self.send_response(206 if self.server.ranges and self.headers.get("Range") else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{hash(content)}"')
        self.end_headers()
        if is_wanted:
            whole = min(end, max(start, self.server.breaks_at))
            for at in range(start, whole, 1 << 16):
                self.server.sent += self.wfile.write(content[at : min(whole, at + (1 << 16))])
            self.close_connection = whole < end or self.close_connection

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def site() -> Iterator[Site]:
    pytest.importorskip("aiohttp", reason="fsspec reads the web by aiohttp")
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_reads_from_the_web(suffix: str, ranges: bool, site: Site, tmp_path: Path) -> None:
    site.ranges = ranges
    site.files["/a" + suffix] = content_of(suffix, tmp_path)
    address = f"{site.address}/a{suffix}"
    if suffix == ".parquet" and not ranges:
        assert "does not give parts of files, which .parquet needs" in str(error_of(address))
        return
    field = ":text" if suffix != ".txt" else ""
    assert texts(f"{address}{field}?key=a:b/c.txt") == TEXTS
    assert open_corpus(address).describe().endswith("; recognised by address, size and ETag")


def test_what_the_web_refuses(site: Site) -> None:
    assert error_of(f"{site.address}/a.txt").what == f"no such file: {site.address}/a.txt"
    denied = error_of(f"{site.address}/secret.txt")
    assert denied.exit_code == 2 and denied.what == f"cannot read {site.address}/secret.txt: permission denied"
    site.shutdown()
    site.server_close()
    refused = error_of(f"{site.address}/a.txt")
    assert isinstance(refused, WorkFailed) and refused.what.startswith(f"cannot reach {site.address}/a.txt: ")
    assert refused.hint == "Check the network and run the same command again."


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("suffix", [".txt", ".jsonl.gz", ".parquet"])
def test_reading_that_breaks_off(suffix: str, ranges: bool, site: Site, tmp_path: Path) -> None:
    noise = [base64.b64encode(NOISE.randbytes(16_000)).decode() for _ in range(320)]
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": noise}), tmp_path / "a", row_group_size=40, use_dictionary=False)
        content = (tmp_path / "a").read_bytes()
    else:
        rows = "\n\n".join(noise) if suffix == ".txt" else "".join(f'{{"text": "{one}"}}\n' for one in noise)
        content = gzip.compress(rows.encode(), 1) if suffix == ".jsonl.gz" else rows.encode()
    assert len(content) > AHEAD + 5000
    site.files["/a" + suffix] = content
    site.ranges = ranges
    corpus = open_corpus(f"{site.address}/a{suffix}")
    site.breaks_at = len(content) - 5000 if suffix != ".parquet" else len(content) // 2
    with pytest.raises(MonosemError) as caught:
        for _ in corpus.documents():
            pass
    if suffix == ".parquet" and not ranges:
        assert "does not give parts of files" in caught.value.what
    else:
        assert isinstance(caught.value, WorkFailed)
        assert re.match(f"reading {site.address}/a{re.escape(suffix)} failed after byte [1-9]", caught.value.what)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_giant_file_streams_in_bounded_memory(ranges: bool, site: Site) -> None:
    document = b"word " * 10_000 + b"\n\n"
    documents = 10 * AHEAD // len(document)
    site.files["/a.txt"] = document * documents
    site.ranges = ranges
    corpus = open_corpus(f"{site.address}/a.txt")
    assert isinstance(corpus, Files) and corpus.digest()
    assert site.sent < 2 * AHEAD
    tracemalloc.start()
    try:
        count = sum(1 for _ in corpus.documents())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == documents
    assert peak < 5 * AHEAD
