"""Models in GGUF files: found, refused in one line, and read through transformers where the packages are there."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from engine.model import gguf_file
from engine.model.gguf_header import read_gguf_integers
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


def header(*entries: bytes, n_tensors: int = 0, n_keys: int | None = None) -> bytes:
    """Magic, version 3, counts and what follows them."""
    n_keys = len(entries) if n_keys is None else n_keys
    return b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys) + b"".join(entries)


def key(kind: int, value: bytes, name: bytes = b"k") -> bytes:
    """A key with a value of some kind."""
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


def listed(kind: int, length: int, values: bytes = b"") -> bytes:
    """A list that claims a length."""
    return struct.pack("<IQ", kind, length) + values


def tensor(n_dims: int) -> bytes:
    """What describes a tensor, without its shape."""
    return key(n_dims, bytes(12))


FORGED = {
    "keys": (header(n_keys=1 << 60), "claims 0 tensors and 1,152,921,504,606,846,976 keys"),
    "tensors": (header(n_tensors=1 << 60), "claims 1,152,921,504,606,846,976 tensors"),
    "keys that are not there": (header(n_keys=99), "claims 8 bytes at byte 24, behind its end"),
    "tensors that are not there": (header(n_tensors=99), "claims 8 bytes at byte 24"),
    "a list of texts": (header(key(9, listed(8, 1 << 62))), "claims lists of"),
    "a list of numbers": (header(key(9, listed(4, 1 << 20))), "claims a list of 1,048,576 values"),
    "a list of lists": (header(key(9, listed(9, 1 << 21))), "claims a list of 2,097,152 values"),
    "texts that are not there": (header(key(9, listed(8, 9, bytes(72))))[:-8], "claims a list of 9 values"),
    "a long text": (header(key(8, struct.pack("<Q", 1 << 63))), "claims 9,223,372,036,854,775,808 bytes"),
    "a long key": (header(struct.pack("<Q", 1 << 40)), "claims 1,099,511,627,776 bytes"),
    "a list of nothing known": (header(key(9, listed(77, 1, b"1"))), "a value of kind 77"),
    "lists too deep": (header(key(9, listed(9, 1) * 40)), "a value of kind 9"),
    "many small values": (header(key(9, listed(0, 5 << 20, bytes(5 << 20)))), "claims lists of 5,242,880 values"),
    "many axes": (header(tensor((1 << 32) - 1), n_tensors=1, n_keys=0), "claims 34,359,738,372 bytes"),
}
"""Headers that claim what is not there."""


@pytest.mark.parametrize("name", FORGED)
def test_a_header_is_believed_as_far_as_its_bytes_go(name: str, path: Path) -> None:
    content, said = FORGED[name]
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        read_gguf_integers(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_whole_numbers_of_a_header(path: Path) -> None:
    text = struct.pack("<Q", 2) + b"ab"
    path.write_bytes(
        header(
            key(9, listed(9, 2, listed(8, 2, text * 2) + listed(3, 1, bytes(2))), b"lists"),
            key(5, struct.pack("<i", -3), b"one"),
            key(6, struct.pack("<f", 0.5), b"half"),
            key(8, text, b"text"),
            key(10, struct.pack("<Q", 1 << 40), b"two"),
            tensor(0),
            n_tensors=1,
            n_keys=5,
        )
    )
    assert read_gguf_integers(str(path)) == {"one": -3, "two": 1 << 40}
    path.write_bytes(b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + struct.pack(">Q1sIH", 1, b"a", 2, 258))
    assert read_gguf_integers(str(path)) == {"a": 258}


needs_gguf = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("gguf", "accelerate")), reason="needs the extra gguf"
)


@needs_gguf
def test_damaged(path: Path) -> None:
    with pytest.raises(MonosemError, match="is damaged or truncated"):
        describe_model(str(path), device=CPU, dtype="auto")


@needs_gguf
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FORGED["a list of texts"][0], "is damaged or truncated \\(its header claims lists of"),
        (
            header(
                key(8, struct.pack("<Q", 5) + b"llama", b"general.architecture"),
                key(4, struct.pack("<I", 10**9), b"llama.block_count"),
            ),
            "llama.block_count is 1,000,000,000, and the weights are 0 tensors",
        ),
    ],
)
def test_claims_are_refused_in_a_line(content: bytes, said: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(MonosemError, match=said):
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
