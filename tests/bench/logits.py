"""Logit effects of a dictionary on a vocabulary of Gemma's size: beside the bare product of the same matrices, in turn.

Shapes: F features, M = d_model, V vocabulary.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from engine.indexing.logit_effects import logit_effects
from engine.model.language_model import LanguageModel
from engine.model.sites import resolve_site
from engine.runtime.sizes import SCRATCH
from tests.bench.page import Table
from tests.bench.peer import threads
from tests.bench.timing import ratio
from tests.bench.topk import CPU


@dataclass(frozen=True)
class Plan:
    """Sizes, and the number of rounds."""

    features: int
    d_model: int
    vocab: int
    rounds: int


FULL = Plan(4096, 640, 262_144, rounds=3)
QUICK = Plan(64, 32, 4096, rounds=1)


def measure(plan: Plan = FULL) -> Table:
    """Time lists and histograms of all features, and before each the product alone."""
    torch.manual_seed(0)
    lm = _model(plan)
    site, W_FM = (
        resolve_site(lm, "resid_post", 0),
        torch.nn.functional.normalize(torch.randn(plan.features, lm.d_model)),
    )
    unembedding_VM = lm.network.get_output_embeddings().weight.detach().float()
    rows = max(1, SCRATCH // plan.vocab)
    room_FV = torch.empty(min(rows, plan.features), plan.vocab)

    def product() -> None:
        for some_FM in W_FM.split(rows):
            torch.mm(some_FM, unembedding_VM.T, out=room_FV[: len(some_FM)])

    alone, whole = [], []
    for turn in range(1, plan.rounds + 1):
        alone.append(_seconds(product))
        whole.append(_seconds(lambda: logit_effects(lm, site, W_FM)))
        sys.stderr.write(f"logits: round {turn}: product {alone[-1]:.1f} s, effects {whole[-1]:.1f} s\n")
    operations = 2e-12 * plan.features * plan.vocab * plan.d_model
    size = f"{plan.features} features × {plan.vocab} tokens, width {plan.d_model}"
    return Table(
        ("logit effects", "seconds", "of the product", "budget"),
        [
            (f"{size}: the product alone, float32, {operations:.2g} TFLOP", f"{median(alone):.1f}", "1", ""),
            ("ten highest, ten lowest, histogram", f"{median(whole):.1f}", f"{ratio(whole, alone):.2f} ×", "2.5 ×"),
        ],
        (f"Median of {plan.rounds} rounds, {threads()} threads; unembedding in bfloat16, of random numbers.",),
    )


def _model(plan: Plan) -> LanguageModel:
    """Return a random Gemma 3 of one layer."""
    config = Gemma3TextConfig(
        vocab_size=plan.vocab, hidden_size=plan.d_model, intermediate_size=64, num_hidden_layers=1, head_dim=16
    )
    return LanguageModel("a random Gemma 3", Gemma3ForCausalLM(config).bfloat16().eval(), None, CPU)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
