"""Two autoencoders that other libraries trained, against the figures stated of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine.data.contexts import ContextBatch
from engine.formats.foreign_sae import Stated
from engine.formats.hook_names import site_of_hook
from engine.formats.registry import read
from engine.formats.self_check import ReadPlace, captured, checked, places_to_try
from engine.model.language_model import LanguageModel
from monosem_tui.cli.main import run
from store.index.reader import FeatureStore
from tests.engine.formats.stories import CONTEXT, LAST, last_contexts, stories_lm, stories_tokens
from tests.engine.tiny_models import randomised
from tests.shared_data import shared_path


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The model they read."""
    return stories_lm()


@pytest.fixture(scope="module")
def contexts(lm: LanguageModel) -> ContextBatch:
    """The text of the figures."""
    return last_contexts(stories_tokens(lm))


@pytest.mark.parametrize(
    ("name", "explained"), [("saelens_topk", 0.920), pytest.param("sparsify_topk", 0.939, marks=pytest.mark.slow)]
)
def test_the_stated_figures(lm: LanguageModel, contexts: ContextBatch, name: str, explained: float) -> None:
    foreign = read(shared_path(f"formats/{name}"))
    assert foreign.hook in ("model.layers.2", "")
    site = site_of_hook(lm, "model.layers.2")
    assert (site.name, site.layer) == ("resid_post", 2)
    sites = places_to_try(lm, ReadPlace(site))
    rows = captured(lm, sites, iter([contexts]))
    stated = Stated(explained_variance=explained, l0=16.0)
    found = checked(foreign, sites, rows, "its last contexts", stated)
    assert found.verdict == "agrees"
    assert found.tokens == LAST * (CONTEXT - 1)
    assert found.trials[0].explained_variance == pytest.approx(explained, abs=0.003)
    assert found.trials[0].l0 == pytest.approx(16.0, abs=0.01)
    assert max(found.trials, key=lambda one: one.explained_variance).explained_variance < explained + 0.003


def test_imported_indexed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    out = tmp_path / "saelens"
    common = ["--model", str(model), "--data", str(text), "--device", "cpu"]
    source = str(shared_path("formats/saelens_topk"))
    assert run(["import", source, *common, "--out", str(out), "--explained-variance", "0.92"]) == 0
    printed = capsys.readouterr().out
    assert "place     resid_post 2 of " in printed and "(its model.layers.2)" in printed
    assert "check     agrees" in printed
    assert run(["index", str(out), "--tokens", "20k", "--device", "cpu"]) == 0
    assert run(["show", str(out), "5"]) == 0
    assert "fires on" in capsys.readouterr().out
    assert run(["eval", str(out), "--tokens", "5k", "--device", "cpu"]) == 0
    assert run(["verify", str(out)]) == 0
    with FeatureStore.open(out) as store:
        assert store.columns.count_F.sum() / store.n_counted == pytest.approx(16.0, abs=0.01)


@pytest.mark.parametrize("layer", [*(pytest.param(layer, marks=pytest.mark.slow) for layer in (0, 3, 4)), 1])
def test_a_wrong_layer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], layer: int) -> None:
    """One layer off or two, it is the file's own that is named, and no neighbour of the one that was given."""
    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    wrong = ["--layer", str(layer), "--site", "resid_post", "--device", "cpu", "--data", str(text)]
    for name, more in (("sparsify_topk", ""), ("saelens_topk", ", which the file names")):
        source = str(shared_path(f"formats/{name}"))
        assert run(["import", source, "--model", str(model), *wrong, "--out", str(tmp_path / name)]) == 0
        said = capsys.readouterr().out
        assert f"likely wrong layer, resid_post 2 fits{more} (--site resid_post --layer 2)" in said, said


def test_a_dictionary_of_another_model_is_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same architecture with weights drawn anew: no place of it fits, and none is advised."""
    from transformers import AutoModelForCausalLM

    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    network = randomised(AutoModelForCausalLM.from_pretrained(model))
    network.save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).write_bytes((model / name).read_bytes())
    common = ["--model", str(tmp_path / "model"), "--data", str(text), "--device", "cpu", "--layer", "2"]
    for name in ("sparsify_topk", "saelens_topk"):
        source, out = str(shared_path(f"formats/{name}")), str(tmp_path / name)
        assert run(["import", source, *common, "--site", "resid_post", "--out", out]) == 0
        said = capsys.readouterr().out
        assert "check     doubtful: another model? " in said and "likely" not in said, said


@pytest.mark.parametrize("turned", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_file_of_any_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], turned: bool) -> None:
    """Refused with its tensors and the way in; then imported by that, either way round, and called right."""
    state = load_file(shared_path("formats/sparsify_topk") / "sae.safetensors")
    tensors = {"enc.weight": state["encoder.weight"], "enc.bias": state["encoder.bias"]}
    tensors |= {"dec.weight": state["W_dec"], "dec.bias": state["b_dec"]}
    if turned:
        tensors |= {name: tensors[name].T.contiguous() for name in ("enc.weight", "dec.weight")}
    source = tmp_path / "anything.safetensors"
    save_file(tensors, source)
    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    common = ["import", str(source), "--model", str(model), "--data", str(text), "--device", "cpu"]
    assert run(common) == 2
    said = capsys.readouterr().err
    assert "no format that monosem knows: dec.bias [64], dec.weight [" in said and "--tensors W_enc=NAME" in said
    names = "W_enc=enc.weight,W_dec=dec.weight,b_enc=enc.bias,b_dec=dec.bias"
    way_in = ["--tensors", names, "--arch", "topk", "--k", "16", "--layer", "2", "--site", "resid_post"]
    assert run([*common, *way_in, "--explained-variance", "0.939", "--out", str(tmp_path / "run")]) == 0
    assert "check     agrees" in capsys.readouterr().out
