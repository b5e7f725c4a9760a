"""What work takes before it is done: disk, memory, floating-point operations. Arithmetic only, nothing is looked at.

Bytes are written out where they arise: a weight in training is 4 of float32, 8 of Adam's two moments, 4 of gradient.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K active features a token, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.corpus.reading_order import WINDOW_BYTES
from engine.data.activations import FORWARD_TOKENS
from engine.evaluation.quality import LOGIT_BYTES
from engine.indexing.index_run import LISTED
from engine.sae.base import ENCODE_BYTES
from engine.training.loop import SAMPLE_ROWS
from store.index.merge import BYTES_PER_ENTRY, MERGE_BYTES
from store.index.segment_writer import ENTRY_BYTES, FEATURE_BYTES, TOKEN_BYTES

FLOAT = 4
ADAM = 2 * FLOAT
ASSUMED_L0 = 64
"""Active features a token where the architecture does not fix them."""
DENSE_COPIES = {"topk": 2, "batchtopk": 2, "matryoshka": 2, "relu": 5, "l1-norm": 5, "jumprelu": 6, "gated": 8}
"""Arrays of [B, F] alive at once in a training step, measured where they are most (the penalty not yet warmed up)."""
DENSE_FLOPS = {"gated": 14}
"""Of a token's step while most features are active, by D·F; 10 for architectures not named here."""


@dataclass(frozen=True)
class Need:
    """One thing that takes room."""

    what: str
    n_bytes: int
    """At its largest."""
    settings: str = ""
    """Settings that change it, named as in errors: "`batch`, `d_sae`"."""
    phase: str = ""
    """When it takes it; "" for all the time. Phases follow each other."""
    kept: int = 0
    """Of disk: bytes that stay when the work is done."""
    present: bool = False
    """Whether it is taken already."""


@dataclass(frozen=True)
class Stage:
    """One stretch of work."""

    name: str
    tokens: int
    flops: int
    seconds: float | None = None
    """None where nothing was tried out."""


@dataclass(frozen=True)
class Plan:
    """What a command takes."""

    command: str
    disk: tuple[Need, ...] = ()
    host: tuple[Need, ...] = ()
    device: tuple[Need, ...] = ()
    """Memory of an accelerator; empty where the processor does the work."""
    stages: tuple[Stage, ...] = ()

    @property
    def flops(self) -> int:
        """Of all stages."""
        return sum(stage.flops for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Of all stages; None where one of them is not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None


def peak(needs: Iterable[Need], *, further: bool = False) -> int:
    """The most bytes taken at one time: what is always there, and the largest phase. `further`: not yet taken."""
    sums: dict[str, int] = {"": 0}
    for need in needs:
        if not (further and need.present):
            sums[need.phase] = sums.get(need.phase, 0) + need.n_bytes
    always = sums.pop("")
    return always + max(sums.values(), default=0)


@dataclass(frozen=True, kw_only=True)
class SaeWork:
    """An autoencoder and how it is trained."""

    arch: str
    d_in: int
    d_sae: int
    k: int | None
    d_out: int | None = None
    """Of a transcoder: width of what it explains."""
    batch: int

    @property
    def width(self) -> int:
        """D + O, values of a token that are looked at."""
        return self.d_in + (self.d_out or 0)

    @property
    def parameters(self) -> int:
        """F·(D + O) + F + O, with O = D in an autoencoder, and D more in a transcoder."""
        out = self.d_out or self.d_in
        return (self.d_in + out + 1) * self.d_sae + self.width

    @property
    def n_active(self) -> int:
        """Active features a token, assumed where they are not fixed."""
        return self.k or min(ASSUMED_L0, self.d_sae)

    @property
    def state_bytes(self) -> int:
        """12·P + 8·F: weights, both moments of Adam, a counter a feature; a checkpoint has up to 4·B·D more."""
        return (FLOAT + ADAM) * self.parameters + 8 * self.d_sae

    @property
    def step_flops(self) -> int:
        """Of one token's step: the encoder's product 2·D·F, the rest 8·K·D. Steered by l1, 10·D·F and more at first."""
        if self.k is None:
            return DENSE_FLOPS.get(self.arch, 10) * self.d_in * self.d_sae
        return 2 * self.d_in * self.d_sae + 8 * self.k * self.d_in

    @property
    def encode_flops(self) -> int:
        """Of encoding one token: 2·D·F."""
        return 2 * self.d_in * self.d_sae


@dataclass(frozen=True, kw_only=True)
class ModelWork:
    """A language model and how far it runs."""

    parameters: int
    n_bytes: int
    """As loaded."""
    share: float
    """Of its layers that run before the site is reached."""
    d_model: int
    vocab: int
    context: int
    row_bytes: int
    """Of one value in its dtype."""

    @property
    def site_flops(self) -> int:
        """Of one token up to the site: 2 · parameters · share, embeddings left out."""
        return round(2 * max(self.parameters - self.vocab * self.d_model, 0) * self.share)

    @property
    def flops(self) -> int:
        """Of one token through the whole model: 2 · parameters."""
        return 2 * self.parameters

    @property
    def forward_bytes(self) -> int:
        """Of one forward of FORWARD_TOKENS: some 12 rows of the stream's width a token (q, k, v, the MLP's layers)."""
        return max(FORWARD_TOKENS, self.context) * 12 * self.d_model * self.row_bytes

    @property
    def logit_bytes(self) -> int:
        """Of the evaluation's logits: as made, in float32, and their softmax."""
        made = min(FLOAT * self.vocab * FORWARD_TOKENS, LOGIT_BYTES)
        return 3 * max(made, FLOAT * self.vocab * self.context)


def index_bytes(n_active: int, d_sae: int, tokens: int) -> int:
    """Of features.h5 without weights: 10 bytes a non-zero (12 beyond 65 536 features), 13 a token, the columns.

    A non-zero is kept twice: feature (2 or 4) and activation (2) forward, token (4) and activation (2) inverted. A
    token has its id (4), its row's start (8) and whether it counts; a feature some 60 bytes and three lists of LISTED.
    """
    a_nonzero = 10 if d_sae <= 1 << 16 else 12
    return a_nonzero * n_active * tokens + 13 * tokens + (60 + 3 * LISTED * 8) * d_sae


def training_needs(saes: Sequence[SaeWork], buffer: int, row_bytes: int) -> tuple[Need, ...]:
    """Memory of training autoencoders on one pass, with `buffer` rows of `row_bytes` shuffled at a time.

    Weights 4·P, moments 8·P, gradients 4·P of each; [B, F] a few times, of one after the other; the buffer three
    times: in use, being made, and while it is laid out.
    """
    weights = sum((2 * FLOAT + ADAM) * sae.parameters for sae in saes)
    sample = min(SAMPLE_ROWS, buffer)
    step = max(
        DENSE_COPIES[sae.arch] * FLOAT * sae.batch * sae.d_sae + (8 * sae.batch + sample) * FLOAT * sae.width
        for sae in saes
    )
    return (
        Need("weights, gradients and Adam's moments", weights, "`d_sae`", "training"),
        Need("a training step", step, "`batch`, `d_sae`", "training"),
        Need("shuffle buffer", 3 * buffer * row_bytes, "`buffer`", "training"),
    )


def looking_needs(sae: SaeWork, model: ModelWork, tokens: int, phase: str) -> tuple[Need, ...]:
    """Device memory of evaluating or indexing: weights, and pre-activations of one forward, made and sorted."""
    encoded = min(ENCODE_BYTES, FLOAT * sae.d_sae * min(FORWARD_TOKENS, tokens))
    found = [
        Need("weights", FLOAT * sae.parameters, "`d_sae`", phase),
        Need("features of a forward", 2 * encoded, "`d_sae`", phase),
    ]
    if phase == "evaluating":
        found.append(Need("logits", model.logit_bytes, "`context`", phase))
    return tuple(found)


def index_needs(sae: SaeWork, tokens: int, memory: int) -> tuple[Need, ...]:
    """Host memory of an index: segments while they are collected and sorted, then the merge; `memory` bounds both."""
    entries, columns = sae.n_active * tokens, FEATURE_BYTES * sae.d_sae
    segment = min(memory, columns + ENTRY_BYTES * entries + TOKEN_BYTES * tokens)
    merging = min(memory, columns + 4 * tokens + min(BYTES_PER_ENTRY * entries, MERGE_BYTES))
    return (
        Need("a segment of the index", segment, "`memory`", "indexing"),
        Need("merging the index", merging, "`memory`", "merging"),
    )


def index_disk(sae: SaeWork, tokens: int) -> tuple[Need, ...]:
    """Disk of an index: segments and features.h5 lie beside each other until the merge is done."""
    entries = index_bytes(sae.n_active, sae.d_sae, tokens)
    weights = FLOAT * sae.parameters
    return (Need("index", 2 * (entries + weights), "`index_tokens`", kept=entries + weights),)


def training_disk(sae: SaeWork) -> tuple[Need, ...]:
    """Disk of a training: two checkpoints while one replaces the other, then sae.h5."""
    weights = FLOAT * sae.parameters
    checkpoint = sae.state_bytes + FLOAT * sae.batch * sae.width
    return (
        Need("checkpoints", 2 * checkpoint, "`d_sae`"),
        Need("sae.h5", weights, "`d_sae`", kept=weights),
    )


def extraction_disk(rows: int, d_in: int, width: int) -> tuple[Need, ...]:
    """Disk of extracted activations: D values of `width` bytes a row, with token (4), context (8) and position (4)."""
    total = rows * (d_in * width + 16)
    return (Need("activations", total, "`tokens`, `keep`", kept=total),)


def extraction_needs(rows: int, d_in: int, width: int, text_bytes: int, shard_bytes: int) -> tuple[Need, ...]:
    """Host memory of an extraction: a shard in pieces, and the same laid end to end."""
    shard = min(rows * d_in * width, shard_bytes)
    return (
        Need("a shard, twice", 2 * shard, "`keep`"),
        Need("text held for shuffling", min(text_bytes, WINDOW_BYTES), "`data`"),
    )


@dataclass(frozen=True, kw_only=True)
class LmWork:
    """A GPT-2-architecture network to be trained."""

    vocab: int
    context: int
    layers: int
    d_model: int
    d_mlp: int
    batch_tokens: int
    tokens: int
    row_bytes: int
    """Of one value in the dtype of the matrix products."""

    @property
    def parameters(self) -> int:
        """V·d + T·d + L·(4·d² + 2·d·m + 9·d + m) + 2·d, the output tied to the embedding."""
        d, m = self.d_model, self.d_mlp
        return (self.vocab + self.context + 2) * d + self.layers * (4 * d * d + 2 * d * m + 9 * d + m)

    @property
    def flops(self) -> int:
        """6 a parameter and token: 2 forward, 4 backward."""
        return 6 * self.parameters * self.tokens

    def needs(self, text_bytes: int) -> tuple[Need, ...]:
        """Memory: weights, moments and gradients; what backward needs of each layer; logits with their gradient."""
        layer = (14 * self.d_model + 3 * self.d_mlp) * max(self.row_bytes, FLOAT)
        logits = self.vocab * (self.row_bytes + 3 * FLOAT)
        return (
            Need("weights, gradients and Adam's moments", 16 * self.parameters, "`d_model`, `layers`"),
            Need("a training step", self.batch_tokens * (self.layers * layer + logits), "`batch`"),
            Need("text held for shuffling", min(text_bytes, WINDOW_BYTES), "`data`"),
        )

    def disk(self) -> tuple[Need, ...]:
        """Two checkpoints of weights and moments, then the model."""
        return (
            Need("checkpoints", 2 * (FLOAT + ADAM) * self.parameters, "`d_model`, `layers`"),
            Need("model", FLOAT * self.parameters, "`d_model`, `layers`", kept=FLOAT * self.parameters),
        )


def largest(needs: Sequence[Need], count: int = 2) -> list[Need]:
    """The needs not yet met that take most at the moment of the peak."""
    further = [need for need in needs if not need.present]
    sums = {phase: sum(n.n_bytes for n in further if n.phase == phase) for phase in {n.phase for n in further} - {""}}
    worst = max(sums, key=lambda phase: sums[phase], default="")
    at_peak = [need for need in further if need.phase in ("", worst)]
    return sorted(at_peak, key=lambda need: -need.n_bytes)[:count]
