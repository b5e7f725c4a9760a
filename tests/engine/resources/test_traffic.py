"""Bytes between ranks, by the formulas that docs/scale.md works with."""

from __future__ import annotations

from engine.resources.estimates import FLOAT, SaeWork, training_needs
from engine.resources.traffic import feature_bytes, rows_bytes

B, D, K = 1024, 64, 16
WORK = SaeWork(dense_copies=2, d_in=D, d_sae=8192, k=K, batch=B)


def test_two_ranks_send_each_other_half() -> None:
    assert rows_bytes(B, 2 * D, 2) == B * D
    reconstruction, candidates, bias = FLOAT * B * D, FLOAT * B * K, FLOAT * D
    assert feature_bytes("topk", WORK, 2) == reconstruction + candidates + bias
    assert feature_bytes("relu", WORK, 2) == reconstruction + bias
    assert feature_bytes("matryoshka", WORK, 2) == 5 * reconstruction + candidates + bias
    assert feature_bytes("topk", WORK, 2, k_aux=K) == 2 * feature_bytes("topk", WORK, 2)


def test_one_process_sends_nothing() -> None:
    assert rows_bytes(B, D, 1) == feature_bytes("topk", WORK, 1) == 0


def test_a_rank_has_a_part_of_weights_and_of_a_step() -> None:
    alone = {need.what: need.n_bytes for need in training_needs([WORK], 8 * B, 2 * D)}
    each = {need.what: need.n_bytes for need in training_needs([SaeWork(**{**vars(WORK), "ranks": 4})], 8 * B, 2 * D)}
    name = "weights, gradients and Adam's moments"
    assert each[name] == 16 * ((2 * D + 1) * 8192 // 4 + D)
    assert alone[name] == 16 * WORK.parameters
    assert alone["a training step"] - each["a training step"] == 2 * FLOAT * B * 8192 * 3 // 4 - 5 * FLOAT * B * K
