"""Sealed files: complete or absent, and no changed byte goes unnoticed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.files.contiguous import ArraySpan
from store.files.errors import MonosemError
from store.files.schema import NEWEST_VERSION
from store.files.sealed_hdf5 import (
    SCHEMA_VERSION,
    SEAL_BYTES,
    check_version,
    create_sealed,
    dataset_states,
    open_sealed,
    put,
    read_seal,
    seal_holds,
)
from store.verify.run_check import verify_file
from tests.store.raw import flip, reseal

VALUES = np.arange(3000, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sealed file with two contiguous datasets, a packed one and an empty one."""
    made = tmp_path / "it.h5"
    with create_sealed(made, "sae") as file:
        put(file, "a", VALUES)
        put(file.create_group("in"), "b", VALUES[:10].astype(np.int64))
        put(file, "packed", VALUES, packed=True)
        put(file, "empty", VALUES[:0].reshape(0, 4))
    return made


def offset_of(path: Path, values: np.ndarray) -> int:
    return path.read_bytes().index(values.tobytes())


def test_the_documented_head(path: Path) -> None:
    content = path.read_bytes()
    digest = hashlib.sha256(content[512:]).hexdigest()
    head = f"monosem sae schema {SCHEMA_VERSION} bytes {len(content)} sha256 {digest}\n".encode()
    assert content[:512] == head + bytes(512 - len(head))
    seal = read_seal(path)
    assert (seal.kind, seal.schema_version, seal.n_bytes, seal.sha256) == ("sae", SCHEMA_VERSION, len(content), digest)
    with h5py.File(path) as file:  # any HDF5 program reads it
        assert file.attrs["kind"] == "sae"
        assert file["a"].attrs["sha256"] == hashlib.sha256(b"<f4(3000,)" + VALUES.tobytes()).hexdigest()


def test_a_sound_file(path: Path) -> None:
    assert seal_holds(path)
    with open_sealed(path, "sae") as file:
        assert _damaged(file) == []
        for name in ("a", "packed"):
            np.testing.assert_array_equal(file[name][()], VALUES)
        assert ArraySpan.of(path, file["a"]).mapped().tobytes() == VALUES.tobytes()
        assert ArraySpan.of(path, file["in/b"]).mapped().tolist() == list(range(10))
        assert ArraySpan.of(path, file["empty"]).mapped().shape == (0, 4)


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    contents = set()
    for name in ("x.h5", "y.h5"):
        with create_sealed(tmp_path / name, "sae") as file:
            put(file, "a", VALUES)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("kept", [0, 1, SEAL_BYTES - 1, SEAL_BYTES, 600, -1])
def test_truncated(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    wanted = "is truncated" if kept >= SEAL_BYTES or kept == -1 else "not a monosem file, or its head is damaged"
    for read in (read_seal, seal_holds, lambda p: open_sealed(p, "sae")):
        with pytest.raises(MonosemError, match=rf"it\.h5 (is )?{wanted.removeprefix('is ')}"):
            read(path)


def test_something_behind_the_end(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(MonosemError, match=r"it\.h5"):
        open_sealed(path, "sae")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 300, b"\x89HDF\r\n\x1a\n" * 200, bytes(5000)])
def test_another_kind_of_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(MonosemError, match=r"it\.h5 is not a monosem file"):
        open_sealed(path, "sae")


def test_an_ordinary_hdf5_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = VALUES
    with pytest.raises(MonosemError, match="not a monosem file"):
        open_sealed(path, "sae")


def test_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="does not exist"):
        open_sealed(tmp_path / "none.h5", "sae")
    with pytest.raises(MonosemError, match="not a regular file"):
        open_sealed(tmp_path, "sae")


def test_another_kind(path: Path) -> None:
    with pytest.raises(MonosemError, match="is a monosem sae file, not a features file"):
        open_sealed(path, "features")


@pytest.mark.parametrize("at", [0, 8, 20, 40, 60, 100, 500])
def test_a_flipped_byte_in_the_head(path: Path, at: int) -> None:
    flip(path, at)
    with pytest.raises(MonosemError, match=r"it\.h5"):
        open_sealed(path, "sae")


def test_any_flipped_byte_behind_the_head_is_found(path: Path) -> None:
    size = path.stat().st_size
    for at in [SEAL_BYTES, SEAL_BYTES + 8, *range(SEAL_BYTES + 100, size, 611), size - 1]:
        flip(path, at)
        assert not seal_holds(path), at
        flip(path, at)
    assert seal_holds(path)


def _damaged(file: h5py.File) -> list[str]:
    return [name for name, whole in dataset_states(file) if not whole]


def test_the_damaged_dataset_is_named(path: Path) -> None:
    flip(path, offset_of(path, VALUES) + 4000)
    with open_sealed(path, "sae") as file:
        assert _damaged(file) == ["a"]
    flip(path, offset_of(path, VALUES[:10].astype(np.int64)) + 3)
    with open_sealed(path, "sae") as file:
        assert _damaged(file) == ["a", "in/b"]


def test_a_damaged_superblock(path: Path) -> None:
    flip(path, SEAL_BYTES)  # the signature of HDF5 itself
    with pytest.raises(MonosemError, match=r"it\.h5 is damaged"):
        open_sealed(path, "sae")


def test_a_failure_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeyError), create_sealed(path, "sae") as file:
        put(file, "a", VALUES)
        raise KeyError("stop")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_schema_is_refused_and_an_older_one_opens(path: Path) -> None:
    content = path.read_bytes()
    ours = f"schema {SCHEMA_VERSION} ".encode()
    assert content.count(ours) >= 1
    path.write_bytes(content.replace(ours, b"schema 0 ", 1))
    assert read_seal(path).schema_version == 0
    with open_sealed(path, "sae") as file:
        assert len(file["a"]) == 3000
    path.write_bytes(content.replace(ours, b"schema 8 ", 1))
    with pytest.raises(MonosemError) as raised:
        open_sealed(path, "sae")
    assert raised.value.what == f"{path} has schema version 8; this monosem reads up to {NEWEST_VERSION}"
    assert re.search("Upgrade monosem", raised.value.hint)


def test_versions() -> None:
    for version in range(NEWEST_VERSION + 1):
        check_version(version, Path("x"))
    with pytest.raises(MonosemError, match=f"x has schema version {NEWEST_VERSION + 1}"):
        check_version(NEWEST_VERSION + 1, Path("x"))


def _external(file: h5py.File, other: Path) -> None:
    file.create_dataset("vocab/strings", (4,), np.uint8, external=[(str(other), 0, 4)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "x", (2,))
    file.create_virtual_dataset("vocab/strings", layout)


def _soft(file: h5py.File, other: Path) -> None:
    file["vocab/strings"] = h5py.SoftLink("/a")


def _outside(file: h5py.File, other: Path) -> None:
    file["vocab/strings"] = h5py.ExternalLink(str(other), "/x")


@pytest.mark.parametrize("add", [_external, _virtual, _soft, _outside])
def test_a_sealed_file_that_refers_to_others_is_not_believed(
    path: Path, tmp_path: Path, add: Callable[[h5py.File, Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"TOPSECRET")
    open_sealed(path, "sae").close()  # sound before; what was found of it then holds no longer
    with h5py.File(path, "r+") as file:
        file.create_group("vocab")
        add(file, secret)
    reseal(path)
    assert seal_holds(path)
    with pytest.raises(MonosemError, match=r"it\.h5 refers to other files: vocab/strings (is a link|keeps its values)"):
        open_sealed(path, "sae")
    finding = verify_file(path)
    assert not finding.ok
    assert "refers to other files: vocab/strings" in finding.detail
    with h5py.File(path) as file:
        assert "vocab/strings" not in {name for name, whole in dataset_states(file) if whole}


def test_a_sealed_file_under_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "it.h5").symlink_to(path)
    (tmp_path / "near.h5").symlink_to("it.h5")
    (tmp_path / "near").symlink_to(".")
    with pytest.raises(MonosemError, match="is a link out of its folder"):
        open_sealed(tmp_path / "far" / "it.h5", "sae")
    for name in ("near.h5", "near/it.h5"):
        with open_sealed(tmp_path / name, "sae") as file:
            assert len(file["a"]) == len(VALUES)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sae.h5")
    assert verify_file(tmp_path / "sae.h5").detail == f"{tmp_path / 'sae.h5'} is not a regular file"
