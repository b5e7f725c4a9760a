"""The cost of a clamp: tokens per second of clamped text, alone and beside the base text, against unclamped text.

Rounds are measured in turn, so that what slows one side slows the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from transformers import AutoModelForCausalLM, GPT2Config

from engine.data.text_encoder import Encoding
from engine.live.generation import Generation
from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt
from engine.model.language_model import LanguageModel, load_model
from engine.model.sites import resolve_site
from engine.runtime.progress import Silent
from engine.sae.base import SaeSettings
from engine.sae.registry import architecture
from store.live.clamp import parse_clamp
from store.live.sampling import Sampling
from tests.bench.page import Table
from tests.bench.stories import LAYER, Stories
from tests.bench.timing import grouped, ratio, spread

COLUMNS = (
    "model and dictionary",
    "unclamped, tokens/s",
    "clamped",
    "least – greatest",
    "ratio",
    "clamped beside base",
    "least – greatest",
    "ratio",
)


@dataclass(frozen=True)
class Plan:
    """Amounts to measure."""

    rounds: int
    stories_tokens: int
    gpt2_tokens: int
    gpt2_layers: int
    d_sae: int


FULL = Plan(rounds=9, stories_tokens=120, gpt2_tokens=24, gpt2_layers=12, d_sae=24_576)
QUICK = Plan(rounds=2, stories_tokens=12, gpt2_tokens=4, gpt2_layers=2, d_sae=512)


def measure(plan: Plan = FULL) -> Table:
    """Both models, random dictionaries."""
    stories = load_model(str(Stories.find().model), device=torch.device("cpu"), dtype=torch.float32, progress=Silent())
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(GPT2Config(n_layer=plan.gpt2_layers)).eval().requires_grad_(False)
    gpt2 = LanguageModel("gpt2", network, stories.tokenizer, torch.device("cpu"))
    rows = []
    for name, lm, layer, d_sae, tokens in (
        ("stories260K", stories, LAYER, 1024, plan.stories_tokens),
        ("GPT-2's size, random", gpt2, plan.gpt2_layers // 2, plan.d_sae, plan.gpt2_tokens),
    ):
        live = opened(lm, layer, d_sae)
        for clamp in ("5=3@response", "5=off"):
            plain, alone, beside = rounds(live, clamp, plan.rounds, tokens)
            what = f"{name}, {live.source.d_in} → {grouped(d_sae)}, `{clamp}`"
            rows.append((what, grouped(median(plain)), *_figures(alone, plain), *_figures(beside, plain)))
    note = (
        "One text without clamps, the same with one, and both side by side (a third row then reads the clamped text "
        "without clamps, for KL and perplexity), after a prompt of 16 tokens, greedy, TopK with k 32; ratio: median of "
        f"{plan.rounds} rounds."
    )
    return Table(COLUMNS, rows, (note,))


def opened(lm: LanguageModel, layer: int, d_sae: int) -> LiveModel:
    """A model with a random dictionary, whose texts end by length alone."""
    lm.network.generation_config.eos_token_id = None
    site = resolve_site(lm, "resid_post", layer)
    sae = architecture("topk")(SaeSettings(d_in=site.d_in, d_sae=d_sae, k=32)).eval().requires_grad_(False)
    sae.initialise(torch.zeros(site.d_in), torch.Generator().manual_seed(0))
    return LiveModel(lm, Encoding(lm.tokenizer, lm.bos_id, lm.separator_id), sae, site, site, 128)


def rounds(live: LiveModel, clamp: str, times: int, tokens: int) -> tuple[list[float], list[float], list[float]]:
    """Tokens a second of each round: without a clamp, with one, with one beside the base text."""
    plain, alone, beside = [], [], []
    for _ in range(times):
        plain.append(speed(live, (), tokens))
        alone.append(speed(live, (clamp,), tokens))
        beside.append(speed(live, (clamp,), tokens, compare=True))
    return plain, alone, beside


def _figures(side: list[float], plain: list[float]) -> tuple[str, str, str]:
    return grouped(median(side)), spread(side), f"{ratio(side, plain):.2f}"


def speed(live: LiveModel, clamps: Sequence[str], tokens: int, *, compare: bool = False) -> float:
    """Tokens per second after the first, for which the prompt is read."""
    prompt = Prompt("", tuple(range(1, 17)))
    session = Generation(live, prompt, list(map(parse_clamp, clamps)), Sampling(max_new=tokens), compare=compare)
    session.step()
    began, written = time.perf_counter(), 0
    while session.step() is not None:
        written += 1
    return written / (time.perf_counter() - began)
