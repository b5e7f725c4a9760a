"""Explanations exported by Neuronpedia: read as they are published, and refused with a line where they are damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from store.files.errors import MonosemError
from store.notes import neuronpedia
from store.notes.explanations import Explanation, Explanations
from store.notes.neuronpedia import is_export, read_export

ROW: dict[str, Any] = {
    "modelId": "gpt2-small",
    "layer": "6-res-jb",
    "index": "650",
    "description": "references to boats",
    "typeName": "oai_token-act-pair",
    "explanationModelName": "gpt-4o-mini",
    "embedding": [0.25] * 8,
    "umap_x": 1.5,
}


def written(path: Path, *rows: dict[str, Any] | bytes) -> Path:
    lines = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


@pytest.mark.parametrize("name", ["explanations.jsonl", "batch-0.jsonl.gz", "BATCH.JSONL.GZ"])
def test_an_export_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    lines = [json.dumps(ROW), json.dumps(ROW | {"index": 7, "umap_x": float("nan")}), ""]
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert "NaN" in lines[1] and is_export(path)
    expected = Explanation(
        feature=650,
        author="gpt-4o-mini",
        text="references to boats",
        made_from="Neuronpedia gpt2-small 6-res-jb oai_token-act-pair",
    )
    assert read_export(path) == [expected, Explanation(**(vars(expected) | {"feature": 7}))]


def test_the_last_of_an_author_stands_and_others_beside_it(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"description": "ships"}, ROW | {"explanationModelName": "claude"}, ROW | {"description": " "}]
    found = read_export(written(tmp_path / "a.jsonl", *rows))
    assert [(one.author, one.text) for one in found] == [("gpt-4o-mini", "ships"), ("claude", "references to boats")]


@pytest.mark.parametrize(
    ("changes", "author"),
    [
        ({"explanationModelName": None}, "oai_token-act-pair"),
        ({"explanationModelName": "", "typeName": ""}, "Neuronpedia"),
        ({"explanationModelName": "rules"}, "rules (Neuronpedia)"),
        ({"explanationModelName": "a\x1b[31m\nb\ud800"}, "a [31m b�"),
        ({"explanationModelName": "x" * 999}, "x" * 200),
    ],
)
def test_authors(changes: dict[str, Any], author: str, tmp_path: Path) -> None:
    (one,) = read_export(written(tmp_path / "a.jsonl", ROW | changes))
    assert one.author == author
    file = Explanations(tmp_path / "explanations.jsonl")
    file.append([one])  # what is read can be kept
    file.follow()
    assert file.of(650) == (one,)


NO_FEATURES = (-1, "x", 1.5, None, True, "9" * 99, "٣")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no explanations"),
        ([ROW | {"description": ""}], "has no explanations"),
        ([ROW, b"{torn"], "line 2: it is not JSON"),
        ([b"[1]"], "line 1"),
        ([b"[" * 100_000], "line 1: it is not JSON"),
        ([{"description": "x"}], "line 1: index is missing"),
        ([ROW | {"description": 3}], "line 1: description is 3, not text"),
        ([ROW, ROW | {"layer": "7-res-jb"}], "line 2 is about gpt2-small 7-res-jb, and those before about"),
        *[
            ([ROW | {"index": index}], "no feature has the number")
            for index in (-1, "x", 1.5, None, True, "9" * 99, "٣")
        ],
    ],
)
def test_damage_is_one_line(rows: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(MonosemError) as caught:
        read_export(written(tmp_path / "a.jsonl", *rows))
    assert said in caught.value.what and len(caught.value.what) < 400


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MonosemError, match="No such file"):
        read_export(tmp_path / "none.jsonl")
    torn = written(tmp_path / "torn.jsonl.gz", *[ROW] * 50)
    torn.write_bytes(torn.read_bytes()[:-30])
    for content in (torn.read_bytes(), b"no gzip"):
        torn.write_bytes(content)
        with pytest.raises(MonosemError, match="not gzip data, or damaged"):
            read_export(torn)
    monkeypatch.setattr(neuronpedia, "LONGEST_LINE", 1000)
    with pytest.raises(MonosemError, match="a line of more than"):
        read_export(written(tmp_path / "bomb.jsonl.gz", b"0" * 1_000_000))
