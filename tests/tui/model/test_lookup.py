"""Looking things up by words: what matches, in which order, and how it gives way to a newer search."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monosem_tui.model.command_search import Offer
from monosem_tui.model.lookup import MOST, Kind, LookupSource, search
from monosem_tui.model.lookup_sources import DocumentSource, FeatureSource, RecipeSource
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.word_index import (
    FIELD,
    NONE,
    SCATTERED,
    SLIPPED,
    IndexedText,
    Superseded,
    WordIndex,
    words_of,
)
from monosem_tui.model.word_match import BEGINNING, INSIDE, LETTERS, SLIP, WHOLE
from store.live.recipe import Recipe
from store.live.saved_recipes import KeptRecipe
from store.notes.note_file import FeatureNotes
from tests.tui.model.test_command_search import LIST

texts = st.lists(st.text(alphabet="abé日 _#\n", max_size=12), max_size=8)


def keys(sources: list[LookupSource], text: str, kind: Kind) -> list[int | str]:
    found = search(sources, [Offer(action, "") for action in LIST], text)
    return [found[n].key for n in range(len(found)) if found[n].kind is kind]


@given(texts, st.text(alphabet="abé日_#", min_size=1, max_size=3))
def test_every_entry_that_holds_the_letters_is_found_at_its_best(said: list[str], part: str) -> None:
    index = WordIndex((IndexedText(n, n % 2, text) for n, text in enumerate(said)), len(said))
    for n, (text, cost) in enumerate(zip(said, index.costs(part).tolist(), strict=True)):
        words = words_of(text)
        inside = [word for word in words if part in word]
        best = min((WHOLE if w == part else BEGINNING if w.startswith(part) else INSIDE for w in inside), default=None)
        if best is None:
            assert cost == NONE or cost >= SLIPPED
        else:
            assert cost == best + FIELD * (n % 2)


def test_scattered_letters_come_last_and_begin_a_word() -> None:
    said = ["bookmarks", "the bkmrk", "a book of marks", "mark book"]
    index = WordIndex((IndexedText(n, 0, text) for n, text in enumerate(said)), len(said))
    assert index.costs("bkmrk").tolist() == [SCATTERED + LETTERS, WHOLE, NONE, NONE]
    assert index.costs("bk").tolist() == [NONE, BEGINNING, NONE, NONE]


def one_slip(typed: str, word: str) -> bool:
    """Whether undoing any single slip in `typed` gives `word`."""
    letters = sorted({*word, "x"})
    cuts = [(typed[:n], typed[n:]) for n in range(len(typed) + 1)]
    undone = {a + b[1:] for a, b in cuts if b} | {a + c + b for a, b in cuts for c in letters}
    undone |= {a + c + b[1:] for a, b in cuts if b for c in letters}
    undone |= {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    return word in undone


@settings(max_examples=1000)
@given(st.text(alphabet="abc", min_size=4, max_size=7), st.text(alphabet="abc", min_size=3, max_size=8))
def test_a_slip_is_found_wherever_it_is(typed: str, word: str) -> None:
    index = WordIndex([IndexedText(0, 0, word)], 1)
    (cost,) = index.costs(typed).tolist()
    if typed in word:
        assert cost == (WHOLE if word == typed else BEGINNING if word.startswith(typed) else INSIDE)
    elif one_slip(typed, word):
        assert cost == SLIPPED + SLIP
    elif cost == SLIPPED + SLIP:  # of a beginning of the word, and what is typed last belongs to it
        assert any(one_slip(typed, word[:n]) for n in range(3, len(word)))


def test_slips_come_behind_parts_of_words() -> None:
    said = ["elephants", "elehpant", "an elephant", "the elphant", "eleven", "white-elephantine", "elephent"]
    index = WordIndex((IndexedText(n, 0, text) for n, text in enumerate(said)), len(said))
    slipped = SLIPPED + SLIP
    assert index.costs("elephant").tolist() == [BEGINNING, slipped, WHOLE, slipped, NONE, BEGINNING, slipped]
    assert index.costs("elehp").tolist() == [slipped, BEGINNING, slipped, NONE, NONE, slipped, slipped]
    assert index.costs("elpha").tolist() == [slipped, NONE, slipped, BEGINNING, NONE, slipped, NONE]
    assert index.costs("sea").tolist() == [NONE] * len(said)


def test_commands_are_found_with_a_slip() -> None:
    offers = [Offer(action, "") for action in LIST]
    title = next(action.title.split()[0] for action in LIST if len(action.title.split()[0]) > 5)
    slipped = search([], offers, title[:2] + title[3] + title[2] + title[4:])
    assert slipped[0].name.startswith(title)


def test_texts_that_would_take_others_for_ever_do_not() -> None:
    index = WordIndex((IndexedText(n, 0, "a" * 2_000 + "c") for n in range(200)), 200)
    begun = time.process_time()
    for typed in ("aaaaaaaaaaaaaaab", "a" * 1_000 + "bb", "aaabaaaa" * 100):
        assert (index.costs(typed) == NONE).all()
    assert time.process_time() - begun < 2


def test_a_search_gives_way() -> None:
    index = WordIndex([IndexedText(0, 0, "sea")], 1)
    with pytest.raises(Superseded):
        index.costs("sea", lambda: False)
    with pytest.raises(Superseded):
        WordIndex([IndexedText(0, 0, "sea")], 1, lambda: False)


@pytest.fixture
def features(opened: OpenRun) -> Iterator[FeatureSource]:
    opened.notes[9] = FeatureNotes(label="sea")
    opened.notes[7] = FeatureNotes(tags=["sea"])
    opened.notes[11] = FeatureNotes(comment="not the sea")
    yield FeatureSource(opened, None, lambda: True)


def test_numbers_then_labels_then_tags_then_what_is_said_then_tokens(features: FeatureSource, opened: OpenRun) -> None:
    found = keys([features], "sea", Kind.FEATURE)
    assert found[:4] == [0, 9, 7, 11] or found[:4] == [9, 0, 7, 11]
    tokens = [opened.store.vocabulary.token(int(t)) for t in opened.store.columns.top_token_F[found[4:]]]
    assert tokens
    assert set(tokens) == {b" sea"}
    assert keys([features], "boats sea", Kind.FEATURE) == [0]
    assert keys([features], "#sea", Kind.FEATURE) == [7]
    hits = search([features], [Offer(action, "") for action in LIST], "9")
    assert (hits[0].key, hits[0].given) == (9, True)
    assert keys([features], "99999999999999999999", Kind.FEATURE) == []


def test_notes_are_read_again_and_nothing_else(features: FeatureSource, opened: OpenRun) -> None:
    again = FeatureSource(opened, features, lambda: True)
    assert again.indexes[0] is features.indexes[0]
    opened.editor.notes.revision += 1
    again = FeatureSource(opened, features, lambda: True)
    assert again.indexes[0] is not features.indexes[0]
    assert again.indexes[1] is features.indexes[1]


def test_recipes_and_documents(opened: OpenRun) -> None:
    kept = [KeptRecipe("boats", Recipe(prompt="once upon a [b]time[/b]")), KeptRecipe("b2", Recipe(prompt="the sea"))]
    assert keys([RecipeSource(kept)], "sea", Kind.RECIPE) == ["b2"]
    assert keys([RecipeSource(kept)], "bo", Kind.RECIPE) == ["boats"]
    documents = DocumentSource(opened.store, lambda: True)
    start, number = opened.store.layout.documents
    assert keys([documents], str(int(number[3])), Kind.DOCUMENT)[0] == int(start[3])
    assert int(start[2]) in keys([documents], documents.beginning(2).split()[1], Kind.DOCUMENT)
    assert "endoftext" not in documents.beginning(0)


def test_an_empty_text_lists_commands_alone_and_large_answers_are_cut(features: FeatureSource) -> None:
    found = search([features], [Offer(action, "") for action in LIST], "")
    assert found.total == len(LIST)
    large = WordIndex((IndexedText(n, 0, f"word {n}") for n in range(1_000)), 1_000)

    class Large:
        kind = Kind.RUN
        indexes = (large,)
        weight_E = np.linspace(0.0, 1.0, 1_000)

        def numbered(self, _number: int) -> None:
            return None

        def finding(self, _entry: int) -> None:
            raise AssertionError("nobody asked")

    cut = search([Large()], [], "word")  # type: ignore[list-item]
    assert (cut.total, len(cut)) == (1_000, MOST)
