"""Models spread over devices: the same numbers as on one, whatever lies elsewhere, and refusals."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from engine.indexing.logit_effects import logit_effects
from engine.indexing.neurons import aligned_neurons
from engine.jobs.refusals import check_subject
from engine.model import extra_packages, placement
from engine.model.head import Head
from engine.model.hooks import capture_all, logits, replaced, rerouted
from engine.model.language_model import LanguageModel, describe_model
from engine.model.placement import DeviceMap, Placement
from engine.model.sites import SITES, Site, resolve_site
from store.files.errors import MonosemError
from store.settings.subject import SubjectSettings
from tests.engine.model.test_weights import saved
from tests.engine.tiny_models import tokens

CPU = torch.device("cpu")
needs_accelerate = pytest.mark.skipif(find_spec("accelerate") is None, reason="needs the extra spread")
ON_DISK: dict[str, DeviceMap] = {
    "llama": {
        "model.embed_tokens": "cpu",
        "model.rotary_emb": "cpu",
        "model.layers.0": "disk",
        "model.layers.1": "cpu",
        "model.norm": "disk",
        "lm_head": "disk",
    },
    "gemma2": {"model": "disk", "lm_head": "disk"},
    "gpt2": {"transformer": "disk", "lm_head": "disk"},
}


def test_refused_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra_packages, "find_spec", lambda name: None)
    with pytest.raises(
        MonosemError,
        match=r"a model spread over devices takes the package accelerate, .*\n  pip install 'monosem\[spread\]'",
    ):
        check_subject(SubjectSettings(device="spread"))


@pytest.mark.parametrize(
    "gpus, parts, dealt",
    [
        (0, 2, [{"cpu": 500}, {"cpu": 500}]),
        (5, 2, [{0: 90, 2: 90, 4: 90, "cpu": 500}, {1: 90, 3: 90, "cpu": 500}]),
        (2, 3, [{0: 45, "cpu": 333}, {1: 90, "cpu": 333}, {0: 45, "cpu": 333}]),
    ],
)
def test_processes_of_a_machine_deal_its_devices(
    monkeypatch: pytest.MonkeyPatch, gpus: int, parts: int, dealt: list[dict[int | str, int]]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (100, 1000))
    monkeypatch.setattr(placement, "free_memory", lambda: 1000)
    assert [placement.memory_of_part(part, parts) for part in range(parts)] == dealt
    assert placement.memory_of_part(0, 1) is None


def spread(folder: Path, device_map: DeviceMap | str, offloaded: Path | None = None) -> LanguageModel:
    placed = Placement(device_map, None if offloaded is None else str(offloaded))
    return describe_model(str(folder), device=CPU, dtype="float32", placement=placed)


def changed(lm: LanguageModel, site: Site) -> torch.Tensor:
    with replaced(lm, site, lambda acts_BTD: acts_BTD * 1.5):
        return logits(lm, tokens())


def assert_same(lm: LanguageModel, whole: LanguageModel) -> None:
    sites = {name: resolve_site(lm, name, 0) for name in SITES}
    assert sites == {name: resolve_site(whole, name, 0) for name in SITES}
    for one, other in zip(
        capture_all(lm, [*sites.values()], tokens()), capture_all(whole, [*sites.values()], tokens()), strict=True
    ):
        assert torch.equal(one, other)
    assert torch.equal(logits(lm, tokens()), logits(whole, tokens()))
    for name in ("resid_pre", "resid_mid", "mlp_act"):
        assert torch.equal(changed(lm, sites[name]), changed(whole, sites[name]))
    found = []
    for model in (lm, whole):
        with rerouted(model, sites["mlp_in"], sites["mlp_out"], lambda read, acts: acts + 0.1 * read):
            found.append(logits(model, tokens()))
    assert torch.equal(*found)
    assert torch.equal(lm.unembedding(), whole.unembedding())
    W_FM = torch.randn(3, sites["mlp_act"].d_in, generator=torch.Generator().manual_seed(0))
    of_neurons = [aligned_neurons(model, sites["mlp_out"], torch.randn(3, model.d_model)) for model in (lm, whole)]
    assert (of_neurons[0] is None) == (of_neurons[1] is None)
    effects = [logit_effects(model, sites["mlp_act"], W_FM, 4) for model in (lm, whole)]
    assert (effects[0].top_value_FT == effects[1].top_value_FT).all()
    heads = [Head(model) for model in (lm, whole)]
    assert heads[0].width == heads[1].width == lm.d_model
    assert torch.equal(*(head.logits(head.hidden(tokens())[0]) for head in heads))


@needs_accelerate
@pytest.mark.parametrize("device_map", [{"": "cpu"}, "auto"], ids=["cpu", "auto"])
def test_all_on_one_device(device_map: DeviceMap | str, tmp_path: Path) -> None:
    saved(tmp_path)
    lm = spread(tmp_path, device_map)
    assert lm.network.device.type == "meta"
    assert_same(lm, describe_model(str(tmp_path), device=CPU, dtype="float32"))


@needs_accelerate
def test_a_part_of_the_memory_is_what_device_map_gets(tmp_path: Path) -> None:
    saved(tmp_path)
    part = Placement(memory=placement.memory_of_part(1, 2))
    lm = describe_model(str(tmp_path), device=CPU, dtype="float32", placement=part)
    assert part.arguments()["max_memory"].keys() == {"cpu"}
    assert_same(lm, describe_model(str(tmp_path), device=CPU, dtype="float32"))


@needs_accelerate
@pytest.mark.parametrize("family", ON_DISK)
def test_parts_that_are_fetched_when_they_are_computed(family: str, tmp_path: Path) -> None:
    saved(tmp_path / "model", family)
    lm = spread(tmp_path / "model", ON_DISK[family], tmp_path / "offloaded")
    assert_same(lm, describe_model(str(tmp_path / "model"), device=CPU, dtype="float32"))
    assert any(weight.is_meta for weight in lm.network.parameters())
