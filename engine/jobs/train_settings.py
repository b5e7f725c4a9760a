"""Fill in the defaults of a training that depend on its other settings and on the widths of its sites."""

from __future__ import annotations

from dataclasses import replace

from engine.runtime.devices import pick_device, products_in_bfloat16
from engine.sae.base import SaeSettings
from engine.sae.registry import architecture
from engine.sae.shard import ALL_FEATURES, FeatureShard
from engine.training.trainer import TrainerSettings
from store.files.errors import MonosemError
from store.settings.architectures import Architecture, Sparsity, known_architecture, listed
from store.settings.round_numbers import nearest_power_of_two
from store.settings.train import TrainSettings

LR_AT_UNIT = 3.84
"""Learning rate times √(d_in · d_sae), at LR_K active features. At 64 to 1 024 that is 0.015, the best of 0.001 to 0.03
there (docs/log.md); decoder entries shrink with √d_in, and the share of tokens that a feature learns from with the
number of its rivals."""
LR_K = 16
"""The learning rate grows with √(k / LR_K), as the share of tokens that a feature learns from grows with k; where a
penalty decides the sparsity it has its value at LR_K."""
MOST_LR_K = 32
"""k from which it grows no more: beyond, encoders overshoot and lose active features (docs/log.md)."""
LR_BATCH = 128
"""Tokens per step below which the learning rate falls with their root (docs/decisions/015-learning-rate.md)."""
TRANSCODER_LR = 2.0
"""Learning rate of a transcoder, as a multiple of an autoencoder's (docs/log.md)."""
DEFAULT_K = 32
BUFFER_BYTES = 1 << 29
MAX_BUFFER = 1 << 17
"""Most rows in the shuffle buffer; more did not change explained variance (docs/log.md)."""
MAX_DEAD_AFTER = 10_000_000
"""Gao et al. 2024, section 2.4."""


def resolved(
    settings: TrainSettings, d_in: int, *, d_out: int | None = None, width: int | None = None
) -> TrainSettings:
    """Return the settings with every default filled in.

    Args:
        settings: as they were asked for.
        d_in: width of the site that is read.
        d_out: width of the site that a transcoder explains; None for an autoencoder.
        width: of a row in the shuffle buffer, which also holds the sites of other trainings on the same pass.

    Raises:
        MonosemError: a value is impossible.
    """
    s = settings
    if s.d_sae is not None and s.expansion is not None:
        raise MonosemError("`d_sae` and `expansion` say the same thing twice", "Give one of them.")
    d_sae = s.d_sae or d_in * (s.expansion or 16)
    batch = _batch(s)
    known, sae = known_architecture(s.arch), architecture(s.arch)
    if d_out is not None and not known.transcodes:
        raise MonosemError(
            f"{s.arch} explains what it reads, not another site", f"Choose one of: {listed(transcodes=True)}."
        )
    steer = _steering(s, known)
    k = (min(DEFAULT_K, d_sae) if s.k is None else s.k) if steer == "k" else None
    found = replace(
        s,
        d_sae=d_sae,
        expansion=None,
        k=k,
        l1=(sae.l1_at_unit * d_in**0.5 if s.l1 is None else s.l1) if steer == "l1" else None,
        lr=s.lr or _lr(sae.lr_share * (TRANSCODER_LR if d_out else 1), d_in * d_sae, k, batch),
        batch=batch,
        buffer=s.buffer or max(8 * batch, min(MAX_BUFFER, BUFFER_BYTES // (4 * (width or d_in + (d_out or 0))))),
        dead_after=s.dead_after or min(MAX_DEAD_AFTER, max(s.tokens // 10, 1)),
    )
    sae_settings(found, d_in, d_out)
    return found


def _lr(share: float, weights: int, k: int | None, batch: int) -> float:
    """Return the learning rate of an encoder of so many weights, which is `share` times TopK's."""
    of_k = (min(k or LR_K, MOST_LR_K) / LR_K) ** 0.5
    return float(share * LR_AT_UNIT / weights**0.5 * of_k * min(1.0, batch / LR_BATCH) ** 0.5)


def _batch(settings: TrainSettings) -> int:
    tokens = settings.tokens
    batch = settings.batch or min(nearest_power_of_two(tokens / 2000, 256, 4096), tokens)
    if batch < 2:
        raise MonosemError(f"a training step needs at least 2 tokens, not {batch}", "Raise `batch` and `tokens`.")
    if batch > tokens:
        raise MonosemError(f"`batch={batch}` is more than `tokens={tokens}`")
    return batch


def _steering(settings: TrainSettings, known: Architecture) -> Sparsity:
    """Return the setting that decides the sparsity: the given one, else the architecture's default."""
    wanted: tuple[Sparsity, Sparsity] = ("k", "l1")
    given = [name for name in wanted if getattr(settings, name) is not None]
    for name in given:
        if name not in known.steered_by:
            others = " or ".join(f"`{other}`" for other in known.steered_by)
            raise MonosemError(f"`{name}` has no meaning for {known.name}", f"Its L0 follows from {others}.")
    if len(given) > 1:
        raise MonosemError("`k` and `l1` both decide how sparse features are", "Give one of them.")
    return given[0] if given else known.steered_by[0]


def sae_settings(
    settings: TrainSettings, d_in: int, d_out: int | None = None, shard: FeatureShard = ALL_FEATURES
) -> SaeSettings:
    """Return the autoencoder's own settings, from resolved ones."""
    assert settings.d_sae is not None
    k_aux = settings.k or SaeSettings.k_aux
    s = settings
    return SaeSettings(d_in=d_in, d_sae=settings.d_sae, k=s.k, l1=s.l1, k_aux=k_aux, d_out=d_out, shard=shard)


def trainer_settings(
    settings: TrainSettings, d_in: int, d_out: int | None = None, shard: FeatureShard = ALL_FEATURES
) -> TrainerSettings:
    """Return the trainer's settings, from resolved ones; `shard` says which of the features this process trains."""
    s = settings
    assert s.batch is not None and s.lr is not None and s.dead_after is not None
    steps = max(1, s.tokens // s.batch)
    return TrainerSettings(
        arch=s.arch,
        sae=sae_settings(s, d_in, d_out, shard),
        lr=s.lr,
        batch=s.batch,
        steps=steps,
        warmup=max(1, steps // 20),
        decay=max(1, steps // 2),
        dead_after=s.dead_after,
        seed=s.seed,
        products="bfloat16" if products_in_bfloat16(s.dtype, pick_device(s.device)) else "float32",
    )
