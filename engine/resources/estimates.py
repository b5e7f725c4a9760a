"""Disk and memory that work needs, estimated before it starts: arithmetic alone, nothing is opened or measured.

Formulas spell out bytes: a weight in training takes 4 of float32, 8 of Adam's two moments, 4 of gradient.

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, K active features per token, V vocabulary, P parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.runtime.sizes import (
    ENCODE_BYTES,
    FORWARD_TOKENS,
    LISTED,
    LOGIT_BYTES,
    SAMPLE_ROWS,
    SCRATCH,
    UNEMBEDDED,
)
from store.index.merge import BYTES_PER_ENTRY, MERGE_BYTES
from store.index.segment_writer import ENTRY_BYTES, FEATURE_BYTES, TOKEN_BYTES, rank_memory
from store.run.counted_noun import TOKEN, CountedNoun
from store.settings.lm import LmSettings

FLOAT = 4
ADAM = 2 * FLOAT
ASSUMED_L0 = 64
"""Active features per token where the architecture does not fix them."""


@dataclass(frozen=True)
class Need:
    """One consumer of disk or memory."""

    what: str
    n_bytes: int
    """Bytes at its peak."""
    settings: str = ""
    """Settings that change it, named as in errors: "`batch`, `d_sae`"."""
    phase: str = ""
    """The phase that needs it; "" for all of them. Phases do not overlap."""
    kept: int = 0
    """Disk only: bytes that remain when the work is done."""
    present: bool = False
    """Whether it is allocated already."""


@dataclass(frozen=True)
class Stage:
    """One stage of the work, for the time estimate."""

    name: str
    tokens: int
    seconds: float | None = None
    """None where it was not timed."""


@dataclass(frozen=True)
class Plan:
    """The needs of a command."""

    command: str
    disk: tuple[Need, ...] = ()
    host: tuple[Need, ...] = ()
    device: tuple[Need, ...] = ()
    """Memory of an accelerator; empty for work on the CPU."""
    stages: tuple[Stage, ...] = ()
    noun: CountedNoun = TOKEN
    """The noun for what stages go over."""
    ranks: int = 1
    """Processes on this machine that share the work. Each takes the memory that is stated."""
    traffic: int = 0
    """Bytes that each of them sends in a training step."""
    in_one: bool = True
    """Whether seconds are those of one process that does all; else of several, without sending and waiting."""

    @property
    def seconds(self) -> float | None:
        """Seconds of all stages; None if one of them is not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None


def peak(needs: Iterable[Need], *, further: bool = False) -> int:
    """Return the most bytes needed at one time: the needs of all phases plus the largest phase's own.

    `further`: leave out what is allocated already.
    """
    sums: dict[str, int] = {"": 0}
    for need in needs:
        if not (further and need.present):
            sums[need.phase] = sums.get(need.phase, 0) + need.n_bytes
    always = sums.pop("")
    return always + max(sums.values(), default=0)


@dataclass(frozen=True, kw_only=True)
class SaeWork:
    """An autoencoder and its batch size."""

    dense_copies: int
    """`Sae.dense_copies` of its architecture."""
    d_in: int
    d_sae: int
    k: int | None
    d_out: int | None = None
    """Width of a transcoder's output."""
    batch: int
    ranks: int = 1
    """Processes that its features are dealt to in training."""

    @property
    def width(self) -> int:
        """D, or D + O in a transcoder: values read per token."""
        return self.d_in + (self.d_out or 0)

    @property
    def parameters(self) -> int:
        """F·(D + O) + F + O, O = D in an autoencoder; D more in a transcoder."""
        out = self.d_out or self.d_in
        return (self.d_in + out + 1) * self.d_sae + self.width

    @property
    def features(self) -> int:
        """Features of the process that has most of them."""
        return -(-self.d_sae // self.ranks)

    @property
    def own_parameters(self) -> int:
        """`parameters` of that process."""
        return replace(self, d_sae=self.features).parameters

    @property
    def gathered_bytes(self) -> int:
        """Values of all processes' candidates for the active features of a batch, and those of one."""
        return 0 if self.ranks == 1 else (self.ranks + 1) * FLOAT * self.batch * self.n_active

    @property
    def n_active(self) -> int:
        """Active features per token, assumed where not fixed."""
        return self.k or min(ASSUMED_L0, self.d_sae)

    @property
    def state_bytes(self) -> int:
        """12·P + 8·F: weights, Adam's moments, a counter per feature. A checkpoint has up to 4·B·D more."""
        return (FLOAT + ADAM) * self.parameters + 8 * self.d_sae


@dataclass(frozen=True, kw_only=True)
class ModelWork:
    """A language model's sizes."""

    d_model: int
    vocab: int
    context: int
    row_bytes: int
    """Bytes of a value in its dtype."""

    def effects(self, d_sae: int) -> Need:
        """Return the memory of logit effects: logits of some features, and rows of the unembedding, in float32."""
        n_bytes = FLOAT * (max(min(SCRATCH, d_sae * self.vocab), self.vocab) + UNEMBEDDED * self.d_model)
        return Need("logit effects", n_bytes, phase="logit effects")

    @property
    def forward(self) -> Need:
        """Memory of a forward pass of FORWARD_TOKENS: some 12 vectors of d_model per token (q, k, v, the MLP)."""
        return Need("a forward", max(FORWARD_TOKENS, self.context) * 12 * self.d_model * self.row_bytes, "`context`")

    @property
    def logit_bytes(self) -> int:
        """Bytes of the evaluation's logits: some rows of two passes, and what the head makes of them."""
        return 3 * min(FLOAT * self.vocab * FORWARD_TOKENS, LOGIT_BYTES)


def index_bytes(n_active: int, d_sae: int, tokens: int) -> int:
    """Return the bytes of features.h5 without weights: 10 per non-zero (12 beyond 65 536 features), 13 per token.

    A non-zero is stored twice: feature (2 or 4) and activation (2) forward, token (4) and activation (2) inverted. A
    token has its id (4), its row's start (8) and a flag (1); a feature some 60 bytes and three lists of LISTED.
    """
    a_nonzero = 10 if d_sae <= 1 << 16 else 12
    return a_nonzero * n_active * tokens + 13 * tokens + (60 + 3 * LISTED * 8) * d_sae


def training_needs(saes: Sequence[SaeWork], buffer: int, row_bytes: int) -> tuple[Need, ...]:
    """Return the memory of training autoencoders in one pass, shuffling `buffer` rows of `row_bytes` at a time.

    Per autoencoder: weights 4·P, moments 8·P, gradients 4·P. Steps run one after another, so the largest counts:
    `dense_copies` arrays of [B, F]. The buffer counts three times: in use, being filled, and being laid out.
    """
    weights = sum((2 * FLOAT + ADAM) * sae.own_parameters for sae in saes)
    sample = min(SAMPLE_ROWS, buffer)
    step = max(
        sae.dense_copies * FLOAT * sae.batch * sae.features
        + (8 * sae.batch + sample) * FLOAT * sae.width
        + sae.gathered_bytes
        for sae in saes
    )
    return (
        Need("weights, gradients and Adam's moments", weights, "`d_sae`", "training"),
        Need("a training step", step, "`batch`, `d_sae`", "training"),
        Need("shuffle buffer", 3 * buffer * row_bytes, "`buffer`", "training"),
    )


def looking_needs(sae: SaeWork, model: ModelWork | None, tokens: int, phase: str) -> tuple[Need, ...]:
    """Return the device memory of evaluating or indexing: weights, and one forward's pre-activations, computed and
    sorted; without a model there are no logits."""
    encoded = min(ENCODE_BYTES, FLOAT * sae.d_sae * min(FORWARD_TOKENS, tokens))
    found = [
        Need("weights", FLOAT * sae.parameters, "`d_sae`", phase),
        Need("features of a forward", 2 * encoded, "`d_sae`", phase),
    ]
    if phase == "evaluating" and model is not None:
        found.append(Need("logits", model.logit_bytes, "`context`", phase))
    return tuple(found)


def index_needs(sae: SaeWork, tokens: int, memory: int, ranks: int = 1) -> tuple[Need, ...]:
    """Return the host memory of an index: a segment being sorted, then the merge; `memory` bounds both.

    Of several ranks each sorts a part in its share of `memory`; one merges when the others are done.
    """
    entries, columns = sae.n_active * tokens, FEATURE_BYTES * sae.d_sae
    segment = min(rank_memory(memory, ranks), columns + (ENTRY_BYTES * entries + TOKEN_BYTES * tokens) // ranks)
    merging = min(memory, columns + 4 * tokens + min(BYTES_PER_ENTRY * entries, MERGE_BYTES)) // ranks
    return (
        Need("a segment of the index", segment, "`memory`", "indexing"),
        Need("merging the index", merging, "`memory`", "merging"),
    )


def index_disk(sae: SaeWork, tokens: int) -> tuple[Need, ...]:
    """Return the disk of an index: segments and features.h5 exist side by side until the merge is done."""
    entries = index_bytes(sae.n_active, sae.d_sae, tokens)
    weights = FLOAT * sae.parameters
    return (Need("index", 2 * (entries + weights), "`index_tokens`", kept=entries + weights),)


def training_disk(sae: SaeWork) -> tuple[Need, ...]:
    """Return the disk of a training: two checkpoints while one replaces the other, then sae.h5."""
    weights = FLOAT * sae.parameters
    checkpoint = sae.state_bytes + FLOAT * sae.batch * sae.width
    return (
        Need("checkpoints", 2 * checkpoint, "`d_sae`"),
        Need("sae.h5", weights, "`d_sae`", kept=weights),
    )


@dataclass(frozen=True)
class LmWork:
    """A GPT-2-architecture network to train."""

    settings: LmSettings
    row_bytes: int
    """Bytes of a value in the dtype of the matrix products."""

    @property
    def parameters(self) -> int:
        """V·d + T·d + L·(4·d² + 2·d·m + 9·d + m) + 2·d, the output tied to the embedding."""
        s, d, m = self.settings, self.settings.d_model, self.settings.mlp_width
        return (s.vocab + s.context + 2) * d + s.layers * (4 * d * d + 2 * d * m + 9 * d + m)

    def needs(self) -> tuple[Need, ...]:
        """Return memory: weights, moments, gradients; each layer's saved activations; logits and their gradient."""
        s = self.settings
        layer = (14 * s.d_model + 3 * s.mlp_width) * max(self.row_bytes, FLOAT)
        logits = s.vocab * (self.row_bytes + 3 * FLOAT)
        return (
            Need("weights, gradients and Adam's moments", 16 * self.parameters, "`d_model`, `layers`"),
            Need("a training step", s.batch_tokens * (s.layers * layer + logits), "`batch`"),
        )

    def disk(self) -> tuple[Need, ...]:
        """Return disk: two checkpoints of weights and moments, then the model."""
        return (
            Need("checkpoints", 2 * (FLOAT + ADAM) * self.parameters, "`d_model`, `layers`"),
            Need("model", FLOAT * self.parameters, "`d_model`, `layers`", kept=FLOAT * self.parameters),
        )


def largest(needs: Sequence[Need]) -> list[Need]:
    """Return the two largest needs at the peak that are not allocated yet."""
    further = [need for need in needs if not need.present]
    sums = {phase: sum(n.n_bytes for n in further if n.phase == phase) for phase in {n.phase for n in further} - {""}}
    worst = max(sums, key=lambda phase: sums[phase], default="")
    at_peak = [need for need in further if need.phase in ("", worst)]
    return sorted(at_peak, key=lambda need: -need.n_bytes)[:2]
