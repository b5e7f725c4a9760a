"""Learning rates around the default one, over a plan of small trainings on arrays: the table in docs/benchmarks.md.

    python -m tests.bench.cells extract MODEL TEXT LAYER TOKENS OUT   write OUT-resid.npy, OUT-mlpin.npy, OUT-mlpout.npy
    python -m tests.bench.cells planted FOLDER                        write p512-x.npy and p768-x.npy
    python -m tests.bench.cells train FOLDER RESULTS [PLAN]           train what RESULTS lacks, a line per cell
    python -m tests.bench.cells table RESULTS                         print the table

The plan is tests/bench/cells.jsonl. A cell names its array, its settings, and learning rates as multiples of 0.96 ·
√(k / (d_in · d_sae)), with k at most d_in, and 16 where a penalty decides the sparsity. All rates of a cell see the
same batches; quality is that of rows never trained on.

Shapes: N rows, D = d_in, O = d_out, C concepts, B rows of a batch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.jobs.train_settings import LR_BATCH
from engine.sae.base import SaeSettings, variance_of
from engine.sae.registry import architecture
from engine.training.trainer import SaeTrainer, TrainerSettings
from tests.bench.page import Table

PLAN = Path(__file__).with_suffix(".jsonl")
CONTEXT = 256
OUTLIER = 5.0
"""Rows whose norm is more than this many times the median are left out, as `monosem train` leaves them out."""
Cell = Mapping[str, Any]


def extract(model: str, text: str, layer: int, tokens: int, out: str) -> None:
    """Write the output, the MLP's input and the MLP's output of a layer of a LLaMA-like model, on `tokens` tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval().model
    network.layers, network.norm = network.layers[: layer + 1], torch.nn.Identity()
    block, found = network.layers[layer], dict[str, Tensor]()
    block.register_forward_hook(lambda _m, _i, made: found.update(resid=made[0] if isinstance(made, tuple) else made))
    block.mlp.register_forward_hook(lambda _m, given, made: found.update(mlpin=given[0], mlpout=made))
    raw = Path(text).read_text(encoding="utf-8")
    if text.endswith(".jsonl"):
        texts = [json.loads(line)["text"] for line in raw.splitlines()]
        texts = texts[:: max(1, len(texts) * 600 // tokens)]
    else:
        texts = [one.strip() for one in raw.split("<|endoftext|>") if one.strip()]
    ids = list[int]()
    for one in texts:
        ids += [tokenizer.bos_token_id, *tokenizer(one, add_special_tokens=False)["input_ids"]]
        if len(ids) > tokens * 1.02 + CONTEXT:
            break
    pieces: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for ids_CT in torch.tensor(ids[: len(ids) // CONTEXT * CONTEXT]).view(-1, CONTEXT).split(4):
            network(ids_CT, use_cache=False)
            counted_CT = ids_CT != tokenizer.bos_token_id
            counted_CT[:, 0] = False
            for name, acts_CTD in found.items():
                pieces.setdefault(name, []).append(acts_CTD[counted_CT].float())
    for name, parts in pieces.items():
        np.save(f"{out}-{name}.npy", torch.cat(parts)[:tokens].numpy())


def planted(folder: Path) -> None:
    """Write sums of some 24 of 4 · D directions, their frequencies falling as a power, with a little noise."""
    for d, rows, seed in ((512, 40_000, 1), (768, 36_000, 2)):
        random, n = np.random.default_rng(seed), 4 * d
        rows_CD = random.standard_normal((n, d), np.float32)
        rows_CD /= np.linalg.norm(rows_CD, axis=1, keepdims=True)
        p_C = (np.arange(n) + 10.0) ** -0.8
        p_C = np.minimum(p_C * (24 / p_C.sum()), 0.5)
        size_C = np.exp(random.normal(0, 0.4, n)).astype(np.float32)
        mean_D = random.standard_normal(d).astype(np.float32) * 0.1
        x_ND = np.empty((rows, d), np.float32)
        for start in range(0, rows, 4000):
            on_NC = random.random((4000, n)) < p_C
            act_NC = on_NC * size_C * (1 + random.exponential(0.5, (4000, n))).astype(np.float32)
            noise_ND = random.standard_normal((4000, d)).astype(np.float32) * 0.04
            x_ND[start : start + 4000] = (act_NC @ rows_CD + mean_D + noise_ND)[: rows - start]
        np.save(folder / f"p{d}-x.npy", x_ND)


def rows_of(folder: Path, name: str, *, paired: bool = False) -> tuple[Tensor, Tensor]:
    """Return rows to train on and rows to judge by, outliers left out; `s64.resid` names s64-resid.npy.

    Those of a transcoder, `paired`, keep their outliers, so that inputs stay beside their targets.
    The rows to judge by are s64v-resid.npy where there is such a file, else the last twelfth.
    """
    model, site = name.split(".")
    x_ND = torch.from_numpy(np.load(folder / f"{model}-{site}.npy"))
    judging = folder / f"{model}v-{site}.npy"
    held_out = max(2000, len(x_ND) // 12)
    if judging.exists():
        parts = x_ND[:300_000], torch.from_numpy(np.load(judging))[:20_000]
    else:
        parts = x_ND[:-held_out], x_ND[-held_out:]
    if paired:
        return parts
    most = OUTLIER * parts[0].norm(dim=1).median()
    found = [part_ND[part_ND.norm(dim=1) <= most] for part_ND in parts]
    return found[0], found[1]


def trainers_of(cell: Cell, d_in: int, d_out: int | None) -> list[SaeTrainer]:
    """Return a trainer for each learning rate of a cell, with the defaults that are not the learning rate's."""
    d_sae, k, arch, batch, seed = cell["d_sae"], cell.get("k"), cell.get("arch", "topk"), cell["batch"], 0
    steps = cell["tokens"] // batch
    sae = SaeSettings(d_in=d_in, d_sae=d_sae, k=k, l1=cell.get("l1"), k_aux=cell.get("k_aux", k or 32), d_out=d_out)
    unit = 0.96 * (min(k or 16, d_in) / (d_in * d_sae)) ** 0.5 * architecture(arch).lr_share * (2 if d_out else 1)
    shared: dict[str, Any] = {"steps": steps, "warmup": max(1, steps // 20), "decay": max(1, steps // 2)}
    shared |= {"dead_after": cell["tokens"] // 10, "batch": batch, "seed": cell.get("seed", seed)}
    return [
        SaeTrainer(
            TrainerSettings(arch=arch, sae=sae, lr=unit * one, products="bfloat16", **shared), torch.device("cpu")
        )
        for one in cell["mult"]
    ]


def train(folder: Path, cell: Cell) -> list[dict[str, float]]:
    """Train a cell; return quality for each learning rate."""
    x_ND, held_ND = rows_of(folder, cell["data"], paired="y" in cell)
    y_NO, held_NO = rows_of(folder, cell["y"], paired=True) if "y" in cell else (None, None)
    x_ND = x_ND[: cell.get("rows", len(x_ND))]
    trainers = trainers_of(cell, x_ND.shape[1], None if y_NO is None else y_NO.shape[1])
    generator = torch.Generator().manual_seed(cell.get("seed", 0) + 1000)
    sample = torch.randperm(len(x_ND), generator=generator)[:8192]
    for trainer in trainers:
        trainer.start(x_ND[sample], None if y_NO is None else y_NO[sample])
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(trainers[0].settings.steps):
        while len(order) < cell["batch"]:
            order = torch.cat([order, torch.randperm(len(x_ND), generator=generator)])
        taken, order = order[: cell["batch"]], order[cell["batch"] :]
        for trainer in trainers:
            trainer.step(x_ND[taken], None if y_NO is None else y_NO[taken])
    return [
        {"mult": mult, "lr": trainer.settings.lr} | quality(trainer, held_ND, held_NO)
        for mult, trainer in zip(cell["mult"], trainers, strict=True)
    ]


@torch.no_grad()
def quality(trainer: SaeTrainer, x_ND: Tensor, y_NO: Tensor | None) -> dict[str, float]:
    """Return explained variance, FVU, share of features that fire, and L0."""
    sae = trainer.sae.eval()
    x_ND = x_ND * trainer.scale
    y_NO = x_ND if y_NO is None else y_NO * (trainer.y_scale or 1.0)
    fired_F, active, error = torch.zeros(sae.settings.d_sae, dtype=torch.bool), 0, 0.0
    for x_BD, y_BO in zip(x_ND.split(1024), y_NO.split(1024), strict=True):
        acts = sae.encode(x_BD)
        on_BK = acts.act_BK > 0
        fired_F[acts.feature_BK[on_BK]] = True
        active += int(on_BK.sum())
        error += float((y_BO - sae.decode(acts, x_BD)).square().sum())
    fvu = error / float(variance_of(y_NO))
    return {"ev": 1 - fvu, "fvu": fvu, "alive": float(fired_F.float().mean()), "l0": active / len(x_ND)}


def train_all(folder: Path, results: Path, plan: Path) -> None:
    """Train the cells that the results lack."""
    done = [json.loads(line)["cell"] for line in results.read_text().splitlines()] if results.exists() else []
    for cell in map(json.loads, plan.read_text(encoding="utf-8").splitlines()):
        if cell not in done:
            began = time.process_time()
            found = train(folder, cell)
            with results.open("a") as file:
                took = round(time.process_time() - began, 1)
                file.write(json.dumps({"cell": cell, "res": found, "cpu": took}) + "\n")
            sys.stderr.write(f"{cell} {took} s\n")


def table(results: Path) -> Table:
    """Return a row per cell: the learning rates that were tried, and what became of the rows never trained on."""
    rows = []
    for line in results.read_text().splitlines():
        cell, found = json.loads(line)["cell"], json.loads(line)["res"]
        sparsity = f"k {cell['k']}" if "k" in cell else f"l1 {cell['l1']}"
        others = [f"{name} {cell[name]}" for name in ("k_aux", "rows", "seed", "auxk") if name in cell]
        array = cell["data"] + (f" to {cell['y']}" if "y" in cell else "")
        shape = f"{cell['d_sae']}, {', '.join([sparsity, *others])}"
        tried = "; ".join(
            f"{_marked(one['lr'], cell)}: {one['ev']:.4f} / {one['fvu']:.4f} ({one['alive']:.0%})" for one in found
        )
        training = f"{cell['tokens'] // 1000}k, {cell['batch']}"
        rows.append((array, cell.get("arch", "topk"), shape, training, tried))
    return Table(("array", "architecture", "features", "tokens, batch", "lr: EV / FVU (alive)"), rows)


def _marked(lr: float, cell: Cell) -> str:
    """Return a learning rate, bold where it is the default, in italics where it is the one that k did not change."""
    d_in, k = int(cell["data"].split(".")[0][1:]), cell.get("k", 16)
    share = (2 if "y" in cell else 1) * architecture(cell.get("arch", "topk")).lr_share
    share *= min(1.0, cell["batch"] / LR_BATCH) ** 0.5
    old = 3.84 / (d_in * cell["d_sae"]) ** 0.5 * share
    if abs(lr / (old * (min(k, 32) / 16) ** 0.5) - 1) < 0.03:
        return f"**{lr:.4f}**"
    return f"*{lr:.4f}*" if abs(lr / old - 1) < 0.03 else f"{lr:.4f}"


def main(command: str, *given: str) -> None:
    """Run one command of the list above."""
    torch.set_num_threads(1)
    if command == "extract":
        model, text, layer, tokens, out = given
        extract(model, text, int(layer), int(tokens), out)
    elif command == "planted":
        planted(Path(given[0]))
    elif command == "train":
        train_all(Path(given[0]), Path(given[1]), Path(given[2]) if len(given) > 2 else PLAN)
    else:
        sys.stdout.write(table(Path(given[0])).markdown() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
