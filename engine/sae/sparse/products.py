"""Products over the active entries of a batch, with hand-written forward and backward passes.

After the encoder's own product nothing of size [B, F] is multiplied: a token costs K rows of a weight matrix. Where
autograd would scatter entry by entry, sums run feature by feature over entries that are sorted once per step.

The products exist twice: here in plain PyTorch, and in engine.sae.sparse.triton_kernels for GPUs.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries per token, E = B·K entries, V the shape of the entries'
values, which depends on how the entries were selected.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from engine.sae.sparse.entries import PIECE, EntryList
from store.files.errors import MonosemError

WIDE = 4096
"""Row width from which a top-k over group maxima is faster than torch's own."""
KERNELS = "MONOSEM_KERNELS"
"""Environment variable: `torch` selects the plain products, `triton` the kernels (on a CPU only in Triton's
interpreter); `auto`, the default, selects the kernels for tensors on a GPU where Triton works."""
KERNEL_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def launchers(*operands: Tensor) -> ModuleType | None:
    """Return the module of Triton kernels if it should multiply these operands, else None.

    The only place that decides it. The kernels support neither gradients nor float64.

    Raises:
        MonosemError: $MONOSEM_KERNELS has an unknown value, or demands kernels that do not work here.
    """
    choice = os.environ.get(KERNELS) or "auto"
    if choice not in ("auto", "torch", "triton"):
        raise MonosemError(f"{KERNELS} is {choice!r}", "Set it to auto, torch or triton.")
    if choice == "torch" or (choice == "auto" and not all(operand.is_cuda for operand in operands)):
        return None
    if any(operand.dtype not in KERNEL_DTYPES for operand in operands):
        return None
    if torch.is_grad_enabled() and any(operand.requires_grad for operand in operands):
        return None
    kernels, fault = _tried(operands[0].device)
    if kernels is None and choice == "triton":
        raise MonosemError(f"no kernels here: {fault or 'triton is not installed'}", f"Unset {KERNELS}.")
    if kernels is None and fault:
        warnings.warn(f"plain PyTorch in place of Triton's kernels, which do not work here: {fault}", stacklevel=2)
    return kernels


@cache
def _tried(device: torch.device) -> tuple[ModuleType | None, str]:
    """Return the kernels if a 1 × 1 product is right on this device, and the fault if triton is installed but fails."""
    if find_spec("triton") is None:
        return None, ""
    # Triton compiles on first use, with the machine's compiler and driver. Their faults surface here as almost any
    # kind of exception, and training works without the kernels.
    try:
        kernels = import_module("engine.sae.sparse.triton_kernels")
        one = torch.ones(1, 1, device=device)
        product = kernels.weighted_rows(one, one, torch.zeros_like(one, dtype=torch.int64)).item()
    except Exception as error:
        return None, next(iter(str(error).splitlines()), "") or type(error).__name__
    return (kernels, "") if product == 1 else (None, f"1 times 1 comes out as {product}")


class SparseEntries(Protocol):
    """A selection of the entries of [B, F], and products with values of theirs; the values have shape V."""

    def gather(self, value_F: Tensor) -> Tensor:
        """Return each entry's value of a per-feature array, differentiable: V, or broadcastable to it."""

    def scatter_sum(self, weight_V: Tensor) -> Tensor:
        """Return Σ over each feature's entries, differentiable: [F]."""

    def fired(self, active_V: Tensor) -> Tensor:
        """Return True for features with an active entry [F]."""

    def decode(self, weight_V: Tensor, rows_FD: Tensor) -> Tensor:
        """Return Σ over each token's entries of weight · row: [B, D]."""

    def grad_acts(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """Return each entry's left[token] · rows[feature]: V; `decode`'s gradient in its weights."""

    def grad_rows(self, weight_V: Tensor, left_BD: Tensor) -> Tensor:
        """Return Σ over each feature's entries of weight · left[token]: [F, D]; `decode`'s gradient in its rows."""


class TopKEntries(EntryList, SparseEntries):
    """K entries in every token."""

    def __init__(self, feature_BK: Tensor, d_sae: int, piece: int = PIECE) -> None:
        super().__init__(feature_BK.flatten(), len(feature_BK), d_sae, piece)
        self.feature_BK = feature_BK

    def tokens_of(self, entry_E: Tensor) -> Tensor:
        """Return the tokens of some entries, which are listed token by token."""
        return entry_E // max(1, self.feature_BK.shape[1])

    def gather(self, value_F: Tensor) -> Tensor:
        """See `SparseEntries`: [B, K]."""
        return value_F.index_select(0, self.feature_E).view_as(self.feature_BK)

    def scatter_sum(self, weight_BK: Tensor) -> Tensor:
        """See `SparseEntries`: [F]."""
        return totals_by_feature(weight_BK, self)

    def decode(self, weight_BK: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [B, D]."""
        return weighted_rows(weight_BK, rows_FD, self.feature_BK)

    def grad_acts(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [B, K]."""
        return row_products(left_BD, rows_FD, self.feature_BK)

    def grad_rows(self, weight_BK: Tensor, left_BD: Tensor) -> Tensor:
        """See `SparseEntries`: [F, D]."""
        return summed_by_feature(weight_BK, left_BD, self)


def largest(pre_BF: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest values of each row and their columns, unordered: [B, K] each.

    Wide rows are first reduced to the maxima of groups of columns, at the speed of memory; the `k` largest values lie
    in the `k` groups with the largest maxima. Takes half the time of torch's own top-k at a width of 24 576
    (docs/benchmarks.md); remove it when torch's is as fast.
    """
    n_rows, width = pre_BF.shape
    size = 1 << max(0, int((width / k) ** 0.5).bit_length() - 2)
    if width < WIDE or size < 4 or width % size or width // size < 2 * k:
        value_BK, feature_BK = pre_BF.topk(k, dim=1, sorted=False)
        return value_BK, feature_BK
    groups = width // size
    _, group_BK = pre_BF.view(n_rows, size, groups).amax(1).topk(k, dim=1, sorted=False)
    member_S = groups * torch.arange(size, device=pre_BF.device)
    candidate_BC = (group_BK[:, None, :] + member_S[None, :, None]).view(n_rows, size * k)
    value_BK, place_BK = pre_BF.gather(1, candidate_BC).topk(k, dim=1, sorted=False)
    return value_BK, candidate_BC.gather(1, place_BK)


def weighted_rows(weight_BK: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """Return Σ_k weight[b, k] · rows[feature[b, k]]: [B, D]."""
    if kernels := launchers(weight_BK, rows_FD):
        return kernels.weighted_rows(weight_BK, rows_FD, feature_BK)  # type: ignore[no-any-return]
    return functional.embedding_bag(feature_BK, rows_FD, per_sample_weights=weight_BK, mode="sum")


def row_products(left_BD: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """Return left[b] · rows[feature[b, k]]: [B, K], without copying rows."""
    if kernels := launchers(left_BD, rows_FD):
        return kernels.row_products(left_BD, rows_FD, feature_BK)  # type: ignore[no-any-return]
    n_tokens, k = feature_BK.shape
    bag_E = torch.arange(n_tokens, device=left_BD.device).repeat_interleave(k)
    start_B = torch.arange(0, n_tokens * k, k, device=left_BD.device)
    # The backward pass of an embedding bag in its weights: the only product of this kind that torch has.
    product_E: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        left_BD.contiguous(), rows_FD, feature_BK.flatten(), start_B, bag_E, 0
    )
    return product_E.view(n_tokens, k)


def summed_by_feature(weight_E: Tensor, left_BD: Tensor, entries: EntryList) -> Tensor:
    """Return Σ over each feature's entries of weight · left[token]: [F, D], in one order, so with the same bits.

    `weight_E` has a number per entry, in any shape.
    """
    if kernels := launchers(weight_E, left_BD):
        return kernels.summed_by_feature(weight_E, left_BD, entries)  # type: ignore[no-any-return]
    entry_E, token_E, start_G = entries.by_feature
    return functional.embedding_bag(
        token_E, left_BD, start_G[:-1], per_sample_weights=weight_E.flatten()[entry_E], mode="sum"
    )


def totals_by_feature(weight_E: Tensor, entries: EntryList) -> Tensor:
    """Return Σ over each feature's entries of weight, differentiable: [F]."""
    if weight_E.is_cuda and not (torch.is_grad_enabled() and weight_E.requires_grad):
        # On a GPU index_add sums in a different order each time.
        return summed_by_feature(weight_E, weight_E.new_ones(entries.n_rows, 1), entries).squeeze(1)
    return weight_E.new_zeros(entries.d_sae).index_add(0, entries.feature_E, weight_E.flatten())


class _PreActs(torch.autograd.Function):
    """(x[b] - centre) · W_enc[:, feature] + b_enc[feature] per entry. No gradient for x."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BD: Tensor,
        W_enc_DF: Tensor,
        b_enc_F: Tensor,
        centre_D: Tensor,
        entries: SparseEntries,
        known_V: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x_BD - centre_D, W_enc_DF)
        ctx.entries = entries
        return known_V.to(b_enc_F.dtype).view_as(known_V)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_V: Tensor) -> tuple[Tensor | None, ...]:
        centred_BD, W_enc_DF = ctx.saved_tensors
        W_grad_FD = ctx.entries.grad_rows(grad_V, centred_BD)
        b_grad_F = ctx.entries.scatter_sum(grad_V)
        centre_grad_D = -(W_enc_DF @ b_grad_F) if ctx.needs_input_grad[3] else None
        return None, W_grad_FD.T, b_grad_F, centre_grad_D, None, None


class _Decode(torch.autograd.Function):
    """Σ over each token's entries of act · W_dec[feature]."""

    @staticmethod
    def forward(ctx: Any, act_V: Tensor, W_dec_FD: Tensor, entries: SparseEntries) -> Tensor:
        ctx.save_for_backward(act_V, W_dec_FD)
        ctx.entries = entries
        return entries.decode(act_V, W_dec_FD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BD: Tensor) -> tuple[Tensor | None, ...]:
        act_V, W_dec_FD = ctx.saved_tensors
        of_acts, of_rows, _ = ctx.needs_input_grad
        act_grad_V = ctx.entries.grad_acts(grad_BD, W_dec_FD) if of_acts else None
        return act_grad_V, ctx.entries.grad_rows(act_V, grad_BD) if of_rows else None, None


def pre_acts_at(
    x_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, centre_D: Tensor, entries: SparseEntries, known_V: Tensor
) -> Tensor:
    """Return pre-activations of the entries [V], differentiable in weights and biases.

    `known_V` are their values from the encoder's product: they are not computed again, and must not be changed.
    """
    return _PreActs.apply(x_BD, W_enc_DF, b_enc_F, centre_D, entries, known_V)  # type: ignore[no-any-return, no-untyped-call]


def decode(act_V: Tensor, W_dec_FD: Tensor, entries: SparseEntries) -> Tensor:
    """Return Σ over each token's entries of act · W_dec[feature] [B, D], differentiable in both; b_dec not added."""
    return _Decode.apply(act_V, W_dec_FD, entries)  # type: ignore[no-any-return, no-untyped-call]
