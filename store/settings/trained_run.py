"""Settings of work on a trained run: indexing and measuring it."""

from __future__ import annotations

from dataclasses import dataclass

from store.settings.setting import optional, setting
from store.settings.subject import ReopenSettings, SubjectSettings


@dataclass(frozen=True, kw_only=True)
class IndexSettings(ReopenSettings):
    """Settings of `monosem index`."""

    tokens: int | None = setting(None, "Tokens to index features over (500k, 2M)", "COUNT", unset="as in training, 1M")
    memory: int | None = setting(
        None,
        "Memory to collect, sort and merge in (500M, 2G)",
        "SIZE",
        unset="a quarter of the machine's, 2G at most",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(ReopenSettings):
    """Settings of `monosem eval`; without text or activations it measures on the training's held-out text."""

    data: str | None = optional(SubjectSettings, "data", "what was held out from the training")
    activations: str | None = setting(None, "Measure on an array: .npy, .h5:DATASET, .safetensors:NAME", "FILE")
    tokens: int | None = setting(None, "Tokens to measure on (500k, 2M)", "COUNT", unset="as in training")
