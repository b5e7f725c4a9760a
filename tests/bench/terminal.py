"""`make bench`: measure what docs/benchmarks.md states, and write it there between its marks.

Figures of one run on one machine; ratios are taken between things timed in turn in this very run, medians throughout.
Uses runs/demo where it is there (`make demo`), else a sample run of the same size.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch

from engine.devices import hardware, multiplies_bfloat16, versions
from engine.sae.base import SaeSettings
from engine.training.trainer import SaeTrainer, TrainerSettings
from monosem_tui.text.card import read_card
from store.reader import FeatureStore
from tests.large_store import build_large
from tests.sample_run import build_sample
from tests.tui.pty_bytes import PtyApp

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    beside: str
    """What it is measured against, in the same run."""


def seconds(work: Callable[[], object], times: int) -> float:
    """Median time of `work`, one warm-up first."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _process(*command: str) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def help_time() -> Row:
    """`monosem --help` beside an empty Python and beside importing typer alone."""
    ours = seconds(_process(str(BIN / "monosem"), "--help"), 15)
    bare = seconds(_process(sys.executable, "-c", "pass"), 15)
    typer = seconds(_process(sys.executable, "-c", "import typer"), 15)
    beside = f"Python alone {1e3 * bare:.0f} ms, `import typer` {1e3 * typer:.0f} ms"
    return Row("`monosem --help`", f"{1e3 * ours:.0f} ms", beside)


def first_paint(run: Path, what: str) -> Row:
    """From exec to the first rows of the list on a pseudo-terminal."""

    def paint() -> None:
        with PtyApp(run, 120, 36, TERM="xterm-256color") as app:
            app.read_until(b" features ")

    imports = "import typer, h5py, textual.app"
    beside = f"`{imports}` alone {1e3 * seconds(_process(sys.executable, '-c', imports), 7):.0f} ms"
    return Row(f"`monosem tui`, first paint, {what}", f"{1e3 * seconds(paint, 7):.0f} ms", beside)


def page_reads(run: Path, what: str) -> Row:
    """Everything a feature's page shows, read from the store."""
    with FeatureStore.open(run) as store:
        alive = np.flatnonzero(store.columns.count_F)
        picked = np.random.default_rng(0).choice(alive, min(300, len(alive)), replace=False)
        read_card(store, {}, int(picked[0]))
        found = []
        for feature in picked:
            start = time.perf_counter()
            read_card(store, {}, int(feature))
            found.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(found, (50, 95))
    return Row(f"a feature's page, read, {what}", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms", "budget 16 ms")


def index_size(run: Path, what: str) -> Row:
    """Bytes of features.h5 that the activations take, in both orders."""
    import h5py

    with h5py.File(run / "features.h5", "r") as file:
        entries = len(file["forward/act"])
        size = sum(file[f"{order}/{name}"].nbytes for order in ("forward", "inverted") for name in file[order])
    return Row(f"index on disk, {what}", f"{size / entries:.1f} bytes a non-zero", "budget 12")


def sae_steps() -> list[Row]:
    """TopK training steps beside the same SAE written densely for autograd in float32, in turn, two threads."""
    rows = []
    for d_in, d_sae, k, batch in ((64, 1024, 16, 512), (128, 4096, 32, 4096), (768, 24_576, 32, 4096)):
        ours, dense = _topk_step(d_in, d_sae, k, batch), _dense_step(d_in, d_sae, k, batch)
        pairs = [(seconds(ours, 3), seconds(dense, 3)) for _ in range(5)]
        speed = batch / statistics.median(a for a, _ in pairs)
        ratio = statistics.median(b / a for a, b in pairs)
        what = f"TopK step, {d_in} to {d_sae}, k {k}, batch {batch}"
        rows.append(Row(what, f"{speed:,.0f} tokens/s".replace(",", " "), f"{ratio:.2f} × a dense autograd step"))
    return rows


def _topk_step(d_in: int, d_sae: int, k: int, batch: int) -> Callable[[], object]:
    settings = TrainerSettings(
        arch="topk",
        sae=SaeSettings(d_in=d_in, d_sae=d_sae, k=k),
        lr=1e-3,
        batch=batch,
        steps=10**6,
        warmup=1,
        decay=1,
        dead_after=10**12,
        seed=0,
        products="bfloat16" if multiplies_bfloat16(torch.device("cpu")) else "float32",
    )
    trainer = SaeTrainer(settings, torch.device("cpu"))
    x_BD = torch.randn(batch, d_in)
    trainer.start(x_BD)
    return lambda: trainer.step(x_BD)


def _dense_step(d_in: int, d_sae: int, k: int, batch: int) -> Callable[[], object]:
    x_BD = torch.randn(batch, d_in)
    W_enc = torch.nn.Parameter(torch.randn(d_in, d_sae) / d_in**0.5)
    W_dec = torch.nn.Parameter(W_enc.detach().T.clone())
    b_enc, b_dec = torch.nn.Parameter(torch.zeros(d_sae)), torch.nn.Parameter(torch.zeros(d_in))
    optimizer = torch.optim.Adam([W_enc, W_dec, b_enc, b_dec], lr=1e-3, fused=True)

    def step() -> None:
        pre_BF = (x_BD - b_dec) @ W_enc + b_enc
        act_BK, feature_BK = pre_BF.topk(k, dim=1)
        acts_BF = torch.zeros_like(pre_BF).scatter(1, feature_BK, act_BK.relu())
        loss = (x_BD - acts_BF @ W_dec - b_dec).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def table(rows: Sequence[Row]) -> str:
    """The measured part of docs/benchmarks.md."""
    found = versions()
    named = ", ".join(f"{name} {found[name]}" for name in ("python", "torch", "textual", "h5py") if name in found)
    lines = [f"{date.today().isoformat()} · {hardware(torch.device('cpu'))} · {named}", ""]
    lines += ["| what | measured | beside it, in the same run |", "|---|---|---|"]
    lines += [f"| {row.what} | {row.figure} | {row.beside} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure everything and rewrite the page."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as folder:
        run, what = Path("runs/demo"), "the demo's store"
        if not (run / "features.h5").is_file():
            run, what = build_sample(Path(folder) / "run", n_features=2048, n_contexts=400).run.path, "a sample store"
        large, size = build_large(Path(folder) / "large").path, "131 072 features, 1M tokens"
        rows = [help_time(), first_paint(run, what), first_paint(large, size)]
        rows += [page_reads(run, what), page_reads(large, size), index_size(run, what), *sae_steps()]
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    measured = table(rows)
    PAGE.write_text(f"{head}{BEGIN}\n{measured}\n{END}{tail}", encoding="utf-8")
    sys.stdout.write(measured + "\n")


if __name__ == "__main__":
    main()
