"""explanations.jsonl: the last line of an author stands, and nothing broken or hostile gets in the way."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.notes.explanations import (
    Explanation,
    Explanations,
    ExplanationScores,
    Figure,
    check_explanations,
    explanations_path,
)
from store.notes.statements import LONGEST

HOSTILE = "a\nb\r\n\t\x00\x1b[31m\x85 \u2028 “é” 日本 \"'\\ {}"
SEA = Explanation(
    feature=3,
    author="rules",
    date=1.7e9,
    text='"sea" (any case)',
    rule="token:sea",
    threshold=0.25,
    made_from="all features of an index",
    key="0f" * 16,
    documents=200,
    scores=ExplanationScores(f1=Figure(0.9, 0.85, 0.93), r=Figure(0.7, 0.6, 0.8)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "explanations.jsonl"


def said(path: Path) -> Explanations:
    return Explanations.load(path.parent)


def test_the_last_line_of_an_author_stands(path: Path) -> None:
    other = Explanation(feature=3, author="gemma", text="the sea", scores=ExplanationScores(f1=Figure(0.95, 0.9, 1.0)))
    Explanations(path).append([SEA, other, replace(SEA, feature=7)])
    Explanations(path).append([replace(SEA, text="water")])
    found = said(path)
    assert found.of(3) == (other, replace(SEA, text="water"))
    assert (found.of(7), found.of(8), found.features) == ((replace(SEA, feature=7),), (), (3, 7))
    assert found.by("rules") == {3: replace(SEA, text="water"), 7: replace(SEA, feature=7)}
    Explanations(path).append([replace(other, text="")])
    assert found.of(3) == (other, replace(SEA, text="water"))
    assert found.follow()
    assert not found.follow()
    assert found.of(3) == (replace(SEA, text="water"),)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.text() | st.just(HOSTILE)), max_size=6))
def test_any_text_survives(tmp_path: Path, lines: list[tuple[int, str, str]]) -> None:
    path = tmp_path / "explanations.jsonl"
    path.unlink(missing_ok=True)
    expected = {}
    for feature, author, text in lines:
        Explanations(path).append([Explanation(feature=feature, author=author, text=text, rule=text)])
        expected[feature, author] = text
    found = said(path)
    got = {(feature, one.author): one.text for feature in range(3) for one in found.of(feature)}
    assert got == {key: text for key, text in expected.items() if text}
    content = path.read_bytes() if path.exists() else b""
    assert all(32 <= byte < 127 for byte in content.replace(b"\n", b""))


@pytest.mark.parametrize("kept", [1, 30, -2, -1])
def test_a_torn_last_line(path: Path, kept: int) -> None:
    Explanations(path).append([SEA])
    first = path.read_bytes()
    Explanations(path).append([replace(SEA, feature=4)])
    path.write_bytes(first + path.read_bytes()[len(first) :][:kept])
    reader = said(path)
    assert reader.features == ((3, 4) if kept == -1 else (3,))
    Explanations(path).append([replace(SEA, feature=5)])
    reader.follow()
    assert [feature for feature in range(6) if reader.of(feature)] == ([3, 4, 5] if kept == -1 else [3, 5])
    assert check_explanations(path).damaged == (() if kept == -1 else (2,))


DAMAGED = [
    {"feature": -1},
    {"feature": 2**31},
    {"feature": True},
    {"author": ""},
    {"author": "x" * 1000},
    {"text": "x" * (LONGEST + 1)},
    {"text": 3},
    {"rule": ["a"]},
    {"date": -5},
    {"documents": -1},
    {"scores": {"f1": 0.5}},
    {"scores": {"f1": {"value": float("nan"), "low": 0, "high": 1}}},
]


@pytest.mark.parametrize("change", DAMAGED, ids=str)
def test_lines_of_strangers_are_checked(path: Path, change: dict[str, object]) -> None:
    """A line that is damaged leaves the one before it standing."""
    Explanations(path).append([SEA])
    values = json.loads(path.read_bytes())
    with path.open("a") as file:
        file.write(json.dumps(values | change) + "\n[[[[\n{}\n")
    assert said(path).of(3) == (SEA,)
    assert check_explanations(path).damaged == (2, 3, 4)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    Explanations(path).append([SEA])
    (run / "explanations.jsonl").symlink_to(path)
    before = path.read_bytes()
    with pytest.raises(MonosemError, match="link out of its folder"):
        Explanations(run / "explanations.jsonl").append([SEA])
    with pytest.raises(MonosemError, match="link out of its folder"):
        Explanations.load(run)
    assert path.read_bytes() == before


def test_a_full_disk_leaves_nothing_half_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Explanations(path).append([SEA])
    before, write = path.read_bytes(), os.write

    def fail(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(MonosemError, match="no space left"):
            Explanations(path).append([SEA])
    assert path.read_bytes() == before


def test_what_cannot_be_read_again_is_not_written(path: Path) -> None:
    with pytest.raises(MonosemError, match="cannot be stored"):
        Explanations(path).append([replace(SEA, text="x" * (LONGEST + 1))])
    assert not path.exists()


def test_it_lies_beside_the_notes(tmp_path: Path) -> None:
    (tmp_path / "gemma.h5").touch()
    (tmp_path / "features.h5").touch()
    assert explanations_path(tmp_path / "gemma.h5") == tmp_path / "gemma.explanations.jsonl"
    assert explanations_path(tmp_path / "features.h5") == tmp_path / "explanations.jsonl"
    assert explanations_path(tmp_path) == tmp_path / "explanations.jsonl"
