"""A number that a setting takes is in its range; the refusal names the setting."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.live.sampling import Sampling
from store.settings.generate import GenerateSettings
from store.settings.lm import LmSettings
from store.settings.setting import LARGEST, LARGEST_SEED, Settings
from store.settings.train import TrainSettings

REFUSED: list[tuple[type[Settings], str, Any, str]] = [
    (TrainSettings, "tokens", 10**400, f"must lie between 1 and {LARGEST}, not an integer of 1329 bits"),
    (TrainSettings, "tokens", 1e6, "is 1000000.0, not a whole number"),
    (TrainSettings, "tokens", "2M", 'is "2M", not a whole number'),
    (TrainSettings, "k", True, "is true, not a whole number"),
    (TrainSettings, "layer", -1, f"must lie between 0 and {LARGEST}, not -1"),
    (TrainSettings, "seed", 2**63, f"must lie between 0 and {LARGEST_SEED}, not an integer of 64 bits"),
    (TrainSettings, "lr", math.inf, "must be finite and at least 1e-30, not Infinity"),
    (TrainSettings, "l1", np.float32("nan"), "must be finite and at least 0, not NaN"),
    (LmSettings, "vocab", 256, "must lie between 257 and 1000000, not 256"),
    (LmSettings, "layers", 10**9, "must lie between 1 and 10000, not 1000000000"),
    (GenerateSettings, "temperature", -0.1, "must lie between 0 and 100, not -0.1"),
    (GenerateSettings, "top_p", 0, "must lie between 1e-06 and 1, not 0"),
    (GenerateSettings, "samples", 0, "must lie between 1 and 10000, not 0"),
]


@pytest.mark.parametrize(("kind", "name", "value", "said"), REFUSED)
def test_a_number_out_of_range_is_refused_by_name(kind: type[Settings], name: str, value: Any, said: str) -> None:
    values = {name: value}
    with pytest.raises(MonosemError) as error:
        kind(**values)
    assert error.value.what.startswith(f"`{name}` ")
    assert said in error.value.what
    with pytest.raises(MonosemError):
        kind().changed(**values)


def test_numbers_of_other_libraries_become_those_of_python() -> None:
    made = TrainSettings(k=np.int64(5), lr=np.float32(0.5), tokens=np.uint8(7))  # type: ignore[arg-type]
    assert json.loads(json.dumps(asdict(made)))["k"] == 5
    assert (type(made.lr), made.lr, made.tokens) == (float, 0.5, 7)
    assert made.given == ("k", "lr", "tokens")


@pytest.mark.parametrize("temperature", [0, 1e-300, 1e-7, 1, 100])
def test_a_sampling_in_range_is_accepted(temperature: float) -> None:
    Sampling(temperature=temperature, seed=LARGEST_SEED).check()
