"""Times from pieces of work: extrapolated, ended inside a forward pass, or worked out from a model's sizes alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from engine.model.hooks import logits
from engine.model.sites import resolve_site
from engine.resources import timing
from engine.resources.timing import limited, seconds_for, weights_until
from monosem_tui.cli.main import run as monosem
from tests.engine.tiny_models import tiny

CPU = torch.device("cpu")


class Clock:
    """Work that takes `fixed` seconds and `each` per unit, by a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fixed: float, each: float) -> None:
        self.now, self.fixed, self.each = 0.0, fixed, each
        self.sizes: list[int] = []
        monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def work(self, n: int) -> None:
        self.sizes.append(n)
        self.now += self.fixed + self.each * n + (3.0 if len(self.sizes) == 1 else 0.0)


def test_time_follows_a_straight_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, fixed=1.0, each=0.01)
    assert seconds_for(clock.work, 10_000, CPU, first=10, limit=20.0) == pytest.approx(101.0)
    assert clock.sizes[:4] == [10, 10, 20, 40]
    assert clock.now < 30
    assert max(clock.sizes) < 10_000


def test_all_of_the_work_is_measured_where_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, fixed=0.5, each=0.001)
    assert seconds_for(clock.work, 30, CPU, first=64, limit=10.0) == pytest.approx(0.53)
    assert set(clock.sizes) == {30}


def test_slow_work_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, fixed=0.0, each=7.0)
    assert seconds_for(clock.work, 8, CPU, limit=2.0) == pytest.approx(8 * 10.0)
    assert clock.sizes == [1]


def test_work_that_ended_early_counts_by_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, fixed=0.0, each=5.0)

    def quarter(n: int) -> float:
        clock.work(n)
        return 0.25

    assert seconds_for(quarter, 2, CPU, limit=1.0) == pytest.approx(2 * 4 * 8.0)


def test_the_weights_up_to_a_site_are_those_of_its_blocks() -> None:
    lm = tiny("llama")
    block = sum(p.numel() for p in lm.network.get_submodule("model.layers.0").parameters() if p.ndim > 1)
    sites = [resolve_site(lm, name, layer) for name, layer in (("resid_pre", 1), ("resid_post", 0), ("resid_post", 1))]
    assert [sum(weights_until(lm, site).values()) for site in sites] == [block, block, 2 * block]
    assert sum(weights_until(lm).values()) == lm.n_layers * block


def test_of_experts_those_count_that_a_token_meets() -> None:
    lm = tiny("mixtral")
    whole = sum(p.numel() for p in lm.network.get_submodule("model.layers").parameters() if p.ndim > 1)
    assert 0 < sum(weights_until(lm).values()) < whole


def test_a_forward_pass_ends_when_time_is_up() -> None:
    lm, tokens_BT = tiny("llama"), torch.zeros(1, 4, dtype=torch.long)
    seen: list[int] = []
    done = limited(lm, None, 0.0, lambda: seen.append(len(logits(lm, tokens_BT))))
    assert 0 < done < 0.5
    assert not seen
    assert limited(lm, None, 99.0, lambda: seen.append(len(logits(lm, tokens_BT)))) == 1.0
    assert seen == [1]


@pytest.mark.parametrize("with_tokenizer", [False, True])
def test_a_configuration_alone_can_be_planned_for(
    with_tokenizer: bool, tmp_path: Path, tiny_lm: Path, tiny_text: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (tiny_lm / "model").iterdir():
        if path.name == "config.json" or (with_tokenizer and path.name.startswith("token")):
            shutil.copy(path, folder)
    given = ["--data", str(tiny_text), "--device", "cpu", "--layer", "1", "--d-sae", "64", "--tokens", "4k"]
    line = ["train", "--model", str(folder), *given, "--out", str(tmp_path / "run")]
    assert monosem([*line, "--dry-run", "--json"]) == 0
    captured = capfd.readouterr()
    found = json.loads(captured.out)
    assert captured.err.startswith("working out what it would take")
    assert "are not here" in captured.err
    assert [stage["seconds"] > 0 for stage in found["stages"]] == [True] * 4
    weights = next(one["n_bytes"] for one in found["memory"]["items"] if one["what"] == "the language model")
    assert weights > 0
    assert monosem(line) == 2
    assert "holds no weights" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "text.txt"]
