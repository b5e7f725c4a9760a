"""Explaining a run: the same by one process and by several, kept as it is found, resumed, and the same when pasted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations
from store.query.find import UnevenHalves
from store.query.pattern_search import Inquiry, search_pattern
from store.rules import kind_file, rule_process, rule_run
from store.rules.grammar import parse_rule
from store.rules.kind_file import measured_kinds
from store.rules.rule_author import RuleAuthor
from store.rules.rule_process import RuleWorker
from store.rules.rule_run import planned, work
from store.settings.explain import ExplainSettings
from tests.sample_run import Sample, build_sample

ALL = tuple(range(48))
ONE = ExplainSettings(processes=1)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return build_sample(tmp_path / "run", n_contexts=160)


def undated(explanations: list[Explanation]) -> list[Explanation]:
    return sorted((replace(one, date=0.0) for one in explanations), key=lambda one: one.feature)


def test_several_processes_find_the_same(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sample.run.path
    alone = undated(list(work(planned(path, ALL[:6], ONE))))
    monkeypatch.setattr(rule_process, "FEW", 0)
    together = undated(list(work(planned(path, ALL[:6], ExplainSettings(processes=2, again=True)))))
    assert together == alone
    assert undated(list(Explanations.load(path).by("rules").values())) == alone
    texts = {one.feature: one.text for one in alone}
    assert {part.strip(' "') for part in texts[0].removesuffix(" (any case)").split(",")} == {
        *("sea", "boat", "water", "fish", "swim", "ocean", "beach")
    }
    assert all(one.scores.f1 is not None and one.scores.f1.value > 0.99 for one in alone[:4])


def test_work_goes_on_where_it_stopped(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sample.run.path
    monkeypatch.setattr(rule_run, "KEPT_EVERY", 0.0)
    first = work(planned(path, ALL[:5], ONE))
    assert next(first).feature == 0
    assert next(first).feature == 1
    first.close()
    assert Explanations.load(path).features == (0, 1)
    plan = planned(path, ALL[:5], ONE)
    assert plan.waiting == (2, 3, 4)
    assert sorted(one.feature for one in work(plan)) == [0, 1, 2, 3, 4]
    size = sample.run.explanations.stat().st_size
    assert planned(path, ALL[:5], ONE).waiting == ()
    assert len(list(work(planned(path, ALL[:5], ONE)))) == 5
    assert sample.run.explanations.stat().st_size == size
    assert planned(path, ALL[:5], ExplainSettings(seed=1)).waiting == ALL[:5]
    assert planned(path, ALL[:5], ExplainSettings(again=True)).waiting == ALL[:5]


def test_a_rule_gives_the_same_figures_when_pasted(sample: Sample) -> None:
    """In `explain --rule`, and in `find --rule --held-out`: to the last digit."""
    path = sample.run.path
    found = [one for one in work(planned(path, ALL[:12], ONE)) if one.rule is not None and one.threshold is not None]
    assert len(found) > 8
    with FeatureStore.open(path) as store:
        author = RuleAuthor(store, 0)
        for one in found:
            assert one.rule is not None and one.threshold is not None and one.scores.f1 is not None
            assert author.threshold(one.feature, parse_rule(one.rule)) == one.threshold
            assert author.scores(one.feature, parse_rule(one.rule), one.threshold) == one.scores
            try:
                *_, report = search_pattern(store, Inquiry(one.rule, rule=True, held_out=True, top=48, most=0))
            except UnevenHalves:
                assert one.scores.recall is not None and one.scores.recall.value == 0
                continue
            assert report.found is not None
            score = next(score for score in report.found.results if score.choice.feature == one.feature)
            assert score.choice.threshold == one.threshold
            assert one.scores.precision is not None and one.scores.recall is not None
            assert score.tally.f1 == one.scores.f1.value
            assert score.tally.precision == one.scores.precision.value
            assert score.tally.recall == one.scores.recall.value
            assert one.scores.auroc is not None
            assert score.auroc == pytest.approx(one.scores.auroc.value, abs=1e-12)


def test_rare_and_dead_features_say_so(sample: Sample) -> None:
    with FeatureStore.open(sample.run.path) as store:
        count_F = store.columns.count_F
        rare = int(np.flatnonzero((count_F > 0) & (count_F < 8))[0]) if ((count_F > 0) & (count_F < 8)).any() else None
    dead = next(iter(work(planned(sample.run.path, [47], ONE))))
    assert (dead.text, dead.rule, dead.scores.f1) == ("never fires", None, None)
    if rare is not None:
        one = next(iter(work(planned(sample.run.path, [rare], ONE))))
        assert "too rarely to be explained" in one.text


def test_kinds_are_measured_once(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    kinds = measured_kinds(sample.run.path, advance=done.append)
    assert sum(done) == 48
    assert [kinds.of(feature) for feature in range(4)] == ["dense", "token", "token", "token"]
    monkeypatch.setattr(kind_file, "feature_kinds", None)
    np.testing.assert_array_equal(measured_kinds(sample.run.path).kind_F, kinds.kind_F)


def test_a_child_measures_kinds(sample: Sample) -> None:
    worker = RuleWorker(sample.run.path, 0)
    try:
        worker.measure_kinds()
        assert sample.run.kinds.is_file()
        assert worker.explanation(1).text == '" said"'
    finally:
        worker.close()


def test_an_unfinished_index_is_refused(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run", merged=False)
    with pytest.raises(MonosemError, match="not a whole index"):
        planned(sample.run.path, [0], ONE)
    with pytest.raises(MonosemError, match="there is no feature 48"):
        planned(build_sample(tmp_path / "other").run.path, [48], ONE)


def test_a_child_that_ends_is_an_error(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_process, "FEW", 0)
    answers = rule_process.explanations(sample.run.path, ALL[:4], 0, 2)
    real = rule_process._child

    def ended(path: Path, seed: int, neurons: Path | None) -> object:
        child = real(path, seed, neurons)
        child.kill()
        return child

    monkeypatch.setattr(rule_process, "_child", ended)
    with pytest.raises(MonosemError, match="has ended"):
        next(answers)
