"""A model's vocabulary beside a run: decoded once, and again when the tokenizer is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.model import vocabulary
from engine.model.language_model import LanguageModel, describe_model
from engine.model.token_bytes import token_bytes
from engine.model.vocabulary import vocabulary_of
from tests.engine.tiny_models import tiny
from tests.engine.trained import model_folder


def opened(folder: Path) -> LanguageModel:
    return describe_model(str(folder), device=torch.device("cpu"), dtype="auto")


def test_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, kept = model_folder(tmp_path / "model"), tmp_path / "vocabulary.h5"
    lm = opened(folder)
    plain = vocabulary_of(lm, kept)
    assert not kept.exists()
    vocabulary_of(lm, kept, keep=True)
    assert lm.tokenizer is not None
    wanted = token_bytes(lm.tokenizer)
    monkeypatch.setattr(vocabulary, "token_bytes", lambda tokenizer: [b"decoded again"])
    found = vocabulary_of(opened(folder), kept, keep=True)
    assert found.tokens(range(len(found))) == plain.tokens(range(len(plain))) == wanted
    described = json.loads((folder / "tokenizer.json").read_text())
    described["added_tokens"][0]["content"] += "!"
    (folder / "tokenizer.json").write_text(json.dumps(described))
    assert vocabulary_of(opened(folder), kept).tokens([0]) == [b"decoded again"]


def test_a_damaged_file_is_decoded_again(tmp_path: Path) -> None:
    folder, kept = model_folder(tmp_path / "model"), tmp_path / "vocabulary.h5"
    wanted = vocabulary_of(opened(folder), kept, keep=True)
    content = kept.read_bytes()
    kept.write_bytes(content[:-1])
    found = vocabulary_of(opened(folder), kept, keep=True)
    assert found.tokens(range(len(found))) == wanted.tokens(range(len(wanted)))
    assert kept.read_bytes() == content


def test_of_a_model_without_files_nothing_is_kept(tmp_path: Path) -> None:
    found = vocabulary_of(tiny("llama"), tmp_path / "vocabulary.h5", keep=True)
    assert found.tokens([0, 3]) == [b"<0>", b"<3>"]
    assert not list(tmp_path.iterdir())
