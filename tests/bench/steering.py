"""Does a clamp steer? A dictionary is trained on a small story model; `monosem find` names features for some concepts;
each is set to multiples of its maximum, and the concept's words are counted in what the model then writes.

Feature and strength are chosen on texts of other seeds than those that are counted in the end, by one rule: of those
under which the texts stay below a perplexity (of the model without clamps), the one with the largest share of words,
the commonest of them left out. A small model has features for letters: one for `b` writes bird after bird, and means
no birds.

Shapes: R texts side by side, V vocabulary, T positions.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from engine.live.decoder import Decoder
from engine.live.generation import GenerationRow, shown_text
from engine.live.live_model import LiveModel, open_live
from engine.live.prompts import plain_prompt
from engine.live.row_clamps import RowClamps
from engine.model.hooks import logits
from engine.runtime.progress import Silent
from store.live.clamp import parse_clamp
from store.live.model_outputs import perplexity
from store.live.sampling import Sampling
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings
from tests.bench.page import Table
from tests.bench.stories import Stories

MONOSEM = (sys.executable, "-c", "from monosem_tui.entry import main; main()")
PROMPT = "Once upon a time"
CHOOSING, COUNTING = 1000, 50_000
"""First seeds of the texts that choose, and of those that are counted."""
COLUMNS = (
    "concept",
    "found by",
    "clamp",
    "words of the concept: base",
    "clamped",
    "times as many",
    "commonest",
    "times as many without it",
    "perplexity: base",
    "clamped",
)


@dataclass(frozen=True)
class Concept:
    """A concept, and the words that stand for it."""

    name: str
    words: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """Any of its words."""
        return rf"(?i)\b(?:{'|'.join(self.words)})\b"

    @property
    def before(self) -> str:
        """The word in front of one: features that fire there expect it."""
        return rf"(?i)[a-z]+(?= (?:{'|'.join(self.words)})\b)"

    def share(self, texts: Sequence[str], without: str = "") -> float:
        """Share among all words of some texts; one of the concept's words may be left out."""
        counts = self.counts(texts)
        counts.pop(without, None)
        return counts.total() / max(1, sum(len(re.findall(r"[A-Za-z']+", text)) for text in texts))

    def counts(self, texts: Sequence[str]) -> Counter[str]:
        """Count of each word."""
        return Counter(word.lower() for text in texts for word in re.findall(self.pattern, text))

    def commonest(self, texts: Sequence[str]) -> str:
        """The word that is there most often."""
        return max(self.counts(texts).items(), key=lambda found: found[1], default=("", 0))[0]


@dataclass(frozen=True)
class Plan:
    """A dictionary, concepts, and how much is tried and counted."""

    concepts: tuple[Concept, ...]
    training: tuple[str, ...]
    candidates: int
    """Features of each search that are tried."""
    strengths: tuple[float, ...]
    """Multiples of a feature's maximum."""
    perplexity: float
    """The most that a text may have."""
    tried: tuple[int, int]
    """Texts, and tokens of each, that choose."""
    counted: tuple[int, int]
    """Texts, and tokens of each, that are counted in the end."""


CONCEPTS = (
    Concept(
        "feelings", ("sad", "scared", "angry", "upset", "worried", "excited", "proud", "afraid", "surprised", "sorry")
    ),
    Concept("family", ("mom", "mommy", "dad", "daddy", "mother", "father", "brother", "sister", "grandma", "family")),
    Concept(
        "water", ("water", "sea", "ocean", "lake", "river", "pond", "swim", "swam", "boat", "fish", "beach", "wet")
    ),
    Concept("birds", ("bird", "birds", "fly", "flew", "flying", "wings", "nest")),
    Concept("speech", ("said", "asked", "replied", "shouted", "answered", "told", "called", "whispered")),
    Concept("colours", ("red", "blue", "green", "yellow", "pink", "black", "white", "brown", "purple", "orange")),
    Concept("places", ("park", "garden", "house", "forest", "room", "store", "school", "home", "yard", "beach")),
)
FULL = Plan(
    CONCEPTS,
    ("--layer", "4", "--d-sae", "4096", "--k", "16", "--tokens", "2M", "--index-tokens", "600k"),
    candidates=4,
    strengths=(1.0, 1.5, 2.0, 3.0),
    perplexity=20.0,
    tried=(40, 60),
    counted=(50, 100),
)
QUICK = Plan(
    CONCEPTS[:1],
    ("--layer", "3", "--d-sae", "128", "--k", "8", "--tokens", "30k", "--index-tokens", "20k"),
    candidates=2,
    strengths=(1.0, 4.0),
    perplexity=math.inf,
    tried=(4, 30),
    counted=(4, 30),
)


@dataclass(frozen=True)
class Candidate:
    """A feature that was found, and how strongly it is set."""

    feature: int
    found_by: str
    f1: float
    strength: float

    @property
    def clamp(self) -> str:
        """As it is written."""
        return f"{self.feature}=max*{self.strength:g}@response"


def measure(plan: Plan = FULL, run: Path | None = None) -> Table:
    """Train, search, choose and count; with `run`, on a dictionary that there is."""
    with tempfile.TemporaryDirectory() as folder:
        if run is None:
            stories, run = Stories.find(), Path(folder) / "run"
            words = ["train", "--model", str(stories.model), "--data", str(stories.text), "--out", str(run)]
            monosem(*words, "--context", "256", *plan.training)
        live = open_live(RunFolder(run), ReopenSettings(device="cpu", dtype="float32"), Silent())
        rows, texts = [], []
        for concept in plan.concepts:
            best = chosen(live, run, concept, plan)
            if best is None:
                rows.append((concept.name, "nothing below the perplexity", *["–"] * (len(COLUMNS) - 2)))
                continue
            row, text = counted(run, concept, best, plan)
            rows.append(row)
            texts.append(text)
    notes = (
        f"Of {plan.counted[0]} texts of {plan.counted[1]} tokens behind “{PROMPT}”, temperature 1, seeds from "
        f"{COUNTING}: `monosem generate RUN --prompt … --clamp … --samples … --temperature 1 --json`. "
        f"Chosen on {plan.tried[0]} texts of {plan.tried[1]} tokens, seeds from {CHOOSING}, among the "
        f"{plan.candidates} best features of `monosem find RUN WORDS`, of the same with --last, "
        "and of the word in front, at "
        f"{', '.join(f'{s:g}' for s in plan.strengths)} times their maximum, at a perplexity "
        f"of {plan.perplexity:g} at most.",
        f"The dictionary: `monosem train {' '.join(plan.training)}`.",
        *texts,
    )
    return Table(COLUMNS, rows, notes)


def chosen(live: LiveModel, run: Path, concept: Concept, plan: Plan) -> Candidate | None:
    """The feature and strength with which the concept's words are most frequent."""
    best, most = None, -1.0
    for candidate in candidates(run, concept, plan):
        texts, strangeness = written(live, candidate.clamp, *plan.tried, seed=CHOOSING)
        share = concept.share(texts, concept.commonest(texts))
        if strangeness <= plan.perplexity and share > most:
            best, most = candidate, share
    return best


def candidates(run: Path, concept: Concept, plan: Plan) -> list[Candidate]:
    """The features that `monosem find` names, each once, with every strength."""
    found: dict[int, tuple[str, float]] = {}
    for name, words in (
        ("words", (concept.pattern,)),
        ("words, --last", (concept.pattern, "--last")),
        ("the word in front", (concept.before, "--last")),
    ):
        answer = json.loads(monosem("find", str(run), *words, "--json", "--set", "0", "--top", str(plan.candidates)))
        for one in answer["results"]:
            found.setdefault(one["feature"], (name, one["f1"]))
    return [
        Candidate(feature, name, f1, strength) for feature, (name, f1) in found.items() for strength in plan.strengths
    ]


@torch.inference_mode()
def written(live: LiveModel, clamp: str, texts: int, tokens: int, *, seed: int) -> tuple[list[str], float]:
    """Texts under a clamp, all side by side, and their perplexity under the model without it."""
    prompt = plain_prompt(live, PROMPT)
    force = RowClamps(live, [parse_clamp(clamp)], prompt.layout)
    samplings = (Sampling(max_new=tokens, temperature=1.0, seed=seed + number) for number in range(texts))
    rows = [GenerationRow(live, prompt, sampling) for sampling in samplings]
    decoder = Decoder(live)
    while any(row.text.end is None for row in rows):
        stop = len(prompt.tokens) + max(len(row.text.tokens) for row in rows)
        logits_RV = decoder.feed([row.upcoming(decoder.length, stop) for row in rows], [force] * len(rows))
        for row, logits_V in zip(rows, logits_RV, strict=True):
            if row.text.end is None:
                row.draw(logits_V, functional.log_softmax(logits_V, dim=-1))
    longest = len(prompt.tokens) + max(len(row.text.tokens) for row in rows)
    ids_RT = torch.tensor([row.upcoming(0, longest) for row in rows])
    log_probs_RTV = functional.log_softmax(logits(live.lm, ids_RT).float(), dim=-1)
    own = [
        float(log_probs_RTV[number, len(prompt.tokens) + place - 1, token])
        for number, row in enumerate(rows)
        for place, token in enumerate(row.text.tokens)
    ]
    return [shown_text(live, row.text) for row in rows], perplexity(own) or math.inf


def counted(run: Path, concept: Concept, candidate: Candidate, plan: Plan) -> tuple[tuple[str, ...], str]:
    """A row of the table from `monosem generate`, and the first text in which the concept turns up."""
    samples, tokens = plan.counted
    answer: dict[str, Any] = json.loads(
        monosem(
            "generate",
            str(run),
            "--prompt",
            PROMPT,
            "--clamp",
            candidate.clamp,
            "--samples",
            str(samples),
            "--max-new",
            str(tokens),
            "--temperature",
            "1",
            "--seed",
            str(COUNTING),
            "--device",
            "cpu",
            "--json",
        )
    )
    sides = {side: [one[side]["text"] for one in answer["samples"]] for side in ("base", "clamped")}
    strange = {
        "base": perplexity([value for one in answer["samples"] for value in one["base"]["logprobs"]]),
        "clamped": perplexity([value for one in answer["samples"] for value in one["own_logprobs"]]),
    }
    base, clamped = (concept.share(texts) for texts in sides.values())
    word = concept.commonest(sides["clamped"])
    base_rest, clamped_rest = (concept.share(texts, word) for texts in sides.values())
    row = (
        concept.name,
        f"{candidate.found_by} (F1 {candidate.f1:.2f})",
        f"`{candidate.clamp}`",
        f"{100 * base:.2f} %",
        f"{100 * clamped:.2f} %",
        _times(clamped, base),
        word,
        _times(clamped_rest, base_rest),
        *(f"{value:.1f}" if value is not None else "–" for value in strange.values()),
    )
    number = next((n for n, text in enumerate(sides["clamped"]) if re.search(concept.pattern, text)), 0)
    first, second = (_short(PROMPT + sides[side][number]) for side in ("base", "clamped"))
    return row, f"{concept.name}, seed {COUNTING + number}. Base: “{first}” Clamped: “{second}”"


def _times(more: float, less: float) -> str:
    return f"{more / less:.1f}" if less else "–"


def _short(text: str, longest: int = 220) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0] + " …"


def monosem(*words: str) -> str:
    """Output of a command."""
    done = subprocess.run([*MONOSEM, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"monosem {' '.join(words[:2])}: {done.stderr.strip()}")
    return done.stdout
