"""Products with the few active features of a token, forward and backward written out by hand.

After the encoder's own product nothing of size [B, F] is multiplied: a token costs K rows of a weight matrix. What
autograd would scatter entry by entry is summed feature by feature instead, over entries sorted once a step.

The products are written twice: here in plain PyTorch, and in engine.sae.sparse.triton_kernels for GPUs.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token, E = B·K entries, V the shape of
entries' values, which depends on how they were chosen.
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

from engine.sae.sparse.entries import Entries, Listed
from store.files.errors import MonosemError

WIDE = 4096
"""Length of a row from which on looking at groups first pays."""
KERNELS = "MONOSEM_KERNELS"
"""Environment variable: `torch` takes the plain products everywhere, `triton` the kernels everywhere (on a CPU they run
in Triton's interpreter alone), `auto` or nothing the kernels where the tensors are on a GPU and Triton works."""
KERNEL_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def launchers(*operands: Tensor) -> ModuleType | None:
    """The Triton kernels (engine.sae.sparse.triton_kernels), where they are to multiply these operands; else None.

    The one place where that is decided. The kernels know no gradients and no float64.

    Raises:
        MonosemError: $MONOSEM_KERNELS has no such value, or insists on kernels that do not work here.
    """
    choice = os.environ.get(KERNELS) or "auto"
    if choice not in ("auto", "torch", "triton"):
        raise MonosemError(f"{KERNELS} is {choice!r}", "It may be auto, torch or triton.")
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
    """The kernels, if the smallest product comes out right on this device; and what went wrong if triton is there."""
    if find_spec("triton") is None:
        return None, ""
    # Triton compiles when it is first called, with the machine's compiler and driver: whatever is wrong with those
    # comes up here, as nearly any kind of exception, and training can do without.
    try:
        kernels = import_module("engine.sae.sparse.triton_kernels")
        one = torch.ones(1, 1, device=device)
        product = kernels.weighted_rows(one, one, torch.zeros_like(one, dtype=torch.int64)).item()
    except Exception as error:
        return None, next(iter(str(error).splitlines()), "") or type(error).__name__
    return (kernels, "") if product == 1 else (None, f"1 times 1 comes out as {product}")


class Chosen(Protocol):
    """Some of the entries of [B, F], and the products with values of theirs, which have a shape of their own, V."""

    def of(self, value_F: Tensor) -> Tensor:
        """Each entry's share of one value a feature, differentiable: V, or what broadcasts to it."""

    def totals(self, weight_V: Tensor) -> Tensor:
        """Σ over a feature's entries, differentiable: [F]."""

    def fired(self, active_V: Tensor) -> Tensor:
        """True for features with an entry that is active [F]."""

    def rows(self, weight_V: Tensor, rows_FD: Tensor) -> Tensor:
        """Σ over a token's entries of weight · row: [B, D]."""

    def products(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """Each entry's left[token] · rows[feature]: V."""

    def sums(self, weight_V: Tensor, left_BD: Tensor) -> Tensor:
        """Σ over a feature's entries of weight · left[token]: [F, D]."""


class Kept(Entries, Chosen):
    """K entries in every token."""

    def of(self, value_F: Tensor) -> Tensor:
        """[B, K]."""
        return value_F.index_select(0, self.feature_BK.flatten()).view_as(self.feature_BK)

    def totals(self, weight_BK: Tensor) -> Tensor:
        """[F]."""
        return totals_by_feature(weight_BK, self, self.feature_BK)

    def fired(self, active_BK: Tensor) -> Tensor:
        """[F]."""
        fired_F = torch.zeros(self.d_sae, dtype=torch.bool, device=active_BK.device)
        fired_F[self.feature_BK[active_BK]] = True
        return fired_F

    def rows(self, weight_BK: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, D]."""
        return weighted_rows(weight_BK, rows_FD, self.feature_BK)

    def products(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, K]."""
        return row_products(left_BD, rows_FD, self.feature_BK)

    def sums(self, weight_BK: Tensor, left_BD: Tensor) -> Tensor:
        """[F, D]."""
        return summed_by_feature(weight_BK, left_BD, self)


def largest(pre_BF: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest of each row and where they are, in no order.

    In wide rows the largest of each of several columns of groups is found first, which the processor does at the speed
    of memory; the `k` largest lie in the `k` groups with the largest such maxima. Half the time of torch's own top-k at
    24 576 (docs/benchmarks.md).
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
    """Σ_k weight[b, k] · rows[feature[b, k]]: [B, D]."""
    if kernels := launchers(weight_BK, rows_FD):
        return kernels.weighted_rows(weight_BK, rows_FD, feature_BK)  # type: ignore[no-any-return]
    return functional.embedding_bag(feature_BK, rows_FD, per_sample_weights=weight_BK, mode="sum")


def row_products(left_BD: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """left[b] · rows[feature[b, k]]: [B, K], without a copy of the rows."""
    if kernels := launchers(left_BD, rows_FD):
        return kernels.row_products(left_BD, rows_FD, feature_BK)  # type: ignore[no-any-return]
    n_tokens, k = feature_BK.shape
    bag_E = torch.arange(n_tokens, device=left_BD.device).repeat_interleave(k)
    start_B = torch.arange(0, n_tokens * k, k, device=left_BD.device)
    # What autograd calls for the weights of an embedding bag: the one such product that torch has.
    product_E: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        left_BD.contiguous(), rows_FD, feature_BK.flatten(), start_B, bag_E, 0
    )
    return product_E.view(n_tokens, k)


def summed_by_feature(weight_E: Tensor, left_BD: Tensor, entries: Listed) -> Tensor:
    """Σ over a feature's entries of weight · left[token]: [F, D], in one order, so the same bits every time.

    `weight_E` has a number for each entry, in any shape.
    """
    if kernels := launchers(weight_E, left_BD):
        return kernels.summed_by_feature(weight_E, left_BD, entries)  # type: ignore[no-any-return]
    entry_E, token_E, start_G = entries.by_feature
    return functional.embedding_bag(
        token_E, left_BD, start_G[:-1], per_sample_weights=weight_E.flatten()[entry_E], mode="sum"
    )


def totals_by_feature(weight_E: Tensor, entries: Listed, feature_E: Tensor) -> Tensor:
    """Σ over a feature's entries of weight, differentiable: [F]."""
    if weight_E.is_cuda and not (torch.is_grad_enabled() and weight_E.requires_grad):
        # index_add on a GPU adds in another order each time.
        return summed_by_feature(weight_E, weight_E.new_ones(entries.n_rows, 1), entries).squeeze(1)
    return weight_E.new_zeros(entries.d_sae).index_add(0, feature_E.flatten(), weight_E.flatten())


class _PreActs(torch.autograd.Function):
    """(x[b] - centre) · W_enc[:, feature] + b_enc[feature] for the entries alone. Gives x no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, centre_D: Tensor, entries: Chosen, known_V: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x_BD - centre_D, W_enc_DF)
        ctx.entries = entries
        return known_V.to(b_enc_F.dtype).view_as(known_V)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_V: Tensor) -> tuple[Tensor | None, ...]:
        centred_BD, W_enc_DF = ctx.saved_tensors
        W_grad_FD = ctx.entries.sums(grad_V, centred_BD)
        b_grad_F = ctx.entries.totals(grad_V)
        centre_grad_D = -(W_enc_DF @ b_grad_F) if ctx.needs_input_grad[3] else None
        return None, W_grad_FD.T, b_grad_F, centre_grad_D, None, None


class _Decode(torch.autograd.Function):
    """Σ over a token's entries of act · W_dec[feature]."""

    @staticmethod
    def forward(ctx: Any, act_V: Tensor, W_dec_FD: Tensor, entries: Chosen) -> Tensor:
        ctx.save_for_backward(act_V, W_dec_FD)
        ctx.entries = entries
        return entries.rows(act_V, W_dec_FD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BD: Tensor) -> tuple[Tensor | None, ...]:
        act_V, W_dec_FD = ctx.saved_tensors
        of_acts, of_rows, _ = ctx.needs_input_grad
        act_grad_V = ctx.entries.products(grad_BD, W_dec_FD) if of_acts else None
        return act_grad_V, ctx.entries.sums(act_V, grad_BD) if of_rows else None, None


def pre_acts_at(
    x_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, centre_D: Tensor, entries: Chosen, known_V: Tensor
) -> Tensor:
    """Pre-activations of chosen entries, differentiable in weights and biases.

    `known_V` is what the encoder's product gave for them: it is not computed again, and must not be changed.
    """
    return _PreActs.apply(x_BD, W_enc_DF, b_enc_F, centre_D, entries, known_V)  # type: ignore[no-any-return, no-untyped-call]


def decode(act_V: Tensor, W_dec_FD: Tensor, entries: Chosen) -> Tensor:
    """Reconstructions without b_dec [B, D], differentiable in both."""
    return _Decode.apply(act_V, W_dec_FD, entries)  # type: ignore[no-any-return, no-untyped-call]
