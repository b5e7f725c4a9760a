"""Models in GGUF files: found, refused in one line, and read through transformers where the packages are there."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from engine.model import gguf_file
from engine.model.hooks import capture
from engine.model.language_model import describe_model
from engine.model.model_files import local_model
from engine.model.sites import resolve_site
from store.files.errors import MonosemError

CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    return path


def test_by_file_or_folder(path: Path) -> None:
    for name in (path, path.parent):
        files = local_model(str(name))
        assert files is not None
        assert (files.weights, files.folder, files.source) == ((path,), path.parent, {"gguf_file": "a.gguf"})


def test_refused(path: Path) -> None:
    (path.parent / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(MonosemError, match=r"holds 2 \.gguf files\n  Name one: "):
        local_model(str(path.parent))
    (path.parent / "b.gguf").write_bytes(b"GGML")
    with pytest.raises(MonosemError, match=r"b\.gguf is not a GGUF file"):
        local_model(str(path.parent / "b.gguf"))
    part = path.rename(path.parent / "a-00001-of-00002.gguf")
    with pytest.raises(MonosemError, match="is one part of a model"):
        local_model(str(part))


def test_a_config_file_takes_precedence(path: Path) -> None:
    (path.parent / "config.json").write_text("{}")
    with pytest.raises(MonosemError, match=r"has no model\.safetensors"):
        local_model(str(path.parent))


def test_without_the_package(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    with pytest.raises(
        MonosemError, match=r"takes the package gguf, which is not installed\n  pip install 'monosem\[gguf\]'"
    ):
        describe_model(str(path), device=CPU, dtype="auto")


needs_gguf = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("gguf", "accelerate")), reason="needs the extra gguf"
)


@needs_gguf
def test_damaged(path: Path) -> None:
    with pytest.raises(MonosemError, match="is damaged or truncated"):
        describe_model(str(path), device=CPU, dtype="auto")


@needs_gguf
def test_a_small_llama(tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "small.gguf"
    rng = torch.Generator().manual_seed(0)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("small")
    for add, value in (
        (writer.add_context_length, 64),
        (writer.add_embedding_length, 32),
        (writer.add_block_count, 2),
        (writer.add_feed_forward_length, 64),
        (writer.add_head_count, 4),
        (writer.add_head_count_kv, 4),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_rope_freq_base, 10000.0),
        (writer.add_rope_dimension_count, 8),
        (writer.add_vocab_size, 40),
    ):
        add(value)
    shapes = {"token_embd": (40, 32), "output_norm": (32,), "output": (40, 32)}
    for layer in range(2):
        shapes |= {f"blk.{layer}.attn_{name}": (32, 32) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.{name}_norm": (32,) for name in ("attn", "ffn")}
        shapes |= {
            f"blk.{layer}.ffn_gate": (64, 32),
            f"blk.{layer}.ffn_up": (64, 32),
            f"blk.{layer}.ffn_down": (32, 64),
        }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", torch.randn(shape, generator=rng).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    lm = describe_model(str(path), device=CPU, dtype="float32")
    assert (lm.n_layers, lm.d_model, lm.vocab_size, lm.max_context) == (2, 32, 40, 64)
    assert lm.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    site, tokens_BT = resolve_site(lm, "resid_post", 0), torch.arange(8)[None]
    part = capture(lm, site, tokens_BT)
    assert lm.loaded is not True
    assert torch.equal(capture(lm.load(), site, tokens_BT), part)
    assert torch.equal(lm.unembedding(), lm.network.get_output_embeddings().weight)
