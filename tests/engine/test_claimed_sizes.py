"""Sizes that a file claims are believed only as far as its bytes go: one error at once, and little memory."""

from __future__ import annotations

import io
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import torch
import zstandard
from numpy.lib import format as npy

from engine.corpus.jsonl import packed_texts
from engine.data.arrays import open_array
from engine.formats.untrusted_files import read_npz, read_torch
from engine.model.language_model import load_model
from engine.model.model_files import WEIGHTS, WEIGHTS_INDEX
from store.files.errors import MonosemError
from tests.engine.trained import model_folder

VAST = 10**12


def npz(path: Path) -> None:
    """An archive with the head of a vast array and nothing after it."""
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (VAST, 8)})
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("W_enc.npy", head.getvalue())


def view(path: Path) -> None:
    """A tensor of one number, seen 10^12 times."""
    torch.save({"W": torch.zeros(1).expand(VAST)}, path)


def sparse(path: Path) -> None:
    """A vast tensor without a number."""
    torch.save({"W": torch.sparse_coo_tensor(torch.zeros(1, 0), torch.zeros(0), (VAST,))}, path)


def negative(path: Path) -> None:
    """An array of fewer than no rows."""
    with path.open("wb") as stream:
        npy.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (-5, 16)})
        stream.write(bytes(640))


def vast(path: Path) -> None:
    """Chunks of which none was written."""
    with h5py.File(path, "w") as file:
        file.create_dataset("acts", (VAST, 64), "f4", chunks=(1024, 64))


def elsewhere(path: Path) -> None:
    """Values in another file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("acts", (4, 4), "f4", external=[("/etc/hostname", 0, 64)])


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [
        ("params.npz", npz, read_npz),
        ("ae.pt", view, read_torch),
        ("ae.pt", sparse, read_torch),
        ("acts.npy", negative, lambda path: open_array(str(path))),
        ("acts.h5", vast, lambda path: open_array(str(path))),
        ("acts.h5", vast, lambda path: open_array(f"{path}:acts")),
        ("acts.h5", elsewhere, lambda path: open_array(f"{path}:acts")),
    ],
)
def test_arrays(name: str, make: Callable[[Path], None], read: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(MonosemError, match=name.replace(".", r"\.")) as raised:
        read(tmp_path / name)
    assert str(raised.value).count("\n") == 1


def test_a_packed_line_without_end_is_cut_early(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor().compressobj()
    packed = pack.compress(b'{"text": "') + b"".join(pack.compress(bytes([97]) * (1 << 22)) for _ in range(60))
    (tmp_path / "a.jsonl.zst").write_bytes(packed + pack.flush())
    tracemalloc.start()
    try:
        with pytest.raises(MonosemError, match="line 1: longer than 64 MiB"):
            list(packed_texts(tmp_path / "a.jsonl.zst", "text"))
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("claims") / "model", "gpt2")


def changed(model: Path, folder: Path, **claims: object) -> str:
    """A copy of a model with other numbers in its config.json."""
    copy = Path(shutil.copytree(model, folder / "model"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | claims))
    return str(copy)


@pytest.mark.parametrize(
    "claims",
    [
        {"n_layer": 10**9},
        {"n_head": 10**9},
        {"n_embd": 10**9},
        {"vocab_size": 10**9},
        {"vocab_size": 10**18},
        {"n_positions": 10**9},
        {"n_embd": 8192, "n_inner": 10**6},
        {"n_experts": 10**9},
    ],
    ids=str,
)
def test_a_model_larger_than_its_weights(model: Path, claims: dict[str, int], tmp_path: Path) -> None:
    folder = changed(model, tmp_path, **claims)
    with pytest.raises(MonosemError, match=r"config\.json(: .* and the weights are| cannot be used)"):
        load_model(folder, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("named", ["../model.safetensors", "/etc/hostname", "..", "a/b", ""])
def test_weights_outside_of_the_model(model: Path, named: str, tmp_path: Path) -> None:
    folder = Path(changed(model, tmp_path))
    shutil.move(folder / WEIGHTS, tmp_path / WEIGHTS)
    (folder / WEIGHTS_INDEX).write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(MonosemError, match=r"index\.json is damaged"):
        load_model(str(folder), device=torch.device("cpu"), dtype=torch.float32)


def test_a_model_of_links_as_the_hub_keeps_them(model: Path, tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    blobs = Path(shutil.copytree(model, tmp_path / "blobs"))
    for path in blobs.iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(Path("..") / "blobs" / path.name)
    assert load_model(str(tmp_path / "snapshot"), device=torch.device("cpu"), dtype=torch.float32).n_layers


@pytest.mark.parametrize("name", ["tokenizer.json", "added_tokens.json", "tokenizer_config.json"])
def test_a_token_with_a_vast_id(model: Path, name: str, tmp_path: Path) -> None:
    folder = Path(changed(model, tmp_path))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["much"] = 3_999_999_999
    forged = {
        "tokenizer.json": tokenizer,
        "added_tokens.json": {"much": 3_999_999_999},
        "tokenizer_config.json": {"model_max_length": 10**30, "added_tokens_decoder": {"3999999999": {}}},
    }
    (folder / name).write_text(json.dumps(forged[name]))
    with pytest.raises(MonosemError, match=f"{name} has .* but one with the id 3,999,999,999"):
        load_model(str(folder), device=torch.device("cpu"), dtype=torch.float32)
