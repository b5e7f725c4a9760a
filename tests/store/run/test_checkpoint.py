"""Checkpoints come back to the bit, and the last good one is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from store.files.errors import MonosemError
from store.run.checkpoint import (
    Checkpoint,
    checkpoints,
    forget_others,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tests.store.raw import flip

DTYPES = [np.float32, np.float64, np.float16, np.uint16, np.int64, np.uint8, np.bool_]


@settings(max_examples=30)
@given(
    arrays=st.dictionaries(
        st.sampled_from(["sae.W_enc", "adam.step.b", "generator", "carry"]),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
        ),
    ),
    state=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.none()),
    step=st.integers(0, 10**12),
)
def test_round_trip(tmp_path: Path, arrays: dict[str, np.ndarray], state: dict[str, object], step: int) -> None:
    found = load_checkpoint(save_checkpoint(tmp_path, Checkpoint(step, arrays, state)))
    assert (found.step, found.state) == (step, state)
    assert found.arrays.keys() == arrays.keys()
    for name, values in arrays.items():
        assert found.arrays[name].dtype == values.dtype
        assert found.arrays[name].shape == values.shape
        assert found.arrays[name].tobytes() == values.tobytes()


def test_only_the_last_one_is_kept(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None
    (tmp_path / "mine.h5").write_bytes(b"not a checkpoint")
    for step in (5, 10, 100, 9):
        path = save_checkpoint(tmp_path, Checkpoint(step))
        forget_others(path)
        assert latest_checkpoint(tmp_path) == path == tmp_path / f"step-{step}.h5"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.h5", path.name]


def test_killed_between_writing_and_removing(tmp_path: Path) -> None:
    for step in (10, 9):
        save_checkpoint(tmp_path, Checkpoint(step))
    assert checkpoints(tmp_path) == {9: tmp_path / "step-9.h5", 10: tmp_path / "step-10.h5"}
    assert latest_checkpoint(tmp_path) == tmp_path / "step-10.h5"


def test_a_failure_keeps_the_one_before(tmp_path: Path) -> None:
    good = save_checkpoint(tmp_path, Checkpoint(1, {"a": np.arange(3)}))
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, Checkpoint(2, {"a": np.arange(3)}, {"not": object()}))
    assert list(tmp_path.iterdir()) == [good]
    assert load_checkpoint(good).arrays["a"].tolist() == [0, 1, 2]


def test_damage_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, Checkpoint(3, {"a": np.zeros(1000)}))
    sound = path.read_bytes()
    flip(path, len(sound) - 900)
    with pytest.raises(MonosemError, match=r"step-3\.h5 is damaged"):
        load_checkpoint(path)
    path.write_bytes(sound[:-1])
    with pytest.raises(MonosemError, match=r"step-3\.h5 is truncated"):
        load_checkpoint(path)
    path.write_bytes(sound)
    assert load_checkpoint(path).step == 3
