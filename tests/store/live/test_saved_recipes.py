"""Recipes among the notes: kept by name, the last one of a name counts, and neither kind of line disturbs the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.live.recipe import Recipe
from store.live.saved_recipes import forget_recipe, keep_recipe, kept_recipes, restore_recipe
from store.notes.note_file import Notes
from tests.store.live.test_recipe import FULL

OTHER = Recipe(prompt="the sea", clamps=("7=5",), dictionary="cd")


def test_kept_read_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    assert kept_recipes(path) == []
    notes = Notes(path)
    keep_recipe(notes, "one", FULL)
    notes.set(7, "label", "sea")
    keep_recipe(notes, "two", OTHER)
    assert [(kept.name, kept.recipe) for kept in kept_recipes(path)] == [("two", OTHER), ("one", FULL)]
    keep_recipe(notes, "one", OTHER)
    assert [kept.name for kept in kept_recipes(path)] == ["one", "two"]
    forget_recipe(notes, "one")
    assert [kept.name for kept in kept_recipes(path)] == ["two"]
    notes.follow()
    assert notes.by_feature[7].label == "sea"
    assert list(notes.by_feature) == [7]
    assert notes.damaged == []


def test_what_was_taken_away_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    notes = Notes(path)
    keep_recipe(notes, "one", FULL)
    keep_recipe(notes, "two", OTHER)
    _, one = kept_recipes(path)
    forget_recipe(notes, "one")
    restore_recipe(notes, one)
    assert kept_recipes(path)[0] == one
    forget_recipe(notes, "one")
    keep_recipe(notes, "one", OTHER)
    before = path.read_bytes()
    with pytest.raises(MonosemError, match="the name of another recipe"):
        restore_recipe(notes, one)
    assert path.read_bytes() == before


@settings(max_examples=30)
@given(st.text(), st.text(min_size=1, max_size=20).filter(str.strip))
def test_any_text_in_one_line(tmp_path: Path, prompt: str, name: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.unlink(missing_ok=True)
    keep_recipe(Notes(path), name, Recipe(prompt=prompt))
    assert path.read_bytes().count(b"\n") == 1
    assert kept_recipes(path)[0].recipe.prompt == prompt.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_lines_that_nobody_can_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    keep_recipe(Notes(path), "good", OTHER)
    good = path.read_bytes()
    whole = json.loads(good)
    others = [
        whole | {"recipe": 99, "name": "later"},
        whole | {"clamps": ["x"], "name": "damaged"},
        whole | {"name": 7},
        whole | {"feature": 3, "name": "feature"},
        [1, "recipe"],
    ]
    bad = b"".join(json.dumps(one).encode() + b"\n" for one in others)
    path.write_bytes(bad + b'{"recipe"\xff\n' + good + b'{"recipe": 1, "name": "cu')
    assert [kept.name for kept in kept_recipes(path)] == ["good"]


def test_names_and_files_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="name"):
        keep_recipe(Notes(tmp_path / "notes.jsonl"), " ", OTHER)
    with pytest.raises(MonosemError, match="name"):
        keep_recipe(Notes(tmp_path / "notes.jsonl"), "x" * 81, OTHER)
    assert not (tmp_path / "notes.jsonl").exists()
    (tmp_path / "folder").mkdir()
    with pytest.raises(MonosemError, match="not a regular file"):
        kept_recipes(tmp_path / "folder")
