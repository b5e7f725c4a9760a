"""The products of engine.sae.sparse.products as Triton kernels for CUDA, with the same arguments and results.

Importing this imports triton; engine.sae.sparse.products does so for the first tensors on a GPU. Operands may be any
mix of float32, bfloat16 and float16, features int32 or int64; sums are float32 and rounded once, to the dtype of the
rows. No sum uses atomic additions: equal inputs give equal bits on equal hardware.

Kernels read weights and features contiguously, and rows in slices of a fixed width. Where possible the slice is the
slow axis of the grid: all programs of a slice need the same slice of the rows, which stays in the cache, as whole rows
would not.

Shapes: B tokens of a batch, D = d_in, F = d_sae, G = F + 1, K entries per token, E = B·K entries, P pieces of
features with many entries.
In kernels a name with a suffix is a pointer to such an array; R rows at a time, W columns of a slice.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.sae.sparse.entries import EntryList

ROWS = 8
"""Rows that a program reads at once: enough concurrent loads to hide their latency."""
WIDTH = 256
"""Most columns of a slice: 1 kB of a float32 row, 16 bytes for each thread of two warps."""


@triton.jit  # type: ignore[untyped-decorator]
def _weighted_rows(
    weight_BK: tl.tensor,
    rows_FD: tl.tensor,
    feature_BK: tl.tensor,
    out_BD: tl.tensor,
    k: tl.tensor,
    d_in: tl.tensor,
    R: tl.constexpr,
    W: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    column_W = tl.program_id(1) * W + tl.arange(0, W)
    total_W = tl.zeros([W], tl.float32)
    for first in range(0, k, R):
        place_R = first + tl.arange(0, R)
        inside_R = place_R < k
        feature_R = tl.load(feature_BK + token * k + place_R, mask=inside_R, other=0).to(tl.int64)
        weight_R = tl.load(weight_BK + token * k + place_R, mask=inside_R, other=0.0).to(tl.float32)
        inside_RW = inside_R[:, None] & (column_W < d_in)[None, :]
        rows_RW = tl.load(rows_FD + feature_R[:, None] * d_in + column_W[None, :], mask=inside_RW, other=0.0)
        total_W += tl.sum(weight_R[:, None] * rows_RW.to(tl.float32), axis=0)
    tl.store(out_BD + token * d_in + column_W, total_W, mask=column_W < d_in)


@triton.jit  # type: ignore[untyped-decorator]
def _row_products(
    left_BD: tl.tensor,
    rows_FD: tl.tensor,
    feature_BK: tl.tensor,
    out_BK: tl.tensor,
    k: tl.tensor,
    d_in: tl.tensor,
    R: tl.constexpr,
    W: tl.constexpr,
) -> None:
    # The programs of a token are neighbours, so that its left row is read from memory once.
    groups = tl.cdiv(k, R)
    token = (tl.program_id(0) // groups).to(tl.int64)
    place_R = (tl.program_id(0) % groups) * R + tl.arange(0, R)
    inside_R = place_R < k
    feature_R = tl.load(feature_BK + token * k + place_R, mask=inside_R, other=0).to(tl.int64)
    total_RW = tl.zeros([R, W], tl.float32)
    for first in range(0, d_in, W):
        column_W = first + tl.arange(0, W)
        left_W = tl.load(left_BD + token * d_in + column_W, mask=column_W < d_in, other=0.0).to(tl.float32)
        inside_RW = inside_R[:, None] & (column_W < d_in)[None, :]
        rows_RW = tl.load(rows_FD + feature_R[:, None] * d_in + column_W[None, :], mask=inside_RW, other=0.0)
        total_RW += left_W[None, :] * rows_RW.to(tl.float32)
    tl.store(out_BK + token * k + place_R, tl.sum(total_RW, axis=1), mask=inside_R)


@triton.jit  # type: ignore[untyped-decorator]
def _summed_by_feature(
    weight_BK: tl.tensor,
    left_BD: tl.tensor,
    entry_E: tl.tensor,
    token_E: tl.tensor,
    start_G: tl.tensor,
    feature_P: tl.tensor,
    first_G: tl.tensor,
    out_FD: tl.tensor,
    part_PD: tl.tensor,
    n_pieces: tl.tensor,
    d_sae: tl.tensor,
    d_in: tl.tensor,
    LENGTH: tl.constexpr,
    R: tl.constexpr,
    W: tl.constexpr,
) -> None:
    # The first P programs each sum a piece, the others each a feature that is not cut into pieces. Pieces come first
    # because they take longest.
    piece = tl.program_id(0).to(tl.int64)
    column_W = tl.program_id(1) * W + tl.arange(0, W)
    is_piece = piece < n_pieces
    feature = piece - n_pieces
    if is_piece:
        feature = tl.load(feature_P + piece).to(tl.int64)
    if feature < d_sae:
        begin = tl.load(start_G + feature)
        end = tl.load(start_G + feature + 1)
        is_short = end - begin <= LENGTH
        if is_piece:
            begin += (piece - tl.load(first_G + feature)) * LENGTH
            end = tl.minimum(end, begin + LENGTH)
        if is_piece | is_short:
            total_W = tl.zeros([W], tl.float32)
            for first in range(begin, end, R):
                place_R = first + tl.arange(0, R)
                inside_R = place_R < end
                entry_R = tl.load(entry_E + place_R, mask=inside_R, other=0).to(tl.int64)
                token_R = tl.load(token_E + place_R, mask=inside_R, other=0).to(tl.int64)
                weight_R = tl.load(weight_BK + entry_R, mask=inside_R, other=0.0).to(tl.float32)
                inside_RW = inside_R[:, None] & (column_W < d_in)[None, :]
                left_RW = tl.load(left_BD + token_R[:, None] * d_in + column_W[None, :], mask=inside_RW, other=0.0)
                total_W += tl.sum(weight_R[:, None] * left_RW.to(tl.float32), axis=0)
            if is_piece:
                tl.store(part_PD + piece * d_in + column_W, total_W, mask=column_W < d_in)
            else:
                tl.store(out_FD + feature * d_in + column_W, total_W, mask=column_W < d_in)


@triton.jit  # type: ignore[untyped-decorator]
def _joined_pieces(
    feature_P: tl.tensor,
    first_G: tl.tensor,
    part_PD: tl.tensor,
    out_FD: tl.tensor,
    d_sae: tl.tensor,
    d_in: tl.tensor,
    R: tl.constexpr,
    W: tl.constexpr,
) -> None:
    # The program of a feature's first piece adds all of its pieces; the other programs do nothing.
    piece = tl.program_id(0).to(tl.int64)
    column_W = tl.program_id(1) * W + tl.arange(0, W)
    feature = tl.load(feature_P + piece).to(tl.int64)
    if feature < d_sae:
        first = tl.load(first_G + feature)
        if piece == first:
            end = tl.load(first_G + feature + 1)
            total_W = tl.zeros([W], tl.float32)
            for at in range(first, end, R):
                place_R = at + tl.arange(0, R)
                inside_RW = (place_R < end)[:, None] & (column_W < d_in)[None, :]
                part_RW = tl.load(part_PD + place_R[:, None] * d_in + column_W[None, :], mask=inside_RW, other=0.0)
                total_W += tl.sum(part_RW, axis=0)
            tl.store(out_FD + feature * d_in + column_W, total_W, mask=column_W < d_in)


def weighted_rows(weight_BK: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """Return Σ_k weight[b, k] · rows[feature[b, k]]: [B, D]."""
    (n_tokens, k), d_in = feature_BK.shape, rows_FD.shape[1]
    out_BD = rows_FD.new_empty(n_tokens, d_in)
    if n_tokens:
        operands = weight_BK.contiguous(), rows_FD.contiguous(), feature_BK.contiguous(), out_BD
        slices, shape = _slices(d_in)
        with torch.cuda.device_of(rows_FD):  # type: ignore[no-untyped-call]
            _weighted_rows[n_tokens, slices](*operands, k, d_in, **shape)
    return out_BD


def row_products(left_BD: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """Return left[b] · rows[feature[b, k]]: [B, K]."""
    (n_tokens, k), d_in = feature_BK.shape, rows_FD.shape[1]
    out_BK = rows_FD.new_empty(n_tokens, k)
    if n_tokens:
        operands = left_BD.contiguous(), rows_FD.contiguous(), feature_BK.contiguous(), out_BK
        _, shape = _slices(d_in)
        with torch.cuda.device_of(rows_FD):  # type: ignore[no-untyped-call]
            _row_products[n_tokens * triton.cdiv(k, ROWS),](*operands, k, d_in, **shape)
    return out_BK


def summed_by_feature(weight_BK: Tensor, left_BD: Tensor, entries: EntryList) -> Tensor:
    """Return Σ over each feature's entries of weight[b, k] · left[b]: [F, D], zero for features without entries.

    One program sums one feature: most have few entries, so the GPU is busy and no program waits for another. A feature
    that fires on most tokens would occupy its program long after the others are done; so features with more than
    `entries.piece` entries are cut into pieces of that many, which are summed concurrently into a buffer and then
    joined in order. Cuts depend on a feature's own entries alone, and so do its bits: they are the same in every run,
    whatever other features do. Reading the number of pieces from the GPU would stall it, so programs are started for as
    many as there can be, and those without work return.
    """
    d_in = left_BD.shape[1]
    entry_E, token_E, start_G = entries.by_feature
    length, feature_P, first_G = entries.pieces
    n_pieces = len(feature_P)
    out_FD = left_BD.new_empty(entries.d_sae, d_in)
    part_PD = left_BD.new_empty(n_pieces, d_in, dtype=torch.float32)
    operands = weight_BK.contiguous(), left_BD.contiguous(), entry_E, token_E, start_G, feature_P, first_G
    sizes, (slices, shape) = (entries.d_sae, d_in), _slices(d_in)
    with torch.cuda.device_of(left_BD):  # type: ignore[no-untyped-call]
        _summed_by_feature[n_pieces + entries.d_sae, slices](
            *operands, out_FD, part_PD, n_pieces, *sizes, LENGTH=length, **shape
        )
        if n_pieces:
            _joined_pieces[n_pieces, slices](feature_P, first_G, part_PD, out_FD, *sizes, **shape)
    return out_FD


def _slices(d_in: int) -> tuple[int, dict[str, int]]:
    """Return the slices that a row is cut into, and a program's rows, columns and warps, four columns per thread."""
    width = min(WIDTH, max(16, triton.next_power_of_2(d_in)))
    return triton.cdiv(d_in, width), {"R": ROWS, "W": width, "num_warps": max(1, width // 128)}
