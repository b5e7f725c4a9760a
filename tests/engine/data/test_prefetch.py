"""Prefetched blocks: the same blocks and positions, computed while others are used, and no thread left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.commands import train
from engine.data import prefetch as module
from engine.data.activations import BlockShuffle
from engine.data.prefetch import PrefetchedBlocks, one_ahead, prefetched
from engine.jobs.activation_source import ModelBlocks
from store.files.errors import MonosemError
from store.run.weights import load_sae
from tests.engine.broken_off import after_step, ask_to_stop, assert_same, timeless
from tests.engine.data.test_activations import BLOCKS, Numbered, all_batches
from tests.engine.jobs.test_grid import place as place
from tests.engine.trainings import Place
from tests.patience import PATIENCE


@given(BLOCKS, st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.data())
def test_batches_and_states_are_the_same(
    sizes: tuple[int, ...], batch: int, batches: int, seed: int, data: st.DataObject
) -> None:
    plain = BlockShuffle(Numbered(sizes), batch, seed, batch * batches)
    stop = data.draw(st.integers(0, batches))
    with prefetched(Numbered(sizes), wanted=True) as source:
        shuffle = BlockShuffle(source, batch, seed, batch * batches)
        for _ in range(stop):
            assert torch.equal(shuffle.next_batch(), plain.next_batch())
        values, carry_ND = shuffle.state()
        assert values == plain.state()[0]
        assert (carry_ND == plain.state()[1]).all()
    with prefetched(Numbered(sizes), wanted=True) as source:
        again = BlockShuffle(source, batch, seed, batch * batches)
        again.next_batch()  # whatever was begun is dropped
        again.restore(values, carry_ND)
        for expected, found in zip(all_batches(plain), all_batches(again), strict=True):
            assert torch.equal(found, expected)


@dataclass
class Gated(Numbered):
    """Gives its pieces one by one, the second block's only when it is let."""

    gate: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    given: int = 0
    fails_at: int = 99

    def next_block(self, rows: int) -> Iterator[torch.Tensor]:  # type: ignore[override]
        number = self.block
        for piece in super().next_block(rows):
            if number == 1:
                self.asked.set()
                assert self.gate.wait(PATIENCE)
            if number == self.fails_at:
                raise MonosemError("the text is gone")
            self.given += 1
            yield piece


def test_the_next_block_is_made_while_the_first_is_used() -> None:
    source = Gated((6, 6, 6))
    ahead = PrefetchedBlocks(source)
    assert sum(map(len, ahead.next_block(12))) == 6
    assert source.asked.wait(PATIENCE)  # nobody has asked for the second
    assert ahead.position() == {"block": 1}
    source.gate.set()
    assert sum(map(len, ahead.next_block(6))) == 6
    assert source.given == 4
    ahead.close()
    assert source.given == 4  # what is not wanted is not made


def test_stopping_waits_for_no_more_than_a_piece() -> None:
    source = Gated((6, 6))
    with prefetched(source, wanted=True) as ahead:
        ahead.next_block(12)
        assert source.asked.wait(PATIENCE)
        timer = threading.Timer(0.05, source.gate.set)
        timer.start()
    assert source.given == 3  # one piece of the second block, not two
    timer.join()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("activations")]


def test_what_goes_wrong_is_told_to_who_asks() -> None:
    source = Gated((6, 6, 6), fails_at=1)
    source.gate.set()
    with prefetched(source, wanted=True) as ahead:
        ahead.next_block(18)
        with pytest.raises(MonosemError, match="the text is gone"):
            ahead.next_block(12)


def test_not_wanted_it_is_the_source_itself() -> None:
    source = Numbered((6,))
    with prefetched(source, wanted=False) as same:
        assert same is source


@pytest.mark.parametrize("stop", [1, 50])
def test_trainings_are_the_same_to_the_bit(place: Place, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "prefetching_pays", lambda device: False)
        plain = place.train("plain", **place.settings())
    monkeypatch.setattr(train, "prefetching_pays", lambda device: True)
    threads: list[str] = []
    make = ModelBlocks.next_block

    def noted(self: ModelBlocks, rows: int) -> Iterator[torch.Tensor]:
        threads.append(threading.current_thread().name)
        return make(self, rows)

    monkeypatch.setattr(ModelBlocks, "next_block", noted)
    with after_step(stop, ask_to_stop), pytest.raises(KeyboardInterrupt):
        place.train("ahead", **place.settings())
    run = place.train("ahead", resume=True)
    assert threads and all(name.startswith("activations") for name in threads)
    assert timeless(run) == timeless(plain)
    assert_same(load_sae(run.sae).tensors, load_sae(plain.sae).tensors)


def test_it_is_done_where_something_is_left_to_compute_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    assert module.prefetching_pays(torch.device("cuda"))
    assert not module.prefetching_pays(torch.device("cpu"))
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    assert module.prefetching_pays(torch.device("cpu"))


def test_items_made_one_ahead_come_in_order_and_end_where_one_fails() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("no more")

    assert list(one_ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(one_ahead(iter(range(0)))) == []
    coming = one_ahead(items())
    assert [next(coming) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(coming)
