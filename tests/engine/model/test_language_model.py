"""Loading models: what comes out, what is refused, and that nothing is printed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import Gemma3ForConditionalGeneration, LlamaModel, T5Config

from engine.model.hooks import logits
from engine.model.language_model import SHORT_NAMES, LanguageModel, load_model
from store.files.errors import MonosemError
from tests.engine.tiny_models import D_MODEL, FAMILIES, LAYERS, VOCAB, tiny, tokens, words_tokenizer
from tests.shared_data import shared_path

CPU = torch.device("cpu")


def load(folder: Path | str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    return load_model(str(folder), device=CPU, dtype=dtype)


def save(family: str, folder: Path) -> Path:
    tiny(family).network.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small LLaMA with its tokenizer."""
    words_tokenizer(bos_token="<s>", eos_token="</s>").save_pretrained(tmp_path / "model")
    return save("llama", tmp_path / "model")


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(MonosemError) as caught:
        load(folder)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    assert len(message) < 500
    return message


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_comes_back(family: str, tmp_path: Path) -> None:
    lm = load(save(family, tmp_path))
    # Heads as narrow as these are widened for attention (engine.model.narrow_heads), which may round otherwise.
    torch.testing.assert_close(logits(lm, tokens()), logits(tiny(family), tokens()), rtol=1e-5, atol=1e-5)
    assert (lm.d_model, lm.n_layers, lm.vocab_size, lm.max_context) == (D_MODEL, LAYERS, VOCAB, 64)
    assert lm.tokenizer is None
    assert not lm.network.training
    assert not any(parameter.requires_grad for parameter in lm.network.parameters())


def test_a_model_that_does_not_fit_is_refused_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    monkeypatch.setattr("engine.model.weights.free_memory", lambda: 2 * numbers)
    load(folder, torch.bfloat16)
    monkeypatch.setattr("engine.model.language_model.load_network", None)
    message = refusal(folder)
    assert message.startswith(f"{folder} needs {4 * numbers / 1e6:.1f} MB of memory, and 0.0 MB are free")
    assert "`dtype=bfloat16`" in message


def test_the_multimodal_wrapper_is_what_is_loaded(tmp_path: Path) -> None:
    assert isinstance(load(save("gemma3", tmp_path)).network, Gemma3ForConditionalGeneration)


def test_dtype(folder: Path) -> None:
    assert {parameter.dtype for parameter in load(folder, torch.bfloat16).network.parameters()} == {torch.bfloat16}


def test_digest_is_that_of_the_weights(folder: Path) -> None:
    lm = load(folder)
    assert lm.digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert lm.revision == ""
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert load(folder).digest != lm.digest


def test_digest_of_weights_in_parts(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    tiny("llama").network.save_pretrained(folder, max_shard_size="20KB")
    together = b"".join(path.read_bytes() for path in sorted(folder.glob("model-*.safetensors")))
    assert load(folder).digest == hashlib.sha256(together).hexdigest()


@pytest.mark.parametrize(
    ("special", "bos", "separator"),
    [
        ({"bos_token": "<s>", "eos_token": "</s>"}, 0, 0),
        ({"eos_token": "</s>"}, None, 0),  # as Qwen: the configuration's BOS is not the tokenizer's
        ({}, None, None),
    ],
)
def test_the_tokenizer_decides_on_special_tokens(
    special: dict[str, str], bos: int | None, separator: int | None
) -> None:
    lm = tiny("llama", tokenizer=words_tokenizer(**special))
    assert lm.network.config.bos_token_id == 1
    assert (lm.bos_id, lm.separator_id) == (bos, separator)


@pytest.mark.parametrize(
    ("bos", "eos", "found"),
    [(1, 2, (1, 1)), (None, 2, (None, 2)), (None, [5, 2], (None, 5)), (None, None, (None, None))],
)
def test_without_a_tokenizer_the_configuration_decides(
    bos: int | None, eos: int | list[int] | None, found: tuple[int | None, int | None]
) -> None:
    lm = tiny("llama")
    lm.network.config.bos_token_id, lm.network.config.eos_token_id = bos, eos
    assert (lm.bos_id, lm.separator_id) == found


def test_short_names() -> None:
    assert SHORT_NAMES == {
        "gpt2": "openai-community/gpt2",
        "llama": "meta-llama/Llama-3.2-3B",
        "gemma": "google/gemma-2-2b",
    }


def test_a_cached_hub_model_tells_its_revision(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = "f" * 40
    home = tmp_path / "hub" / "models--owner--name"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(revision)
    shutil.copytree(folder, home / "snapshots" / revision)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    lm = load("owner/name")
    assert (lm.name, lm.revision, lm.digest) == ("owner/name", revision, load(folder).digest)
    assert lm.tokenizer is not None
    assert lm.tokenizer.convert_tokens_to_ids("w3") == 5


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "not a valid JSON file"),
    "JSON of another kind": (lambda f: (f / "config.json").write_text("[]"), "config.json cannot be used"),
    "binary": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json cannot be used"),
    "wrong type": (lambda f: change_config(f, hidden_size="wide"), "expected int, got str"),
    "impossible": (lambda f: change_config(f, num_attention_heads=5), "not a multiple"),
    "no model type": (lambda f: (f / "config.json").write_text("{}"), "config.json cannot be used"),
    "unknown architecture": (lambda f: change_config(f, model_type="frobnicate"), "does not know"),
    "its own code": (
        lambda f: change_config(f, model_type="own", auto_map={"AutoConfig": "own.Config"}),
        "never runs code from a model",
    ),
    "another width": (
        lambda f: change_config(f, intermediate_size=40),
        "wants model.layers.0.mlp.down_proj.weight to be [32, 40], but the weights have [32, 48]",
    ),
    "more layers": (lambda f: change_config(f, num_hidden_layers=3), "lack 9 tensors"),
    "a broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "the tokenizer in"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_models_are_refused(case: str, folder: Path) -> None:
    damage, expected = BROKEN[case]
    damage(folder)
    message = refusal(folder)
    assert expected in message
    assert str(folder) in message


def test_a_model_that_is_no_language_model(folder: Path) -> None:
    T5Config().save_pretrained(folder)
    assert "t5 model, which has no causal language-model head" in refusal(folder)


def test_a_model_without_its_head(folder: Path) -> None:
    LlamaModel(FAMILIES["llama"]).save_pretrained(folder)
    assert "lm_head.weight is missing" in refusal(folder)


def test_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: pass\n")
    change_config(folder, model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    refusal(folder)
    assert not (folder / "ran").exists()


def with_more_than_belongs_there(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors") | {"left.over": torch.zeros(3)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_loading_prints_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    with_more_than_belongs_there(folder)
    printing = logging.StreamHandler(sys.stderr)  # transformers' own still writes to the stderr that it was loaded with
    logging.getLogger("transformers").addHandler(printing)
    try:
        lm = load(folder)
        assert lm.tokenizer is not None
        lm.tokenizer("w1 " * 100)
        lm.network(input_ids=torch.zeros(1, 3, dtype=torch.long))
    finally:
        logging.getLogger("transformers").removeHandler(printing)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.slow
def test_loading_prints_nothing_in_a_process_of_its_own(folder: Path) -> None:
    with_more_than_belongs_there(folder)
    program = (
        "import sys, torch\nfrom engine.model.language_model import load_model\n"
        "lm = load_model(sys.argv[1], device=torch.device('cpu'), dtype=torch.float32)\n"
        "lm.tokenizer('w1 ' * 100)\nlm.network(input_ids=torch.zeros(1, 3, dtype=torch.long))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stories_continue_as_published() -> None:
    folder = shared_path("models/stories260K")
    lm = load(folder)
    assert lm.tokenizer is not None
    assert (lm.bos_id, lm.separator_id, lm.max_context) == (1, 1, 512)
    ids = torch.tensor([[lm.bos_id]])
    for _ in range(200):
        ids = torch.cat([ids, logits(lm, ids)[:, -1:].argmax(-1)], 1)
    expected = (folder / "expected_greedy_200.txt").read_text()
    assert lm.tokenizer.decode(ids[0], skip_special_tokens=True).strip() == expected.strip()
