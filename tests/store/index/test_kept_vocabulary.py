"""vocabulary.h5: kept, believed only for the same tokenizer, and never trusted beyond its own bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.kept_vocabulary import known_vocabulary, read_vocabulary, save_vocabulary
from store.index.vocabulary import Vocabulary
from store.verify.run_check import verify_file
from tests.store.index.test_vocabulary import ODD
from tests.store.raw import flip, reseal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_vocabulary(tmp_path / "vocabulary.h5", Vocabulary.from_tokens(ODD), "one")
    return tmp_path / "vocabulary.h5"


@pytest.mark.parametrize("tokens", [ODD, [], [b""]])
def test_round_trip(tokens: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "v.h5"
    save_vocabulary(path, Vocabulary.from_tokens(tokens), "one")
    found, digest = read_vocabulary(path)
    assert (found.tokens(range(len(found))), digest) == (tokens, "one")
    assert verify_file(path).ok
    assert [file.name for file in tmp_path.iterdir()] == ["v.h5"]


def test_of_another_tokenizer_or_absent(path: Path) -> None:
    assert known_vocabulary(path, "one") is not None
    assert known_vocabulary(path, "two") is None
    assert known_vocabulary(path.with_name("none.h5"), "one") is None


def test_a_flipped_byte_is_found(path: Path) -> None:
    flip(path, path.stat().st_size // 2)
    assert not verify_file(path).ok


def _shorter(file: h5py.File) -> None:
    offsets = file["offsets"][()]
    del file["offsets"]
    file["offsets"] = offsets[:-1]


def _falling(file: h5py.File) -> None:
    file["offsets"][1] = 10**9


def _linked(file: h5py.File) -> None:
    del file["strings"]
    file["strings"] = h5py.ExternalLink("/etc/passwd", "/")


def _of_floats(file: h5py.File) -> None:
    del file["strings"]
    file["strings"] = np.zeros(4, np.float32)


@pytest.mark.parametrize("forged", [_shorter, _falling, _linked, _of_floats])
def test_a_forged_file_is_not_used(forged: Callable[[h5py.File], None], path: Path) -> None:
    with h5py.File(path, "r+") as file:
        forged(file)
    reseal(path)
    with pytest.raises(MonosemError):
        read_vocabulary(path)
    assert known_vocabulary(path, "one") is None
    assert not verify_file(path).ok


def test_a_link_out_of_the_folder_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    link = tmp_path / "run" / "vocabulary.h5"
    link.symlink_to(path)
    assert known_vocabulary(link, "one") is None
