"""Activations against forwards of the model done by hand, and the shuffle against the multiset it must give out.

Shapes: N rows, D = d_in, B contexts, T positions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.data import activations
from engine.data.activations import (
    BlockShuffle,
    ModelBlocks,
    ShardBlocks,
    captured_batches,
    forward_contexts,
    to_array,
    to_tensor,
    whole_forwards,
)
from engine.jobs.subject import Subject
from store.files.errors import MonosemError
from store.run.shards import ShardInfo, ShardReader, ShardRows, write_shard
from tests.engine.small import FIRST_WORD, random_texts, subject_of
from tests.engine.tiny_models import D_MODEL, tiny

CONTEXT = 16
FORWARD = 4
"""Contexts of a forward in these tests."""


@pytest.fixture(autouse=True)
def small_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even small corpora take several forwards."""
    monkeypatch.setattr(activations, "FORWARD_TOKENS", FORWARD * CONTEXT + 5)


def subject(family: str = "llama", packing: str = "packed", dtype: torch.dtype = torch.float32) -> Subject:
    return subject_of(tiny(family, dtype), random_texts(60, longest=30), context=CONTEXT, packing=packing)


@torch.no_grad()
def rows_by_hand(of: Subject, contexts: int) -> torch.Tensor:
    """The counted rows of the first contexts of the training text: one context a forward, no hooks, no padding."""
    found = []
    for batch in of.stream("train", epochs=None).batches(1, contexts):
        tokens_BT = torch.from_numpy(batch.tokens_BT).long()
        hidden = of.lm.network(input_ids=tokens_BT, output_hidden_states=True).hidden_states
        found.append(hidden[1][0][torch.from_numpy(batch.counted_BT[0])])  # [1]: behind the first of two blocks
    return torch.cat(found)


def model_blocks(of: Subject, contexts_per_block: int, epochs: int | None = None) -> ModelBlocks:
    return ModelBlocks(of.lm, [of.site()], of.stream("train", epochs=epochs), contexts_per_block)


def test_a_forward_is_a_whole_number_of_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forward_contexts(CONTEXT) == FORWARD
    assert [whole_forwards(n, CONTEXT) for n in (0, 3, 4, 7, 8, 11)] == [4, 4, 4, 4, 8, 8]
    monkeypatch.setattr(activations, "FORWARD_TOKENS", 100)
    assert forward_contexts(101) == 1
    assert whole_forwards(7, 101) == 7


@pytest.mark.parametrize("packing", ["packed", "documents"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_captured_rows_are_the_counted_ones_of_a_full_forward(family: str, packing: str) -> None:
    of = subject(family, packing)
    stream = of.stream("train", epochs=None)
    captured = list(captured_batches(of.lm, [of.site()], stream, 10))
    assert [len(one.batch.tokens_BT) for one in captured] == [4, 4, 2]
    assert [one.batch.first for one in captured] == [0, 4, 8]
    assert stream.position.contexts + stream.position.skip == 12  # behind the end of the last forward
    acts_ND = torch.cat([one.acts_ND for one in captured])
    expected_ND = rows_by_hand(of, 10)
    assert acts_ND.shape == expected_ND.shape == (len(expected_ND), D_MODEL)
    torch.testing.assert_close(acts_ND, expected_ND, rtol=1e-4, atol=1e-5)


SHORT = [("packed", 5, [4, 2]), ("packed", 3, [3]), ("packed", 8, [4, 4]), ("documents", 5, [4, 4])]


@pytest.mark.parametrize(("packing", "contexts", "run"), SHORT)
def test_a_short_request_does_not_pay_for_a_whole_forward(
    packing: str, contexts: int, run: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "SHORT_TOKENS", 2 * CONTEXT)
    of = subject(packing=packing)
    whole = list(captured_batches(of.lm, [of.site()], of.stream("train"), contexts))
    seen: list[int] = []
    hook = of.lm.network.get_input_embeddings().register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    short = list(captured_batches(of.lm, [of.site()], of.stream("train"), contexts, whole=False))
    hook.remove()
    assert seen == run
    for one, other in zip(short, whole, strict=True):
        np.testing.assert_array_equal(one.batch.tokens_BT, other.batch.tokens_BT)
        torch.testing.assert_close(one.acts_ND, other.acts_ND)


def test_bos_and_padding_give_no_rows() -> None:
    of = subject(packing="documents")
    for one in captured_batches(of.lm, [of.site()], of.stream("train"), 40):
        words = one.batch.tokens_BT[one.batch.mask_BT] >= FIRST_WORD
        assert len(one.acts_ND) == words.sum() < one.batch.tokens_BT.size


@pytest.mark.parametrize("packing", ["packed", "documents"])
def test_however_many_are_asked_for_the_bits_are_the_same(packing: str) -> None:
    of = subject(packing=packing)
    whole_ND = torch.cat([one.acts_ND for one in captured_batches(of.lm, [of.site()], of.stream("train"), 24)])
    stream = of.stream("train")
    pieces = [one.acts_ND for n in (4, 12, 6) for one in captured_batches(of.lm, [of.site()], stream, n)]
    assert torch.equal(torch.cat(pieces), whole_ND[: sum(map(len, pieces))])


def test_a_forward_begins_nowhere_else() -> None:
    of = subject()
    stream = of.stream("train")
    stream.skip(3)
    with pytest.raises(ValueError, match="context 3 is not the first of a forward of 4"):
        next(captured_batches(of.lm, [of.site()], stream, 4))


def test_model_blocks_follow_one_another_and_are_cut() -> None:
    of = subject()
    expected_ND = rows_by_hand(of, 16)
    of_block = [len(rows_by_hand(of, 8)), len(expected_ND) - len(rows_by_hand(of, 8))]
    blocks = model_blocks(of, 8)
    assert blocks.d_in == D_MODEL
    first_ND, second_ND = (torch.cat(list(blocks.next_block(10**9))) for _ in range(2))
    assert [len(first_ND), len(second_ND)] == of_block
    torch.testing.assert_close(torch.cat([first_ND, second_ND]), expected_ND, rtol=1e-4, atol=1e-5)
    for rows in (1, 50, of_block[0] - 1, of_block[0]):
        assert torch.equal(torch.cat(list(model_blocks(of, 8).next_block(rows))), first_ND[:rows])


def test_model_blocks_go_on_from_a_position() -> None:
    of = subject()
    blocks = model_blocks(of, 8)
    list(blocks.next_block(10**9))
    position = json.loads(json.dumps(blocks.position()))
    following = torch.cat(list(blocks.next_block(10**9)))
    again = model_blocks(of, 8)
    again.seek(position)
    assert torch.equal(torch.cat(list(again.next_block(10**9))), following)


def test_a_corpus_that_ends_says_so() -> None:
    blocks = model_blocks(subject(), 1000, epochs=1)
    list(blocks.next_block(10**9))
    with pytest.raises(MonosemError, match="texts has no further activations"):
        list(blocks.next_block(10**9))


@dataclass
class Numbered:
    """Blocks of given sizes over and over, whose rows are (number of the row, its negative)."""

    sizes: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    d_in: int = 2
    block: int = field(default=0)

    def begin(self, block: int) -> int:
        """Number of a block's first row."""
        rounds, rest = divmod(block, len(self.sizes))
        return rounds * sum(self.sizes) + sum(self.sizes[:rest])

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """In two pieces, to be laid out as one."""
        numbers_N = torch.arange(self.begin(self.block), self.begin(self.block + 1))[:rows]
        self.block += 1
        acts_ND = torch.stack([numbers_N, -numbers_N], 1).to(self.dtype)
        return [acts_ND[: len(acts_ND) // 3], acts_ND[len(acts_ND) // 3 :]]

    def position(self) -> dict[str, Any]:
        """Return the next block."""
        return {"block": self.block}

    def seek(self, position: dict[str, Any]) -> None:
        """Go to a block."""
        self.block = int(position["block"])


BLOCKS = st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple)


def all_batches(shuffle: BlockShuffle) -> Iterator[torch.Tensor]:
    """Until there are none."""
    while True:
        try:
            yield shuffle.next_batch()
        except ValueError:
            return


@given(BLOCKS, st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**40))
def test_the_shuffle_gives_out_the_first_rows_each_once(
    sizes: tuple[int, ...], batch: int, batches: int, seed: int
) -> None:
    source = Numbered(sizes)
    shuffle = BlockShuffle(source, batch, seed, batch * batches)
    given_out: list[int] = []
    for number in range(batches):
        batch_ND = shuffle.next_batch()
        assert (batch_ND.shape, batch_ND.dtype) == ((batch, 2), torch.float32)
        assert torch.equal(batch_ND[:, 1], -batch_ND[:, 0])
        given_out += batch_ND[:, 0].int().tolist()
        # Nothing comes before its block was read, and no block is read before what came before is needed up.
        begun = source.begin(source.block - 1)
        assert max(given_out) < source.begin(source.block)
        assert begun < (number + 1) * batch
    assert sorted(given_out) == list(range(batch * batches))
    with pytest.raises(ValueError, match="all"):
        shuffle.next_batch()


def order_of(seed: int, sizes: tuple[int, ...] = (64, 64), batch: int = 16, rows: int = 128) -> list[int]:
    return [int(row[0]) for made in all_batches(BlockShuffle(Numbered(sizes), batch, seed, rows)) for row in made]


def test_the_order_is_the_seeds() -> None:
    assert order_of(3) == order_of(3)
    assert order_of(3) != order_of(4)
    for seed in range(5):
        first, second = order_of(seed)[:64], order_of(seed)[64:]
        assert first != sorted(first)
        assert [number - 64 for number in second] != first  # every block has an order of its own


def test_every_place_of_a_block_is_as_likely_as_any() -> None:
    """The row that comes first, over 800 seeds: of 8 rows each 100 times but for chance (chi squared, 7 degrees)."""
    counts = Counter(order_of(seed, (8,), 4, 8)[0] for seed in range(800))
    assert sum((counts[row] - 100) ** 2 / 100 for row in range(8)) < 24.3  # p = 0.001


def test_rows_are_mixed_with_those_left_over() -> None:
    made = [set(batch_ND[:, 0].int().tolist()) for batch_ND in all_batches(BlockShuffle(Numbered((23, 20)), 10, 0, 40))]
    assert all(row < 23 for batch in made[:2] for row in batch)
    left_over = set(range(23)) - made[0] - made[1]
    assert len(left_over) == 3
    assert left_over <= made[2] | made[3]


@given(BLOCKS, st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.data())
def test_the_shuffle_resumes_from_any_batch(
    sizes: tuple[int, ...], batch: int, batches: int, seed: int, data: st.DataObject
) -> None:
    used = data.draw(st.integers(0, batches))
    shuffle = BlockShuffle(Numbered(sizes), batch, seed, batch * batches)
    if data.draw(st.booleans()):
        shuffle.peek(3)
    for _ in range(used):
        shuffle.next_batch()
    values, carry_ND = shuffle.state()
    values, carry_ND = json.loads(json.dumps(values)), carry_ND.copy()
    assert len(carry_ND) < batch
    again = BlockShuffle(Numbered(sizes), batch, seed, batch * batches)
    again.restore(values, carry_ND)
    following, resumed = list(all_batches(shuffle)), list(all_batches(again))
    assert len(resumed) == len(following) == batches - used
    assert all(torch.equal(a, b) for a, b in zip(following, resumed, strict=True))


def test_a_look_ahead_uses_nothing() -> None:
    looked, other = (BlockShuffle(Numbered((30,)), 10, 5, 30) for _ in range(2))
    sample_ND = looked.peek(20)
    assert sample_ND.shape == (20, 2)
    taken = [next(all_batches(looked)) for _ in range(3)]
    assert torch.equal(torch.cat(taken[:2]), sample_ND)
    assert torch.equal(torch.cat(taken), torch.cat(list(all_batches(other))))


def test_rows_must_be_whole_batches() -> None:
    with pytest.raises(ValueError, match="31 rows are not a whole number of batches of 10"):
        BlockShuffle(Numbered((30,)), 10, 0, 31)


def test_bfloat16_rows_stay_as_they_are() -> None:
    source = Numbered((23, 20), torch.bfloat16)
    shuffle = BlockShuffle(source, 10, 0, 40)
    for _ in range(3):
        shuffle.next_batch()
    values, carry_ND = shuffle.state()
    again = BlockShuffle(Numbered((23, 20), torch.bfloat16), 10, 0, 40)
    again.restore(values, carry_ND)
    batch_ND = again.next_batch()
    assert batch_ND.dtype == torch.float32
    assert torch.equal(batch_ND, shuffle.next_batch())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_is_stored_comes_back_to_the_bit(dtype: str) -> None:
    acts_ND = (torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 100).to(getattr(torch, dtype))
    stored = to_array(acts_ND, dtype)
    assert stored.dtype == {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}[dtype]
    back_ND = to_tensor(stored, dtype)
    assert back_ND.dtype == acts_ND.dtype
    assert torch.equal(back_ND, acts_ND)


def write_shards(folder: Path, of: Subject, n_contexts: int, per_shard: int, dtype: str) -> ShardReader:
    """Shards of a stream, one forward after another, cut into files by the number of the context."""
    info = ShardInfo(
        model="tiny",
        model_digest="",
        layer=0,
        site="resid_post",
        d_in=D_MODEL,
        dtype=dtype,
        data="texts",
        corpus_digest="",
        context=CONTEXT,
        packing=of.settings.packing,
        seed=of.settings.seed,
        excluded=of.encoding.excluded,
        contexts_per_shard=per_shard,
        n_contexts=n_contexts,
    )
    captured = list(captured_batches(of.lm, [of.site()], of.stream("train", epochs=None), n_contexts))
    acts_ND = torch.cat([one.acts_ND for one in captured])
    stored_ND = acts_ND.view(torch.uint16).numpy() if dtype == "bfloat16" else acts_ND.numpy()
    context_N = np.concatenate([np.nonzero(one.batch.counted_BT)[0] + one.batch.first for one in captured])
    other_N = np.zeros(len(context_N), np.int32)
    for number in range(-(-n_contexts // per_shard)):
        here_N = context_N // per_shard == number
        write_shard(
            folder, number, info, ShardRows(stored_ND[here_N], other_N[here_N], context_N[here_N], other_N[here_N])
        )
    return ShardReader(folder)


@pytest.mark.parametrize(
    ("dtype", "packing"),
    [
        ("float32", "packed"),
        pytest.param("bfloat16", "packed", marks=pytest.mark.slow),
        ("float32", "documents"),
    ],
)
@pytest.mark.parametrize(("per_block", "batch"), [(4, 7), (8, 64), (12, 50), (40, 33)])
def test_shards_and_model_give_the_same_batches(
    tmp_path: Path, dtype: str, packing: str, per_block: int, batch: int
) -> None:
    of = subject(packing=packing, dtype=getattr(torch, dtype))
    reader = write_shards(tmp_path, of, 46, 13, dtype)
    rows = len(reader.contexts(0, 46).acts_ND) // batch * batch
    assert len(reader.contexts(0, 46).acts_ND) == len(rows_by_hand(of, 46))
    shuffles = [
        BlockShuffle(source, batch, 2, rows) for source in (ShardBlocks(reader, per_block), model_blocks(of, per_block))
    ]
    cached, streamed = (torch.cat(list(all_batches(shuffle))) for shuffle in shuffles)
    assert streamed.shape == (rows, D_MODEL)
    assert torch.equal(streamed, cached)


def test_shards_are_read_over_and_over(tmp_path: Path) -> None:
    of = subject()
    write_shards(tmp_path, of, 10, 4, "float32")
    (tmp_path / "shard-00002.h5").unlink()  # as where the extraction was stopped: 8 contexts are there
    whole_ND = rows_by_hand(of, 8)
    reader = ShardReader(tmp_path)
    assert reader.n_contexts == 8
    blocks = ShardBlocks(reader, 6)
    n_first = len(rows_by_hand(of, 6))
    made = [torch.cat(list(blocks.next_block(10**9))) for _ in range(4)]
    for one, expected_ND in zip(made, [whole_ND[:n_first], whole_ND[n_first:]] * 2, strict=True):
        torch.testing.assert_close(one, expected_ND, rtol=1e-4, atol=1e-5)
    blocks.seek({"context": 6})
    assert torch.equal(torch.cat(list(blocks.next_block(10**9))), made[1])
    assert blocks.position() == {"context": 0}
    assert torch.equal(torch.cat(list(blocks.next_block(5))), made[0][:5])
