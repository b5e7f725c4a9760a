"""Models of which only a part is loaded: bit for bit what the whole model computes, and nothing after it is held."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.indexing.logit_effects import logit_effects
from engine.model import language_model
from engine.model.hooks import capture, capture_all, logits, runs_before
from engine.model.language_model import LanguageModel, describe_model, load_model
from engine.model.sites import resolve_site
from engine.runtime.devices import multiplies
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from tests.engine.tiny_models import FAMILIES, LAYERS, tiny, tokens

CPU = torch.device("cpu")


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def saved(folder: Path, family: str = "llama", dtype: torch.dtype = torch.float32) -> Path:
    tiny(family, dtype).network.save_pretrained(folder)
    return folder


def described(folder: Path, dtype: str = "auto", progress: Silent | None = None) -> LanguageModel:
    return describe_model(str(folder), device=CPU, dtype=dtype, progress=progress)


@pytest.mark.parametrize("family", FAMILIES)
def test_up_to_a_layer(family: str, tmp_path: Path) -> None:
    lm, whole = described(saved(tmp_path, family)), load_model(str(tmp_path), device=CPU, dtype=torch.float32)
    assert lm.network.device.type == "meta"
    site = resolve_site(lm, "resid_post", 0)
    assert site == resolve_site(whole, "resid_post", 0)
    assert torch.equal(capture(lm, site, tokens()), capture(whole, site, tokens()))
    assert not any(f".{site.module.rpartition('.')[0]}.1." in f".{name}" for name, _ in lm.network.named_parameters())
    assert lm.n_layers == LAYERS
    assert torch.equal(lm.unembedding(), whole.unembedding())
    W_dec_FD = torch.randn(3, site.d_in, generator=torch.Generator().manual_seed(0))
    before, after = (logit_effects(one, site, W_dec_FD, 4) for one in (lm, whole))
    assert (before.top_value_FT == after.top_value_FT).all()
    assert (before.top_id_FT == after.top_id_FT).all()
    assert lm.loaded is not True
    assert torch.equal(logits(lm, tokens()), logits(whole, tokens()))
    assert lm.loaded is True
    assert torch.equal(capture(lm, site, tokens()), capture(whole, site, tokens()))


def test_an_unembedding_of_its_own_is_not_held(tmp_path: Path) -> None:
    lm = described(saved(tmp_path))
    lm.load(["model.layers.0"])
    assert "lm_head.weight" not in lm.network.state_dict()
    assert torch.equal(lm.unembedding(), load_file(tmp_path / "model.safetensors")["lm_head.weight"])


def test_layers_of_several_sites(tmp_path: Path) -> None:
    lm = described(saved(tmp_path))
    first = resolve_site(lm, "mlp_in", 0)
    alone = capture(lm, first, tokens())
    assert lm.missing([first.module]) == 0
    assert lm.missing(["model.layers.1.mlp"]) > 0
    later = resolve_site(lm, "mlp_out", 1)
    both = capture_all(lm, [first, later], tokens())
    assert lm.loaded is True  # the last layer: nothing is left out
    assert torch.equal(both[0], alone)
    assert lm.missing() == 0


@pytest.mark.parametrize("path", ["model.norm", "model.embed_tokens", "model.layers.0.mlp.act_fn"])
def test_module_paths(path: str, tmp_path: Path) -> None:
    lm = described(saved(tmp_path))
    site = resolve_site(lm, path, None)
    whole = load_model(str(tmp_path), device=CPU, dtype=torch.float32)
    assert torch.equal(capture(lm, site, tokens()), capture(whole, site, tokens()))


def test_large_models_are_rehearsed_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "LARGE", 1)
    monkeypatch.setattr(language_model, "load_network", None)
    lm = described(saved(tmp_path, "gemma3_text"))
    assert resolve_site(lm, "model.layers.1.mlp.down_proj:input", None).d_in == 48
    assert runs_before(lm, resolve_site(lm, "mlp_in", 0), resolve_site(lm, "mlp_out", 1))
    with pytest.raises(MonosemError, match="has no layer 2"):
        resolve_site(lm, "resid_post", 2)


def test_the_weights_still_to_be_loaded(tmp_path: Path) -> None:
    lm = described(saved(tmp_path))
    stored = load_file(tmp_path / "model.safetensors")
    later = [tensor for name, tensor in stored.items() if ".layers.1." in name or name.startswith("lm_head")]
    whole = 4 * sum(tensor.numel() for tensor in stored.values())
    assert lm.missing() == whole
    assert lm.missing(["model.layers.0.mlp"]) == whole - 4 * sum(tensor.numel() for tensor in later)


def test_lines_while_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "LARGE", 1)
    notes = Notes()
    lm = described(saved(tmp_path), progress=notes)
    lm.load(["model.layers.0"])
    lm.load(["model.layers.0"])
    lm.load()
    assert [line.partition(": ")[2] for line in notes.lines] == ["0.0 MB, 1 of 2 layers", "0.1 MB"]


@pytest.mark.parametrize("able", [True, False], ids=["native", "emulated"])
def test_the_dtype_of_the_weights_where_it_is_native(
    able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": able, "avx512_bf16": able})
    folder = saved(tmp_path, dtype=torch.bfloat16)
    notes = Notes()
    if multiplies(torch.bfloat16, CPU):
        assert described(folder, progress=notes).network.dtype == torch.bfloat16
        assert not notes.lines
    else:
        assert described(folder, progress=notes).network.dtype == torch.float32
        assert notes.lines == ["computing in float32: this processor does not multiply the model's bfloat16 natively"]
        assert described(folder, "bfloat16", notes).network.dtype == torch.bfloat16
        assert notes.lines[1] == "this processor does not multiply bfloat16 natively: float32 may be faster"


def test_models_in_float32_stay(tmp_path: Path) -> None:
    assert described(saved(tmp_path)).network.dtype == torch.float32


def test_a_layer_that_is_missing_is_told_when_it_is_loaded(tmp_path: Path) -> None:
    stored = load_file(saved(tmp_path) / "model.safetensors")
    save_file(
        {n: t for n, t in stored.items() if ".layers.1." not in n}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(MonosemError, match="the weights lack 9 tensors"):
        described(tmp_path).load()
