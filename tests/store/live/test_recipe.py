"""Recipes: what is saved is what is read, and anything else is refused in a line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.live.recipe import Recipe
from store.live.sampling import Sampling

FULL = Recipe(
    prompt="Once\n\x1b[31m é日",
    chat=True,
    system="be brief",
    clamps=("412=max*4@response", "7=off"),
    sweep="3=0,1,2",
    sampling=Sampling(max_new=7, temperature=0.1, top_p=0.30000000000000004, top_k=5, seed=2**62),
    samples=3,
    dictionary="ab",
)

AS_WRITTEN_SINCE_0_1 = """{
  "recipe": 1,
  "prompt": "Once\\n\\u001b[31m é日",
  "chat": true,
  "system": "be brief",
  "clamps": [
    "412=max*4@response",
    "7=off"
  ],
  "sweep": "3=0,1,2",
  "max_new": 7,
  "temperature": 0.1,
  "top_p": 0.30000000000000004,
  "top_k": 5,
  "seed": 4611686018427387904,
  "samples": 3,
  "dictionary": "ab"
}
"""


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    FULL.save(tmp_path / "r.json")
    assert Recipe.load(tmp_path / "r.json") == FULL
    assert (tmp_path / "r.json").read_text() == AS_WRITTEN_SINCE_0_1


@settings(max_examples=30)
@given(st.text(), st.floats(0, 100), st.floats(0.001, 1), st.integers(0, 2**63 - 1))
def test_to_the_last_digit(tmp_path: Path, prompt: str, temperature: float, top_p: float, seed: int) -> None:
    prompt = prompt.encode("utf-8", errors="replace").decode()
    recipe = Recipe(prompt=prompt, sampling=Sampling(temperature=temperature, top_p=top_p, seed=seed))
    recipe.save(tmp_path / "r.json")
    assert Recipe.load(tmp_path / "r.json") == recipe


def test_as_a_person_may_write_it(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text('{"recipe": 1, "prompt": "x", "temperature": 1, "later": [1]}')
    assert Recipe.load(path) == Recipe(prompt="x", sampling=Sampling(temperature=1.0))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"recipe": 2}, "version 2"),
        ({"prompt": None}, "prompt is null, not text"),
        ({"clamps": "1=2"}, 'clamps is "1=2", not a list'),
        ({"clamps": ["1=x"]}, "'x' is not a strength"),
        ({"sweep": "1=2"}, "not a row of strengths"),
        ({"seed": 1.5}, "seed is 1.5, not an integer"),
        ({"seed": True}, "seed is true, not an integer"),
        ({"temperature": 10**400}, "temperature is an integer of 1329 bits"),
        ({"chat": 1}, "chat is 1, not true or false"),
    ],
)
def test_what_is_no_recipe(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"recipe": 1, "prompt": "x"} | change))
    with pytest.raises(MonosemError, match=why):
        Recipe.load(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"prompt": "x"}', "[" * 10**5])
def test_other_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(MonosemError, match=r"r\.json"):
        Recipe.load(path)
    with pytest.raises(MonosemError, match="none"):
        Recipe.load(tmp_path / "none.json")


def test_a_recipe_takes_the_place_of_recipes_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    Recipe(prompt="a").save(path)
    Recipe(prompt="b").save(path)
    assert Recipe.load(path).prompt == "b"
    for other in ("keep", "[]", '{"prompt": "a"}'):
        path.write_text(other)
        with pytest.raises(MonosemError, match="is there already, and is not a recipe"):
            Recipe(prompt="c").save(path)
        with pytest.raises(MonosemError, match="is there already, and is not a recipe"):
            Recipe.check_place(path)
        assert path.read_text() == other
