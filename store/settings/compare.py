"""Settings of `monosem compare`: units of text, what is judged, and the nulls beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.settings.setting import Settings, optional, setting
from store.settings.subject import SubjectSettings


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """Settings of a comparison of the dictionaries of two runs."""

    unit: Literal["token", "word"] = setting(
        "token", "What is compared: the shortest spans between token boundaries common to both, or words"
    )
    value: Literal["max", "sum", "last"] = setting(
        "max", "A feature's value at a unit: the largest of its tokens', their sum, or the last token's"
    )
    least: int = setting(20, "Units that a feature must fire on to be judged, half of them in each half", "N", least=2)
    shifts: int = setting(5, "Times that one side is shifted by whole documents, as a null", "N", most=1000)
    baselines: bool = setting(True, "Compare with the runs' baselines that are made", unset="`baselines=True`")
    resamplings: int = setting(200, "Times that documents are resampled for the intervals", "N", least=10, most=100_000)
    memory: int = setting(
        1_000_000_000, "Memory for activations and pairs of features (500M, 4G)", "SIZE", least=1_000_000
    )
    jobs: int | None = setting(
        None, "Threads that compare features, in the memory of one", "N", unset="one a core", least=1, most=256
    )
    seed: int = setting(0, "Of shifts and resamplings", "N")
    data: str | None = setting(None, "Text to index all runs on first, beside their own", "DATA", unset="their own")
    tokens: int = setting(500_000, "Tokens of `data` to index", "COUNT")
    model_pass: bool = setting(False, "Run the models too: explained variance that the shared features keep alone")
    device: str | None = optional(SubjectSettings, "device", "as in training")
