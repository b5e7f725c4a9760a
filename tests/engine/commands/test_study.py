"""A study: what is trained, explained and compared once, and its figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.commands import study as studying
from engine.commands.study import run_study, study_forecast
from engine.runtime.progress import Silent
from store.comparison.file import load_comparison
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.settings.compare import CompareSettings
from store.settings.explain import ExplainSettings
from store.settings.study import Study, StudyModel, StudySettings
from store.settings.train import TrainGrid, TrainSettings
from store.study.figures import StudyFigures
from store.study.gather import Place, drawn_features
from tests.engine.small import random_texts
from tests.engine.trained import CONTEXT, model_folder, text_file


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of random words."""
    return text_file(tmp_path_factory.mktemp("text") / "text.txt", random_texts(120, longest=60, shortest=20))


def a_study(folder: Path, text: Path, *, baselines: bool = False) -> Study:
    """Two models; two seeds of each, and two sizes of the first."""
    shared = {
        "data": str(text),
        "tokens": 2048,
        "batch": 256,
        "k": 4,
        "index_tokens": 2048,
        "eval_tokens": 512,
        "context": CONTEXT,
        "device": "cpu",
    }
    models = []
    for name, family in (("one", "llama"), ("two", "gpt2")):
        path = folder / f"model-{name}"
        if not path.is_dir():
            model_folder(path, family)
        sizes = (32, 48) if name == "one" else ()
        grid = TrainGrid(TrainSettings(model=str(path), layer=0, d_sae=32, **shared), d_sae=sizes, seed=(0, 1))
        models.append(StudyModel(name, grid))
    return Study(
        tuple(models),
        StudySettings(explained=5, concepts=("punctuation",), baselines=("random",) if baselines else ()),
        CompareSettings(shifts=1, resamplings=10, least=4),
        ExplainSettings(processes=1),
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, text: Path) -> tuple[Study, Path, StudyFigures]:
    """A study that is done."""
    folder = tmp_path_factory.mktemp("study")
    study = a_study(folder, text)
    return study, folder / "out", run_study(study, folder / "out", Silent())


def test_all_of_it_is_there(done: tuple[Study, Path, StudyFigures]) -> None:
    _, _, found = done
    assert [run.name for run in found.runs] == [
        *(f"one-f{size}-seed{seed}" for size in (32, 48) for seed in (0, 1)),
        "two-seed0",
        "two-seed1",
    ]
    for run in found.runs:
        assert run.explained_variance is not None
        assert run.rules is not None
        assert run.rules.explained == 5
        assert sum(run.density_counts) <= run.d_sae
        assert {one.model for one in run.universal} == ({"one", "two"} if run.d_sae == 32 else {"one"})
    assert len(found.pairs) == 7, "those that differ in one thing: four in seed or size, one more in seed, two in model"


def test_universal_shares_are_of_the_comparisons(done: tuple[Study, Path, StudyFigures]) -> None:
    """Computed anew from the kept comparison of the one pair that it is of."""
    _, out, found = done
    run = found.runs[0]
    side = load_comparison(out / "runs" / run.name / "comparisons" / "two-seed0.h5").sides[0]
    r_J = side.r_F[side.judged_F]
    (other,) = (one for one in run.universal if one.model == "two")
    assert (other.judged, other.share) == (len(r_J), float((r_J >= 0.7).mean()))


def test_nothing_is_done_twice(done: tuple[Study, Path, StudyFigures], monkeypatch: pytest.MonkeyPatch) -> None:
    study, out, found = done
    monkeypatch.setattr(studying, "compare_runs", None)
    monkeypatch.setattr(studying, "work", None)
    assert run_study(study, out, Silent()) == found


def test_other_settings_of_comparisons_compare_anew(
    done: tuple[Study, Path, StudyFigures], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, out, found = done
    monkeypatch.setattr(studying, "work", None)
    again = run_study(replace(study, compare=CompareSettings(shifts=1, resamplings=10, least=1000)), out, Silent())
    assert again.pairs[0].summary.sides[0].judged == 0
    assert run_study(study, out, Silent()).pairs == found.pairs


def test_a_stopped_study_goes_on_to_the_same_figures(
    done: tuple[Study, Path, StudyFigures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two of its runs alone, stopped between their explanations."""
    study, _, found = done
    part = replace(study.models[0], grid=replace(study.models[0].grid, d_sae=(32,)))
    study = replace(study, models=(part,))
    explain, calls = studying._explained, 0

    def stops(*args: object) -> tuple[int, ...]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return explain(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(studying, "_explained", stops)
        with pytest.raises(KeyboardInterrupt):
            run_study(study, tmp_path / "out", Silent())
    again = run_study(study, tmp_path / "out", Silent())
    same = [run for run in found.runs if run.model == "one" and run.d_sae == 32]
    assert [(run.explained_variance, run.rules, run.kinds) for run in again.runs] == [
        (run.explained_variance, run.rules, run.kinds) for run in same
    ]
    names = tuple(run.name for run in same)
    assert [pair.r for pair in again.pairs] == [pair.r for pair in found.pairs if (pair.first, pair.second) == names]


def test_a_plan_writes_nothing(text: Path, tmp_path: Path) -> None:
    found = study_forecast(a_study(tmp_path, text), tmp_path / "out", Silent())
    assert (found.runs, found.pairs, found.unknown) == (6, 7, ())
    assert [name for name, *_ in found.parts] == ["one", "two"]
    assert not (tmp_path / "out").exists()


def test_wrong_studies_are_refused(text: Path, tmp_path: Path) -> None:
    study = a_study(tmp_path, text)
    for wrong, said in (
        (replace(study, models=()), "has no model"),
        (replace(study, models=study.models[:1] * 2), "two models of the study are named 'one'"),
        (replace(study, explain=ExplainSettings(by="http://localhost")), "explains by rules"),
        (replace(study, settings=StudySettings(labels=str(tmp_path / "none.tsv"))), "none.tsv"),
    ):
        with pytest.raises(MonosemError, match=said):
            run_study(wrong, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_places_differ_in_where_seed_and_dictionary() -> None:
    one = Place.of("a", TrainSettings(layer=1, d_sae=8))
    assert one.differences(Place.of("b", TrainSettings(layer=2, d_sae=8))) == 1
    assert one.differences(Place.of("a", TrainSettings(layer=1, d_sae=16, seed=1))) == 2


def test_drawn_features_fire_and_are_drawn_by_the_seed(done: tuple[Study, Path, StudyFigures]) -> None:
    _, out, found = done
    path = out / "runs" / found.runs[0].name
    with FeatureStore.open(path) as store:
        firing = np.flatnonzero(store.columns.count_F).tolist()
    assert list(drawn_features(path, None, 0)) == firing
    few = drawn_features(path, 5, 0)
    assert len(few) == 5
    assert set(few) <= set(firing)
    assert few == drawn_features(path, 5, 0) != drawn_features(path, 5, 1)


def test_known_keys_survive_damage(tmp_path: Path) -> None:
    (tmp_path / "compared.json").write_text('{"a b": 1}')
    assert studying._known_keys(tmp_path / "compared.json") == {}
    (tmp_path / "compared.json").write_text(json.dumps({"a b": "key"}))
    assert studying._known_keys(tmp_path / "compared.json") == {"a b": "key"}


def test_runs_are_ordinary_runs(done: tuple[Study, Path, StudyFigures]) -> None:
    _, out, found = done
    assert all(RunFolder(out / "runs" / run.name).record().status == "done" for run in found.runs)
