"""`python -m tests.bench_gpu`: TopK training steps on a CUDA GPU, with Triton's kernels, without, and densely.

Prints tables as Markdown; needs torch, triton and numpy and writes nothing. Arguments pick sizes by name: small, large.

A time stands beside the least that the machine could take for it: multiplications at the rate of its own large bfloat16
product, or bytes at that of its own large copy, both measured first. Bytes count every operand read and every result
written once, from the memory: what a cache keeps is not counted twice. Rows gathered count each distinct row once, so
kernels whose rows do not stay in the cache cannot reach their share of 100 %.

Medians of single calls between CUDA events, after warm-up; inputs are random. Steps include what the host does.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.sae.base import SaeSettings
from engine.sae.sparse import products as sparse
from engine.sae.sparse.products import TopKEntries
from engine.training.trainer import SaeTrainer, TrainerSettings

Work = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """A training step's."""

    d_in: int
    d_sae: int
    k: int
    batch: int


SIZES = {"small": Size(768, 24_576, 32, 4096), "large": Size(4096, 131_072, 64, 8192)}


@dataclass(frozen=True)
class Machine:
    """What the device does at best."""

    device: torch.device
    flops: float
    """bfloat16 multiplications and additions a second."""
    bandwidth: float
    """Bytes read and written a second."""


def seconds(work: Work, device: torch.device, times: int = 20, warm: int = 5) -> float:
    """Median time of one call."""
    for _ in range(warm):
        work()
    if device.type != "cuda":
        return statistics.median(_by_clock(work) for _ in range(times))
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(times)]
    torch.cuda.synchronize()
    for start, end in events:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in events) / 1e3


def _by_clock(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine(device: torch.device, side: int = 8192, copied: int = 2**32) -> Machine:
    """Measure a large product and a large copy."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    flops = 2 * side**3 / seconds(lambda: a @ b, device)
    source = torch.empty(copied // 4, device=device).normal_()
    target = torch.empty_like(source)
    return Machine(device, flops, 2 * copied / seconds(lambda: target.copy_(source), device))


def topk_step(size: Size, device: torch.device) -> Work:
    """Ours, with products in bfloat16 and no dead features."""
    settings = TrainerSettings(
        arch="topk",
        sae=SaeSettings(d_in=size.d_in, d_sae=size.d_sae, k=size.k),
        lr=1e-4,
        batch=size.batch,
        steps=10**6,
        warmup=1,
        decay=1,
        dead_after=10**12,
        seed=0,
        products="bfloat16",
    )
    trainer = SaeTrainer(settings, device)
    x_BD = torch.randn(size.batch, size.d_in, device=device)
    trainer.start(x_BD)
    return lambda: trainer.step(x_BD)


def dense_step(size: Size, device: torch.device) -> Work:
    """The same autoencoder for autograd, all products dense in bfloat16 (autocast), weights and Adam in float32."""
    x_BD = torch.randn(size.batch, size.d_in, device=device)
    W_enc = torch.nn.Parameter(torch.randn(size.d_in, size.d_sae, device=device) / size.d_in**0.5)
    W_dec = torch.nn.Parameter(W_enc.detach().T.clone())
    b_enc, b_dec = (torch.nn.Parameter(torch.zeros(n, device=device)) for n in (size.d_sae, size.d_in))
    optimizer = torch.optim.Adam([W_enc, W_dec, b_enc, b_dec], lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            pre_BF = (x_BD - b_dec) @ W_enc + b_enc.bfloat16()
            act_BK, feature_BK = pre_BF.topk(size.k, dim=1, sorted=False)
            acts_BF = torch.zeros_like(pre_BF).scatter(1, feature_BK, act_BK.relu())
            reconstruction_BD = acts_BF @ W_dec + b_dec
        (x_BD - reconstruction_BD).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def step_floor(size: Size, best: Machine) -> float:
    """Seconds that a step takes at least: the encoder's product, and each array read and written once.

    Of both weight matrices: Adam reads weight, gradient and two moments and writes all but the gradient, which is
    written before. The decoder is read forward and backward, the encoder rounded to bfloat16 and that read. The
    pre-activations are written and read.
    """
    weights, pre = size.d_in * size.d_sae, size.batch * size.d_sae
    moved = 4 * weights * (2 * 7 + 2 + 2) + (4 + 2 + 2) * weights + 2 * 2 * pre
    return 2 * size.batch * weights / best.flops + moved / best.bandwidth


def steps(size: Size, best: Machine) -> list[str]:
    """Whole steps; each is freed before the next is made."""
    rows = ["| step | tokens/s | ms | at least, ms | share | memory, GB |", "|---|--:|--:|--:|--:|--:|"]
    floor = step_floor(size, best)
    made: list[tuple[str, str, Callable[[Size, torch.device], Work]]] = [
        ("TopK, Triton", "auto", topk_step),
        ("TopK, plain PyTorch", "torch", topk_step),
        ("dense bfloat16, autograd", "torch", dense_step),
    ]
    for name, kernels, make in made:
        os.environ[sparse.KERNELS] = kernels
        _free(best.device)
        try:
            took = seconds(make(size, best.device), best.device, times=10)
        except torch.OutOfMemoryError:
            rows.append(f"| {name} | out of memory | | | | |")
            continue
        most = torch.cuda.max_memory_allocated() / 1e9 if best.device.type == "cuda" else float("nan")
        rate = f"{size.batch / took:,.0f}".replace(",", " ")
        rows.append(f"| {name} | {rate} | {1e3 * took:.2f} | {1e3 * floor:.2f} | {floor / took:.0%} | {most:.1f} |")
    return rows


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@dataclass(frozen=True)
class Part:
    """A part of a step."""

    name: str
    work: Work
    flops: float
    moved: float
    """Bytes."""
    twice: bool
    """Whether there are kernels for it, and plain PyTorch."""


def parts(size: Size, device: torch.device) -> list[Part]:
    """What a step spends its time on; features fire unevenly, a few of them on nearly every token."""
    n, d, f, k = size.batch, size.d_in, size.d_sae, size.k
    x_BD, W_FD = torch.randn(n, d, device=device), torch.randn(f, d, device=device) / d**0.5
    b_F = (-3 * torch.rand(f, device=device)).index_fill(0, torch.arange(3, device=device), 6.0).bfloat16()

    def product() -> Tensor:
        return functional.linear(x_BD.bfloat16(), W_FD.bfloat16(), b_F)

    pre_BF = product()
    act_BK, feature_BK = sparse.largest(pre_BF, k)
    act_BK = act_BK.float()
    entries = TopKEntries(feature_BK, f)

    def order() -> None:
        found = TopKEntries(feature_BK, f)
        _ = found.by_feature, found.pieces

    rows, listed = 4 * d * (feature_BK.unique().numel() + n), 12 * n * k
    return [
        Part("encoder's product, weights rounded", product, 2.0 * n * d * f, 8 * d * f + 2 * n * f, False),
        Part("k largest, by groups", lambda: sparse.largest(pre_BF, k), 0, 2 * n * f, False),
        Part("k largest, torch.topk", lambda: pre_BF.topk(k, dim=1, sorted=False), 0, 2 * n * f, False),
        Part("order by feature", order, 0, 24 * n * k, False),
        Part("decode", lambda: sparse.weighted_rows(act_BK, W_FD, feature_BK), 0, rows + listed, True),
        Part("activations' gradient", lambda: sparse.row_products(x_BD, W_FD, feature_BK), 0, rows + listed, True),
        Part(
            "a weight matrix's gradient",
            lambda: sparse.summed_by_feature(act_BK, x_BD, entries),
            0,
            4 * d * (f + n) + 2 * listed,
            True,
        ),
    ]


def table_of_parts(size: Size, best: Machine) -> list[str]:
    """Each part, its least time, and the plain product beside it with how far apart the two results are."""
    rows = ["| part | ms | at least, ms | share | plain, ms | relative difference |", "|---|--:|--:|--:|--:|--:|"]
    _free(best.device)
    for part in parts(size, best.device):
        os.environ[sparse.KERNELS] = "auto"
        took = seconds(part.work, best.device)
        floor = max(part.flops / best.flops, part.moved / best.bandwidth)
        row = f"| {part.name} | {1e3 * took:.3f} | {1e3 * floor:.3f} | {floor / took:.0%} |"
        rows.append(row + (_beside(part.work, best.device) if part.twice else " | |"))
    return rows


def _beside(work: Work, device: torch.device) -> str:
    ours = work()
    os.environ[sparse.KERNELS] = "torch"
    plain = work()
    assert isinstance(ours, Tensor) and isinstance(plain, Tensor)
    apart = (ours - plain).norm().item() / plain.norm().item()
    return f" {1e3 * seconds(work, device):.3f} | {apart:.1e} |"


def main(names: list[str]) -> None:
    """Measure the sizes of these names, all without any."""
    unknown = set(names) - set(SIZES)
    if unknown or not torch.cuda.is_available():
        sys.exit(f"sizes are {', '.join(SIZES)}" if unknown else "no CUDA device")
    device = torch.device("cuda")
    best = machine(device)
    chosen = sparse.launchers(torch.ones(1, device=device))
    print(f"{torch.cuda.get_device_name()} · torch {torch.__version__} · {'Triton' if chosen else 'NO TRITON'}")
    print(f"bfloat16 product {best.flops / 1e12:.0f} TFLOP/s · copy {best.bandwidth / 1e12:.2f} TB/s")
    for name in names or SIZES:
        size = SIZES[name]
        print(f"\n{name}: {size.d_in} to {size.d_sae}, k {size.k}, batch {size.batch}\n")
        for line in [*table_of_parts(size, best), "", *steps(size, best)]:
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
