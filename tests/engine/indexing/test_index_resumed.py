"""An index that was killed continues after its last segment, to the byte, and only under the same plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.indexing import index_build as module
from engine.indexing.index_run import build_index
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, common_path, complete_segments
from store.run.folder import RunFolder
from store.run.weights import SaeWeights, save_sae
from tests.engine.small import random_texts
from tests.engine.trained import (
    ALL,
    CONTEXT,
    brute_force,
    contexts_of,
    gpt2_relu_documents,
    llama_topk_packed,
    random_weights,
    run_with,
    small_forwards,
)


class Killed(BaseException):
    """An interruption at a bad moment."""


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 8 contexts, two forwards each."""
    small_forwards(monkeypatch)
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 8 * CONTEXT)


@pytest.fixture
def ready(tmp_path: Path) -> tuple[Subject, RunFolder]:
    """A run that can be indexed."""
    subject, weights = llama_topk_packed()
    return subject, run_with(weights, tmp_path / "run")


def killed_after_each_segment(run: RunFolder, subject: Subject, patch: pytest.MonkeyPatch) -> int:
    """Index with a process that dies after every segment, and return how often it was started."""
    seal = SegmentBuilder.seal

    def seal_and_die(self: SegmentBuilder, *args: Any) -> None:
        seal(self, *args)
        raise Killed

    starts = 0
    with patch.context() as inside:
        inside.setattr(SegmentBuilder, "seal", seal_and_die)
        while not run.features.exists():
            starts += 1
            try:
                build_index(run, subject, ALL, Silent())
            except Killed:
                assert complete_segments(run.index) == starts
    return starts


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("case", [llama_topk_packed, gpt2_relu_documents])
def test_killed_after_every_segment_it_is_the_same_to_the_byte(
    case: Callable[[], tuple[Subject, SaeWeights]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, weights = case()
    whole, run = run_with(weights, tmp_path / "whole"), run_with(weights, tmp_path / "run")
    build_index(whole, subject, ALL, Silent())
    assert killed_after_each_segment(run, subject, monkeypatch) >= len(contexts_of(subject, "all")) // 12
    assert run.features.read_bytes() == whole.features.read_bytes()


@pytest.mark.usefixtures("small_segments")
def test_killed_inside_a_segment_and_inside_the_merge(
    ready: tuple[Subject, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, run = ready
    whole = run_with(llama_topk_packed()[1], tmp_path / "whole")
    build_index(whole, subject, ALL, Silent())
    add, calls = SegmentBuilder.add, 0

    def die_in_the_third(self: SegmentBuilder, *args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:  # two forwards a segment
            raise Killed
        add(self, *args)

    def die(*args: Any) -> None:
        raise Killed

    for place, name, deadly in ((SegmentBuilder, "add", die_in_the_third), (module, "merge", die)):
        with monkeypatch.context() as inside, pytest.raises(Killed):
            inside.setattr(place, name, deadly)
            build_index(run, subject, ALL, Silent())
        assert not run.features.exists()
        if name == "add":
            assert complete_segments(run.index) == 2
    build_index(run, subject, ALL, Silent())
    assert run.features.read_bytes() == whole.features.read_bytes()


@pytest.mark.usefixtures("small_segments")
def test_segments_written_so_far_can_be_read(ready: tuple[Subject, RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    subject, run = ready
    half_done(run, subject, monkeypatch)
    truth = brute_force(subject, llama_topk_packed()[1], "all", 8)
    with FeatureStore.open(run.path) as store:
        assert not store.complete
        assert store.n_contexts == 8
        np.testing.assert_array_equal(store.columns.count_F, (truth.dense_NF > 0).sum(0))


def half_done(run: RunFolder, subject: Subject, patch: pytest.MonkeyPatch) -> None:
    """An index that was killed after its first segment."""
    seal = SegmentBuilder.seal

    def seal_and_die(self: SegmentBuilder, *args: Any) -> None:
        seal(self, *args)
        raise Killed

    with patch.context() as inside, pytest.raises(Killed):
        inside.setattr(SegmentBuilder, "seal", seal_and_die)
        build_index(run, subject, ALL, Silent())


def other_text(subject: Subject) -> Subject:
    return replace(subject, corpus=random_texts(60, longest=30, seed=1))


def other_name(subject: Subject) -> Subject:
    return replace(subject, corpus=replace(subject.corpus, spec="elsewhere"))  # type: ignore[type-var]


def other_seed(subject: Subject) -> Subject:
    return replace(subject, settings=replace(subject.settings, seed=1))


def other_context(subject: Subject) -> Subject:
    return replace(subject, context=CONTEXT // 2)


def other_packing(subject: Subject) -> Subject:
    return replace(subject, settings=replace(subject.settings, packing="documents"))


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_text, "corpus_digest"),
        (other_name, "data"),
        (other_seed, "seed"),
        (other_context, "context"),
        (other_packing, "packing"),
    ],
)
def test_it_does_not_go_on_under_another_plan(
    change: Callable[[Subject], Subject],
    named: str,
    ready: tuple[Subject, RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, run = ready
    half_done(run, subject, monkeypatch)
    with pytest.raises(MonosemError) as caught:
        build_index(run, change(subject), ALL, Silent())
    assert str(run.index) in caught.value.what
    assert named in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert complete_segments(run.index) == 1
    build_index(run, subject, ALL, Silent())
    assert run.features.is_file()


@pytest.mark.usefixtures("small_segments")
def test_it_does_not_go_on_with_another_model_dictionary_or_number_of_tokens(
    ready: tuple[Subject, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, run = ready
    half_done(run, subject, monkeypatch)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"other weights")
    other = replace(subject, lm=replace(subject.lm, weight_files=(weights,)))
    with pytest.raises(MonosemError, match="another model_digest"):
        build_index(run, other, ALL, Silent())
    with pytest.raises(MonosemError, match="another n_contexts"):
        build_index(run, subject, 10 * CONTEXT, Silent())
    save_sae(run.sae, random_weights(subject, seed=1))
    with pytest.raises(MonosemError, match="another sae_digest"):
        build_index(run, subject, ALL, Silent())


def test_a_common_file_without_segments_is_written_anew(
    ready: tuple[Subject, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first segment, an index holds nothing that another plan could contradict."""
    subject, run = ready

    def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as inside, pytest.raises(Killed):
        inside.setattr(SegmentBuilder, "add", die)
        build_index(run, subject, ALL, Silent())
    assert common_path(run.index).is_file()
    build_index(run, other_seed(subject), ALL, Silent())
    with h5py.File(run.features) as file:
        assert json.loads(file.attrs["plan"])["seed"] == 1
