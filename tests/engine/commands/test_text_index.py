"""Runs indexed on a text of one's choice, beside their own index, and compared there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.commands import text_index
from engine.commands.compare import ComparedSource, compare_runs
from engine.commands.rerun import index_run
from engine.commands.shared_variance import shared_variance
from engine.commands.text_index import index_on_text, text_name
from engine.commands.train import train
from engine.indexing import index_run as index_run_module
from engine.jobs.trained_run import reopen
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run as monosem
from store.comparison.figures import SHARED
from store.comparison.file import load_comparison
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.compare import CompareSettings
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings
from store.verify.run_check import verify_run
from tests.engine.small import random_texts
from tests.engine.trained import CONTEXT, brute_force, decode_by_hand, model_folder, small_forwards, text_file
from tests.engine.trainings import Spoken

ASKED: dict[str, Any] = {"layer": 0, "context": CONTEXT, "device": "cpu", "tokens": 2000, "batch": 100}
TOKENS = 500
NAMES = ("first", "second")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two runs on different texts and seeds, and a third text beside them; do not change it."""
    folder = tmp_path_factory.mktemp("texts")
    model_folder(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        small_forwards(patch)
        for seed, name in enumerate(NAMES):
            data = text_file(folder / f"{name}.txt", random_texts(60, longest=30, seed=seed))
            given = ASKED | {"model": str(folder / "model"), "data": str(data), "seed": seed}
            settings = TrainSettings(**given, d_sae=24, k=4, index_tokens=300)
            train(RunFolder(folder / "runs" / name), settings, Silent(), resume=False)
        text_file(folder / "common.txt", random_texts(60, longest=30, seed=7))
        yield folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> list[RunFolder]:
    """Copies of both, to change; they read model and text where they were."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    return [RunFolder(tmp_path / "runs" / name) for name in NAMES]


def asked(made: Path) -> ReopenSettings:
    return ReopenSettings(data=str(made / "common.txt"))


def test_logit_effects_are_those_of_the_run_where_its_weights_are_the_same(
    made: Path, runs: list[RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs
    asked_for: list[str] = []
    effects = index_run_module.logit_effects

    def counted(*args: Any, **given: Any) -> Any:
        asked_for.append("")
        return effects(*args, **given)

    monkeypatch.setattr(index_run_module, "logit_effects", counted)
    place = index_on_text(first, asked(made), TOKENS, Silent())
    assert asked_for == []
    with FeatureStore.open(place.path) as found, FeatureStore.open(first.path) as own:
        np.testing.assert_array_equal(found.listed_tokens().value, own.listed_tokens().value)
    second.features.unlink()
    index_on_text(second, asked(made), TOKENS, Silent())
    shutil.copy(first.features, second.features)  # of another autoencoder
    shutil.rmtree(second.texts)
    index_on_text(second, asked(made), TOKENS, Silent())
    assert len(asked_for) == 2


def test_an_index_on_a_text_is_the_one_that_index_would_make(made: Path, runs: list[RunFolder]) -> None:
    run = runs[0]
    own = run.features.read_bytes()
    place = index_on_text(run, asked(made), TOKENS, Silent())
    assert run.features.read_bytes() == own
    assert place.path.parent == run.texts
    assert not place.index.exists()
    assert all(finding.ok for finding in verify_run(run))
    assert place.features in [finding.path for finding in verify_run(run)]
    index_run(run, IndexSettings(data=str(made / "common.txt"), tokens=TOKENS), Silent(), resume=False, overwrite=True)
    with FeatureStore.open(place.path) as found, FeatureStore.open(run.path) as wanted:
        assert found.plan == wanted.plan
        for mine, other in zip(found.rows(0, found.n_tokens), wanted.rows(0, wanted.n_tokens), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_it_is_used_again_and_renewed_where_the_weights_have_changed(made: Path, runs: list[RunFolder]) -> None:
    first, second = runs
    place = index_on_text(first, asked(made), TOKENS, Silent())
    before, heard = place.features.stat(), Spoken()
    assert index_on_text(first, asked(made), TOKENS, heard).path == place.path
    assert place.features.stat().st_mtime_ns == before.st_mtime_ns
    assert any("is indexed on this text" in line for line in heard.said)
    assert index_on_text(first, asked(made), TOKENS + 100, Silent()).path != place.path
    shutil.copy(second.sae, first.sae)
    index_on_text(first, asked(made), TOKENS, Silent())
    assert place.features.stat().st_mtime_ns != before.st_mtime_ns


def test_stopped_work_leaves_no_index_and_goes_on(
    made: Path, runs: list[RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = index_on_text(runs[0], asked(made), TOKENS, Silent()).features.read_bytes()
    shutil.rmtree(runs[0].texts)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("engine.indexing.index_build.merge", stopped)
        with pytest.raises(KeyboardInterrupt):
            index_on_text(runs[0], asked(made), TOKENS, Silent())
    (place,) = runs[0].texts_indexed()
    assert not place.features.exists()
    assert (place.index / "seg-00000.h5").exists()
    assert index_on_text(runs[0], asked(made), TOKENS, Silent()).features.read_bytes() == whole


def test_runs_of_different_texts_are_compared_on_one(made: Path, runs: list[RunFolder]) -> None:
    sources = [ComparedSource(run.path, name) for run, name in zip(runs, NAMES, strict=True)]
    settings = CompareSettings(least=4, shifts=1, resamplings=20)
    with pytest.raises(MonosemError, match="no document in common"):
        list(compare_runs(sources, settings, Silent()))
    settings = settings.changed(data=str(made / "common.txt"), tokens=TOKENS, model_pass=True)
    (found,) = compare_runs(sources, settings, Silent())
    summary = found.comparison.summary
    assert all(side.unpaired == 0 for side in summary.sides)
    assert summary.documents > 20
    assert found.kept.name == f"second-{summary.text}.h5"
    assert load_comparison(found.kept).summary == summary
    for run, side, told in zip(runs, found.comparison.sides, summary.sides, strict=True):
        shared_F = side.judged_F & (side.r_F >= SHARED)
        assert told.shared_variance == shared_variance(run, asked(made), shared_F, Silent())
    for run, index in zip(runs, [one.index for one in found.sources], strict=True):
        assert index == run.texts / summary.text
    # Both read the same site of the same model, so that encoders have cosines: those of the columns of W_enc.
    side = found.comparison.sides[0]
    feature = int(np.flatnonzero(side.partner_F >= 0)[0])
    with FeatureStore.open(runs[0].path) as a, FeatureStore.open(runs[1].path) as b:
        mine = a.sae().tensors["W_enc"][:, feature].astype(np.float64)
        other = b.sae().tensors["W_enc"][:, side.partner_F[feature]].astype(np.float64)
    wanted = mine @ other / np.linalg.norm(mine) / np.linalg.norm(other)
    assert side.encoder_cosine_F[feature] == pytest.approx(wanted, abs=1e-6)


def test_links_are_refused(made: Path, runs: list[RunFolder], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    runs[0].texts.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MonosemError, match="is a link"):
        index_on_text(runs[0], asked(made), TOKENS, Silent())
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_command_indexes_and_compares(
    made: Path, runs: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", *(str(run.path) for run in runs), "--least", "4", "--shifts", "1"]
    assert monosem(arguments) == 2
    assert "--data FILE and --tokens N index both" in capsys.readouterr().err
    assert monosem([*arguments, "--data", str(made / "common.txt"), "--tokens", str(TOKENS), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["text"] == text_name(str(made / "common.txt"), _digest(made), TOKENS)
    assert "encoder_cosine" in printed["features"][0]


def _digest(made: Path) -> str:
    return text_index.open_corpus(str(made / "common.txt")).digest()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--tokens", "500"], "Give --data too"),
        (["--data", "nothing.txt"], "nothing.txt"),
    ],
)
def test_wrong_use_is_refused_in_a_line(
    runs: list[RunFolder], flags: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert monosem(["compare", *(str(run.path) for run in runs), *flags]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said


def test_an_index_without_its_run_cannot_read_a_text(
    made: Path, runs: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(runs[1].features, tmp_path / "features.h5")
    arguments = ["compare", str(runs[0].path), str(tmp_path / "features.h5"), "--data", str(made / "common.txt")]
    assert monosem(arguments) == 2
    assert "is not a run" in capsys.readouterr().err


def test_shared_features_alone_keep_what_their_rows_reconstruct(made: Path, runs: list[RunFolder]) -> None:
    """Against the formula over dense activations, the model read once more."""
    run = runs[0]
    weights, shared_F = load_sae(run.sae), np.arange(24) % 3 != 1
    found = shared_variance(run, asked(made), shared_F, Silent(), TOKENS)
    truth = brute_force(reopen(run, asked(made), Silent()), weights, "all", None)
    n = found.tokens
    counted = np.flatnonzero(truth.counted_N)[:n]
    x_ND, dense_NF = truth.x_ND[counted], truth.dense_NF[counted]
    total = ((x_ND - x_ND.mean(0)) ** 2).sum()
    for acts_NF, value in ((dense_NF * shared_F, found.kept), (dense_NF, found.whole)):
        error = ((x_ND - decode_by_hand(weights, acts_NF, x_ND)) ** 2).sum()
        assert value == pytest.approx(1 - error / total, abs=1e-5)
    assert found.kept < found.whole
