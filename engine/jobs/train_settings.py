"""What a training run was asked for, and the rules that fill in the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engine.jobs.subject import SubjectSettings
from engine.runtime.devices import pick_device, products_in_bfloat16
from engine.sae.base import Sae, SaeSettings, Sparsity
from engine.sae.registry import ARCHITECTURES, architecture
from engine.training.schedule import nearest_power_of_two
from engine.training.trainer import TrainerSettings
from store.files.errors import MonosemError

LR_AT_UNIT = 3.84
"""Learning rate times √(d_in · d_sae). At 64 to 1 024 that is 0.015, the best of 0.001 to 0.03 there (docs/log.md);
decoder entries shrink with √d_in, and the share of tokens a feature learns from with its number of rivals."""
TRANSCODER_LR = 2.0
"""Learning rate of a transcoder, as a multiple of an autoencoder's (docs/log.md)."""
DEFAULT_K = 32
BUFFER_BYTES = 1 << 29
MAX_BUFFER = 1 << 17
"""Rows in the shuffle buffer at the most; more did not change explained variance (docs/log.md)."""
MAX_DEAD_AFTER = 10_000_000
"""Gao et al. 2024, section 2.4."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings(SubjectSettings):
    """Settings of `monosem train`. None stands for a default that depends on the others; `resolved` fills them in."""

    tokens: int = 2_000_000
    activations: str | None = None
    """Folder of shards to read instead of running the model."""
    arch: str = "topk"
    d_sae: int | None = None
    expansion: int | None = None
    """Features as a multiple of d_in; 16 where d_sae is not given either."""
    k: int | None = None
    l1: float | None = None
    lr: float | None = None
    batch: int | None = None
    buffer: int | None = None
    """Activations shuffled at a time."""
    dead_after: int | None = None
    """Tokens of silence after which a feature counts as dead while training."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; None for one every two minutes."""
    log_to: str = ""
    """Where log lines go beside events.jsonl: names of engine.training.sinks, separated by commas."""
    index: bool = True
    index_tokens: int = 1_000_000

    def resolved(self, d_in: int, *, d_out: int | None = None, width: int | None = None) -> TrainSettings:
        """The same with every default filled in.

        Args:
            d_in: width of what is read.
            d_out: width of what a transcoder explains; None for an autoencoder.
            width: of a row in the shuffle buffer, which may hold what other trainings read as well.

        Raises:
            MonosemError: a value is impossible.
        """
        self._check_positive()
        if self.d_sae is not None and self.expansion is not None:
            raise MonosemError("--d-sae and --expansion say the same thing twice", "Give one of them.")
        d_sae = self.d_sae or d_in * (self.expansion or 16)
        batch = self.batch or min(nearest_power_of_two(self.tokens / 2000, 256, 4096), self.tokens)
        if batch < 2:
            raise MonosemError(f"a training step needs at least 2 tokens, not {batch}", "Raise --batch and --tokens.")
        if batch > self.tokens:
            raise MonosemError(f"--batch {batch} is more than --tokens {self.tokens}")
        sae = architecture(self.arch)
        if d_out is not None and not sae.transcodes:
            able = ", ".join(name for name, one in ARCHITECTURES.items() if one.transcodes)
            raise MonosemError(f"{self.arch} explains what it reads, not another site", f"Choose one of: {able}.")
        steer = self._steering(sae)
        resolved = replace(
            self,
            d_sae=d_sae,
            expansion=None,
            k=(min(DEFAULT_K, d_sae) if self.k is None else self.k) if steer == "k" else None,
            l1=(sae.l1_at_unit * d_in**0.5 if self.l1 is None else self.l1) if steer == "l1" else None,
            lr=self.lr or sae.lr_share * (TRANSCODER_LR if d_out else 1) * LR_AT_UNIT / (d_in * d_sae) ** 0.5,
            batch=batch,
            buffer=self.buffer or max(8 * batch, min(MAX_BUFFER, BUFFER_BYTES // (4 * (width or d_in + (d_out or 0))))),
            dead_after=self.dead_after or min(MAX_DEAD_AFTER, max(self.tokens // 10, 1)),
        )
        resolved.sae_settings(d_in, d_out)
        return resolved

    def _steering(self, sae: type[Sae]) -> Sparsity:
        """Which setting decides the sparsity: the one that was given, else the architecture's default."""
        given: list[Sparsity] = []
        if self.k is not None:
            given.append("k")
        if self.l1 is not None:
            given.append("l1")
        for name in given:
            if name not in sae.steered_by:
                flags = " or ".join(f"--{other}" for other in sae.steered_by)
                raise MonosemError(f"--{name} has no meaning for {self.arch}", f"Its L0 follows from {flags}.")
        if len(given) > 1:
            raise MonosemError("--k and --l1 both decide how sparse features are", "Give one of them.")
        return given[0] if given else sae.steered_by[0]

    def _check_positive(self) -> None:
        for name in ("tokens", "d_sae", "expansion", "lr", "batch", "buffer", "dead_after", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise MonosemError(f"--{name.replace('_', '-')} must be positive, not {value}")

    def sae_settings(self, d_in: int, d_out: int | None = None) -> SaeSettings:
        """The autoencoder's own settings; of resolved settings only."""
        assert self.d_sae is not None
        k_aux = self.k or SaeSettings.k_aux
        return SaeSettings(d_in=d_in, d_sae=self.d_sae, k=self.k, l1=self.l1, k_aux=k_aux, d_out=d_out)

    def trainer_settings(self, d_in: int, d_out: int | None = None) -> TrainerSettings:
        """The trainer's settings; of resolved settings only."""
        assert self.batch is not None and self.lr is not None and self.dead_after is not None
        steps = max(1, self.tokens // self.batch)
        return TrainerSettings(
            arch=self.arch,
            sae=self.sae_settings(d_in, d_out),
            lr=self.lr,
            batch=self.batch,
            steps=steps,
            warmup=max(1, steps // 20),
            decay=max(1, steps // 2),
            dead_after=self.dead_after,
            seed=self.seed,
            products="bfloat16" if products_in_bfloat16(self.dtype, pick_device(self.device)) else "float32",
        )
