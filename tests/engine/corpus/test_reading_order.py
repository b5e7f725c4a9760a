"""The order of documents: each once, the same for the same seed, and nothing of it depends on anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.documents import Document
from engine.corpus.reading_order import Split, has_held_out, ordered
from tests.engine.small import Texts

SIZES = st.integers(1, 120)
SEEDS = st.integers(0, 2**40)
EPOCHS = st.integers(0, 5)
WINDOWS = st.integers(1, 150)


@dataclass
class Numbers:
    """A corpus of numbers that counts how many of its documents were asked for."""

    size: int
    text: str = "text"
    asked: int = field(default=0)
    spec: str = "numbers"

    def documents(self) -> Iterator[Document]:
        for number in range(self.size):
            self.asked += 1
            yield Document(number, self.text)

    def describe(self) -> str:
        return self.spec

    def digest(self) -> str:
        return ""


def numbers(size: int, split: Split = "all", seed: int = 0, epoch: int = 0, window: int = 16_384) -> list[int]:
    return [one.number for one in ordered(Numbers(size), split=split, seed=seed, epoch=epoch, window=window)]


@given(SIZES, SEEDS, EPOCHS, WINDOWS)
def test_every_document_exactly_once(size: int, seed: int, epoch: int, window: int) -> None:
    assert sorted(numbers(size, "all", seed, epoch, window)) == list(range(size))


@given(SIZES, SEEDS, EPOCHS, WINDOWS)
def test_the_splits_share_nothing_and_leave_nothing_out(size: int, seed: int, epoch: int, window: int) -> None:
    train, held_out = (numbers(size, split, seed, epoch, window) for split in ("train", "heldout"))
    if size < 20:
        assert sorted(train) == sorted(held_out) == list(range(size))
    else:
        assert sorted(train + held_out) == list(range(size))
        assert sorted(held_out) == list(range(19, size, 20))


@given(SIZES, SEEDS, EPOCHS, WINDOWS, st.integers(0, 130))
def test_leaving_out_the_first_resumes(size: int, seed: int, epoch: int, window: int, done: int) -> None:
    whole = numbers(size, "train", seed, epoch, window)
    again = ordered(Numbers(size), split="train", seed=seed, epoch=epoch, window=window)
    assert [one.number for one in islice(again, done, None)] == whole[done:]


@given(SIZES, SEEDS, EPOCHS, WINDOWS)
def test_a_document_leaves_at_most_a_window_early(size: int, seed: int, epoch: int, window: int) -> None:
    places = numbers(size, "all", seed, epoch, window)
    assert all(number <= place + window for place, number in enumerate(places))


def test_seeds_and_epochs_differ() -> None:
    orders = {tuple(numbers(100, seed=seed, epoch=epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_what_fits_is_shuffled_wholly() -> None:
    first = np.array([numbers(10, seed=0, epoch=epoch) for epoch in range(2_000)])
    for place in range(10):
        counts = np.bincount(first[:, place], minlength=10)
        # 200 expected, standard deviation 13.4: six of them either way.
        assert counts.min() > 120 and counts.max() < 280


def test_a_window_draws_as_documented() -> None:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, 3])))
    held, expected = [], []
    for number in range(50):
        held.append(number)
        if len(held) > 8:
            at = rng.integers(len(held))
            expected.append(held[at])
            held[at] = held[-1]
            held.pop()
    expected += [held[at] for at in rng.permutation(len(held))]
    assert numbers(50, seed=7, epoch=3, window=8) == expected


def test_a_window_streams() -> None:
    corpus = Numbers(10**9)
    taken = list(islice(ordered(corpus, split="all", seed=0, epoch=0, window=100), 50))
    assert len(taken) == 50 and corpus.asked <= 151


@pytest.mark.parametrize(("text", "held"), [("a" * 1_000, 100), ("é" * 1_000, 25)])
def test_long_documents_shrink_the_window(text: str, held: int) -> None:
    corpus = Numbers(10**9, text)
    documents = ordered(corpus, split="all", seed=0, epoch=0, window_bytes=100_000)
    next(documents)
    assert corpus.asked == held + 1
    list(islice(documents, 500))
    assert corpus.asked == held + 501


@pytest.mark.parametrize(("size", "expected"), [(1, False), (19, False), (20, True), (10**9, True)])
def test_held_out_needs_twenty_and_reads_no_further(size: int, expected: bool) -> None:
    corpus = Numbers(size)
    assert has_held_out(corpus) is expected
    assert corpus.asked <= 20


@dataclass
class Long:
    """A corpus of texts in pieces: `sizes[n]` documents of text n; every document says a thing of its own."""

    sizes: list[int]
    spec: str = "long"

    def documents(self) -> Iterator[Document]:
        sources = [text for text, size in enumerate(self.sizes) for _ in range(size)]
        return (Document(number, f"piece {number}", source) for number, source in enumerate(sources))

    def describe(self) -> str:
        return self.spec

    def digest(self) -> str:
        return ""


@given(st.lists(st.integers(1, 7), min_size=1, max_size=70), SEEDS)
def test_pieces_of_a_text_stay_on_one_side(sizes: list[int], seed: int) -> None:
    sides = {
        split: {one.text_number for one in ordered(Long(sizes), split=split, seed=seed, epoch=0)}
        for split in ("train", "heldout")
    }
    if len(sizes) < 20:
        assert sides["train"] == sides["heldout"] == set(range(len(sizes)))
        assert not has_held_out(Long(sizes))
    else:
        assert sides["heldout"] == set(range(19, len(sizes), 20))
        assert sides["train"] == set(range(len(sizes))) - sides["heldout"]


def test_the_first_rule_divides_by_documents() -> None:
    """Runs of monosem 0.1 keep their sides."""
    corpus = Long([30, 30])
    held = [one.number for one in ordered(corpus, split="heldout", seed=0, epoch=0, rule="documents")]
    assert sorted(held) == [19, 39, 59]
    assert has_held_out(corpus, "documents") and not has_held_out(corpus)


@pytest.mark.parametrize(("copies", "left"), [({39: 3, 19: 45}, [19, 39]), ({}, []), ({59: 39}, [])])
def test_copies_of_training_documents_are_left_out_and_counted(copies: dict[int, int], left: list[int]) -> None:
    """Whether the copy comes before or after in the corpus; copies within the held-out documents stay."""
    corpus, found = Texts(tuple(f"text {copies.get(number, number)}" for number in range(60))), list[int]()
    held = ordered(corpus, split="heldout", seed=0, epoch=0, left_out=lambda one: found.append(one.number))
    assert sorted(one.number for one in held) == [number for number in (19, 39, 59) if number not in left]
    assert sorted(found) == left
    assert len(list(ordered(corpus, split="train", seed=0, epoch=0))) == 57, "training is as it was"
    assert len(list(ordered(corpus, split="heldout", seed=0, epoch=0, rule="documents"))) == 3


def test_where_every_held_out_document_is_a_copy_they_are_read_after_all() -> None:
    assert sorted(numbers(60, "heldout")) == [19, 39, 59]


ORDER = """
from types import SimpleNamespace
from engine.corpus.documents import Document
from engine.corpus.reading_order import ordered
corpus = SimpleNamespace(documents=lambda: (Document(number, "text") for number in range(100)))
print([one.number for one in ordered(corpus, split="train", seed=1, epoch=2, window=16)])
"""
"""A process that needs no more than the order; what this module imports would take seconds."""


def test_the_order_does_not_depend_on_hash_randomisation() -> None:
    """Another process has another seed for hashes than this one."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    asked = [sys.executable, "-c", ORDER]
    said = subprocess.run(
        asked, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
    ).stdout
    assert said == f"{numbers(100, 'train', 1, 2, 16)}\n"


def test_wrong_numbers_are_refused() -> None:
    for wrong in ({"window": 0}, {"seed": -1}, {"epoch": -1}):
        with pytest.raises(ValueError, match="no negative numbers"):
            numbers(3, **wrong)
