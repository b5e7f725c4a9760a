"""Settings of `monosem train`: of one sparse autoencoder, and of a grid of them that share one pass of the model."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Self

from store.settings import architectures
from store.settings.setting import setting
from store.settings.subject import SubjectSettings

MAX_NORM = 5.0
"""Distance from the median, as a multiple of the usual, beyond which a token is an outlier."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings(SubjectSettings):
    """Settings of a training. None stands for a default that depends on the others (engine.jobs.train_settings)."""

    tokens: int = setting(2_000_000, "Tokens to train on (500k, 2M)", "COUNT")
    activations: str | None = setting(
        None,
        "Read them, with no model: a run of monosem extract, or an array (.npy, .h5:DATASET, .safetensors)",
        "PATH",
    )
    arch: str = setting("topk", f"Architecture of the autoencoder: {architectures.listed()}", "NAME")
    d_sae: int | None = setting(None, "Number of features", "COUNT")
    expansion: int | None = setting(
        None, "Number of features as a multiple of the site's width", "N", unset="16", least=1
    )
    k: int | None = setting(None, f"Active features per token: {architectures.listed('k')}", "N", unset="32", least=1)
    l1: float | None = setting(
        None, f"Weight of the sparsity penalty: {architectures.listed('l1')} (jumprelu without `k`)", "X", least=0
    )
    lr: float | None = setting(
        None, "Peak learning rate", "X", unset="by width, number of features and `k`", least=1e-30
    )
    batch: int | None = setting(None, "Tokens per training step", "COUNT", unset="256 to 4096, by the tokens")
    buffer: int | None = setting(None, "Activations shuffled at a time", "COUNT", unset="up to 131072")
    dead_after: int | None = setting(
        None,
        "Tokens of silence after which a feature counts as dead while training",
        "COUNT",
        unset="a tenth of the tokens, 10M at most",
    )
    max_norm: float = setting(
        MAX_NORM, "Leave out tokens farther from the median than this many times the usual; 0: none", "X", least=0
    )
    checkpoint_every: int | None = setting(
        None, "Steps between checkpoints", "STEPS", unset="one every two minutes", least=1
    )
    log_to: str = setting("", "Send log lines to tensorboard or wandb too (extras)", "NAME,…")
    eval_tokens: int | None = setting(
        None, "Held-out tokens to evaluate on", "COUNT", unset="what costs an eighth of the training, 2048 at least"
    )
    index: bool = setting(True, "Index and evaluate at the end", unset="`index=True`")
    index_tokens: int = setting(1_000_000, "Tokens to index features over", "COUNT")


@dataclass(frozen=True)
class TrainGrid:
    """Lists of settings: every combination is trained on one pass. An empty list leaves a setting to `settings`."""

    settings: TrainSettings = field(default_factory=TrainSettings)
    """Settings shared by all of them."""
    site: tuple[str, ...] = ()
    layer: tuple[int, ...] = ()
    site_out: tuple[str, ...] = ()
    layer_out: tuple[int, ...] = ()
    arch: tuple[str, ...] = ()
    d_sae: tuple[int, ...] = ()
    expansion: tuple[int, ...] = ()
    k: tuple[int, ...] = ()
    l1: tuple[float, ...] = ()
    seed: tuple[int, ...] = ()

    @classmethod
    def asked(cls, **values: Any) -> Self:
        """Return the grid of a command line: tuples for what may be a list, single values for the rest."""
        lists = {name: value for name, value in values.items() if name in AXES}
        return cls(TrainSettings(**{name: value for name, value in values.items() if name not in AXES}), **lists)


AXES = tuple(one.name for one in fields(TrainGrid) if one.name != "settings")
"""Settings that may be lists, in the order in which the names of runs give them."""
