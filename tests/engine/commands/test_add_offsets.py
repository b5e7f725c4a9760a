"""Indexes know what their tokens cover of the text; older ones get it by tokenizing their text again, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.commands.add_offsets import add_offsets
from engine.commands.text_index import index_on_text
from engine.commands.train import train
from engine.data.contexts import ContextStream
from engine.indexing import index_run
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run as monosem
from store.files.errors import MonosemError
from store.index.offsets_file import offsets_path
from store.index.reader import FeatureStore
from store.index.text_spans import DocumentText, TextColumns
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings
from store.verify.run_check import verify_run
from tests.engine.small import random_texts, words_tokenizer
from tests.engine.trained import CONTEXT, model_folder, small_forwards, text_file
from tests.engine.trainings import Spoken

OWN, OTHER = random_texts(60, longest=30), random_texts(40, longest=30, seed=5)
ASKED: dict[str, Any] = {"layer": 0, "context": CONTEXT, "device": "cpu", "tokens": 2000, "batch": 100}


def located_never(patch: pytest.MonkeyPatch) -> None:
    """Index as a monosem without offsets did."""
    stream = Subject.stream

    def plain(self: Subject, split: Any, *, epochs: int | None = 1, located: bool = False) -> ContextStream:
        return stream(self, split, epochs=epochs)

    patch.setattr(Subject, "stream", plain)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run without offsets, with an index on another text, and one that has them; do not change it."""
    folder = tmp_path_factory.mktemp("offsets")
    model_folder(folder / "model")
    data, other = (text_file(folder / f"{name}.txt", texts) for name, texts in (("own", OWN), ("other", OTHER)))
    given = TrainSettings(**ASKED, model=str(folder / "model"), data=str(data), d_sae=24, k=4, index_tokens=300)
    with pytest.MonkeyPatch.context() as patch:
        small_forwards(patch)
        train(RunFolder(folder / "new"), given, Silent(), resume=False)
        located_never(patch)
        run = RunFolder(folder / "old")
        train(run, given, Silent(), resume=False)
        index_on_text(run, ReopenSettings(data=str(other)), 200, Silent())
    yield folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run without offsets; it reads model and text where they were."""
    shutil.copytree(made / "old", tmp_path / "old")
    return RunFolder(tmp_path / "old")


def columns_of(path: Path) -> TextColumns | None:
    with FeatureStore.open(path) as store:
        return store.layout.text


def test_a_new_index_knows_the_text_that_its_tokens_cover(made: Path) -> None:
    with FeatureStore.open(made / "new") as store:
        found, number_R = store.layout.text, store.layout.documents.number
        assert found is not None
        document_N = np.repeat(number_R, np.diff(store.layout.documents.start, append=store.n_tokens))
        tokens = store.vocabulary.tokens(store.tokens(0, store.n_tokens).tolist())
    for token, document, start, end in zip(tokens, document_N, found.start_N, found.end_N, strict=True):
        covered = OWN.texts[document][start:end]
        assert covered.encode() == (b"" if token == b"<s>" else token.strip(b" "))
    for document, digest in zip(number_R, found.digest_R, strict=True):
        assert digest.tobytes() == DocumentText.of(OWN.texts[document].encode()).digest


def test_an_older_index_gets_the_columns_of_a_new_one(made: Path, run: RunFolder) -> None:
    features = run.features.read_bytes()
    assert columns_of(run.features) is None
    (place,) = run.texts_indexed()
    assert add_offsets(run, IndexSettings(), Silent()) == [offsets_path(run.features), offsets_path(place.features)]
    assert run.features.read_bytes() == features
    for one, other in zip(columns_of(run.features) or (), columns_of(made / "new") or (), strict=True):
        np.testing.assert_array_equal(one, other)
    assert columns_of(place.features) is not None
    assert all(finding.ok for finding in verify_run(run)), verify_run(run)
    again = Spoken()
    assert add_offsets(run, IndexSettings(), again) == []
    assert "already" in " ".join(again.said)


@pytest.mark.parametrize(
    "change, named", [("data", "it has changed"), ("vocabulary", "are others from token"), ("gone", "does not exist")]
)
def test_a_text_or_tokenizer_that_has_changed_is_refused(
    made: Path, run: RunFolder, tmp_path: Path, change: str, named: str
) -> None:
    asked = IndexSettings(data=str(made / "other.txt"))
    if change == "vocabulary":
        shutil.copytree(made / "model", tmp_path / "model")
        swapped = words_tokenizer("bos").backend_tokenizer.to_str().replace('"w3"', '"x3"')
        (tmp_path / "model" / "tokenizer.json").write_text(swapped)
        asked = IndexSettings(model=str(tmp_path / "model"))
    elif change == "gone":
        asked = IndexSettings(data=str(tmp_path / "none.txt"))
    with pytest.raises(MonosemError) as raised:
        add_offsets(run, asked, Silent())
    assert named in raised.value.what + raised.value.hint or change == "gone"
    assert not offsets_path(run.features).exists()


def test_from_the_command_line(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert monosem(["index", str(run.path), "--add-offsets", "--overwrite"]) == 2
    assert "--add-offsets adds to the index there is" in capsys.readouterr().err
    assert monosem(["index", str(run.path), "--add-offsets"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(offsets_path(run.features))
    assert monosem(["index", str(run.path), "--add-offsets"]) == 0
    assert capsys.readouterr().out == "nothing to add\n"


def test_a_stop_leaves_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*args: Any) -> None:
        raise Killed

    monkeypatch.setattr("engine.commands.add_offsets.token_rows", killed)
    assert index_run.token_rows is not killed
    with pytest.raises(Killed):
        add_offsets(run, IndexSettings(), Silent())
    assert not offsets_path(run.features).exists()
