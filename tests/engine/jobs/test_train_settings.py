"""Settings of a training and its schedules, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.train_settings import resolved, trainer_settings
from engine.training.schedule import lr_factor, resampling_steps, warmth
from store.files.errors import MonosemError
from store.settings.round_numbers import nearest_power_of_two
from store.settings.train import TrainSettings


def test_the_learning_rate_at_its_corners() -> None:
    rates = [lr_factor(step, 100, 10, 50) for step in range(101)]
    assert rates[:11] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    assert rates[10:51] == [1.0] * 41
    assert rates[51:] == pytest.approx([share / 50 for share in range(49, -1, -1)])
    assert [lr_factor(step, 100, 0, 0) for step in (0, 50, 99)] == [1.0, 1.0, 1.0]


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500))
def test_every_step_learns_something(steps: int, warmup: int, decay: int) -> None:
    rates = [lr_factor(step, steps, warmup, decay) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_the_penalty_rises_and_stays() -> None:
    assert [warmth(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmth(0, 0) == 1.0


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(200_000, (25_000, 50_000, 75_000, 100_000)), (8, (1, 2, 3, 4)), (3, (1,)), (1, ())],
)
def test_resampling_steps(steps: int, expected: tuple[int, ...]) -> None:
    assert resampling_steps(steps) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"), [(300, 256), (362, 256), (363, 512), (1, 256), (10**9, 4096), (2900, 4096), (0.0, 256)]
)
def test_nearest_power_of_two(wanted: float, expected: int) -> None:
    assert nearest_power_of_two(wanted, 256, 4096) == expected


def test_defaults_follow_from_the_rest() -> None:
    settings = resolved(TrainSettings(model="m"), 64)
    assert (settings.d_sae, settings.k, settings.l1, settings.batch) == (1024, 32, None, 1024)  # 2M / 2000, rounded
    assert settings.lr == pytest.approx(0.015 * 2**0.5)
    assert settings.dead_after == 200_000
    assert settings.buffer == 1 << 17
    assert resolved(settings, 64) == settings
    trainer = trainer_settings(settings, 64)
    assert (trainer.steps, trainer.warmup, trainer.decay) == (1953, 97, 976)
    assert trainer.tokens == 1953 * 1024
    assert (trainer.sae.k, trainer.sae.k_aux, trainer.sae.l1) == (32, 32, None)
    relu = resolved(TrainSettings(model="m", arch="relu", expansion=2, tokens=300), 8)
    assert (relu.d_sae, relu.k, relu.l1, relu.batch) == (16, None, pytest.approx(8**0.5 / 16), 256)
    gated = resolved(TrainSettings(model="m", arch="gated"), 64)
    assert (gated.k, gated.l1, trainer_settings(gated, 64).sae.k_aux) == (None, 1.0, 32)
    assert gated.lr == pytest.approx(0.006)
    for given_, steered in (({}, (32, None)), ({"k": 7}, (7, None)), ({"l1": 2.0}, (None, 2.0))):
        jumprelu = resolved(TrainSettings(model="m", arch="jumprelu", **given_), 64)
        assert (jumprelu.k, jumprelu.l1) == steered
        assert resolved(jumprelu, 64) == jumprelu
    assert trainer_settings(relu, 8).steps == 1
    wide = resolved(TrainSettings(model="m", tokens=10**9), 8192)
    assert (wide.batch, wide.dead_after, wide.buffer) == (4096, 10_000_000, 8 * 4096)
    assert resolved(TrainSettings(model="m", d_sae=20), 4).k == 20  # no more than there are features
    assert resolved(TrainSettings(model="m", tokens=40), 4).batch == 40


def test_the_learning_rate_grows_with_k_up_to_32() -> None:
    rates = {k: resolved(TrainSettings(model="m", k=k), 64).lr for k in (1, 4, 16, 32, 64, 1024)}
    assert rates[16] == 3.84 / (64 * 1024) ** 0.5 == 0.015
    assert list(rates.values()) == pytest.approx([0.015 * share**0.5 for share in (1 / 16, 1 / 4, 1, 2, 2, 2)])
    jumprelu = TrainSettings(model="m", arch="jumprelu")
    assert resolved(replace(jumprelu, k=4), 64).lr == rates[4]
    assert resolved(replace(jumprelu, l1=2.0), 64).lr == rates[16]  # a penalty decides the sparsity
    assert resolved(TrainSettings(model="m", k=4), 64, d_out=8).lr == 2 * rates[4]


def test_the_learning_rate_falls_with_the_root_of_small_batches() -> None:
    rates = [resolved(TrainSettings(model="m", k=16, batch=batch), 64).lr for batch in (4096, 128, 32)]
    assert rates == pytest.approx([0.015, 0.015, 0.0075])


@pytest.mark.parametrize(
    ("given_", "what"),
    [
        ({"d_sae": 64, "expansion": 4}, "`d_sae` and `expansion`"),
        ({"tokens": 0}, "`tokens` must lie between 1 and 1000000000000000, not 0"),
        ({"lr": 0.0}, "`lr` must be finite and at least 1e-30, not 0.0"),
        ({"lr": float("nan")}, "`lr` must be finite and at least 1e-30, not NaN"),
        ({"lr": float("inf")}, "`lr` must be finite and at least 1e-30, not Infinity"),
        ({"batch": 1}, "at least 2 tokens, not 1"),
        ({"tokens": 1}, "at least 2 tokens, not 1"),
        ({"batch": 512, "tokens": 500}, "`batch=512` is more than `tokens=500`"),
        ({"arch": "relu", "k": 4}, "`k` has no meaning for relu"),
        ({"l1": 4.0}, "`l1` has no meaning for topk"),
        ({"arch": "relu", "l1": -1.0}, "`l1` must be finite and at least 0, not -1.0"),
        ({"k": 0}, "`k` must lie between 1 and"),
        ({"k": 2000, "d_sae": 100}, "k must lie between 1 and d_sae = 100, not 2000"),
        ({"arch": "jumprelu", "k": 4, "l1": 1.0}, "`k` and `l1` both"),
        ({"arch": "gated", "k": 4}, "`k` has no meaning for gated\n  Its L0 follows from `l1`."),
        ({"arch": "vanilla"}, "unknown architecture 'vanilla'"),
    ],
)
def test_impossible_settings_are_refused(given_: dict[str, Any], what: str) -> None:
    with pytest.raises(MonosemError, match=what):
        resolved(TrainSettings(model="m", **given_), 16)


@pytest.mark.parametrize("name", ["d_sae", "expansion", "batch", "buffer", "dead_after", "checkpoint_every"])
@pytest.mark.parametrize("value", [0, -3])
def test_a_count_of_nothing_is_no_default(name: str, value: int) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(MonosemError, match=f"`{name}` must lie between 1 and .*, not {value}"):
        resolved(TrainSettings(model="m", **wrong), 16)
