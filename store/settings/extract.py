"""Settings of `monosem extract`: a model's activations, written to disk."""

from __future__ import annotations

from dataclasses import dataclass

from store.settings.setting import setting
from store.settings.subject import SubjectSettings


@dataclass(frozen=True, kw_only=True)
class ExtractSettings(SubjectSettings):
    """The activations to keep, and their format."""

    tokens: int = setting(2_000_000, "Tokens to keep at least (500k, 2M); contexts are kept whole", "COUNT")
    keep: str = setting("auto", "On disk: auto, float16, bfloat16 or float32", "TYPE")
