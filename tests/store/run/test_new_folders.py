"""Names and folders of new runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.run.new_folders import run_name, run_to_write, runs_to_write
from store.settings.train import TrainSettings


@pytest.mark.parametrize(
    ("taken", "new", "resumed"),
    [
        ([], "lm", "lm"),
        (["lm"], "lm-2", "lm"),
        (["lm", "lm-2"], "lm-3", "lm-2"),
        (["lm-2"], "lm", "lm"),
        (["lmx"], "lm", "lm"),
    ],
)
def test_without_out_new_work_takes_a_free_number_and_resuming_the_last(
    taken: list[str], new: str, resumed: str, tmp_path: Path
) -> None:
    for name in taken:
        (tmp_path / name).mkdir()
    assert run_to_write(None, tmp_path, "lm", resume=False).path == tmp_path / new
    assert run_to_write(None, tmp_path, "lm", resume=True).path == tmp_path / resumed


def test_a_bare_name_lies_under_the_root(tmp_path: Path) -> None:
    for resume in (False, True):
        assert run_to_write(Path("mine"), tmp_path, "lm", resume=resume).path == tmp_path / "mine"
        assert run_to_write(tmp_path / "here", tmp_path, "lm", resume=resume).path == tmp_path / "here"


def test_no_folder_but_the_root_is_made_for_a_run(tmp_path: Path) -> None:
    for out, root, missing in (
        (None, tmp_path / "nope" / "runs", tmp_path / "nope"),
        (Path("mine"), tmp_path / "nope" / "runs", tmp_path / "nope"),
        (tmp_path / "nope" / "mine", tmp_path, tmp_path / "nope"),
        (Path("nope/mine"), tmp_path, "nope"),
    ):
        with pytest.raises(MonosemError, match=f"there is no folder {missing}\n"):
            run_to_write(out, root, "lm", resume=False)
    for out in (None, Path("mine"), tmp_path / "runs" / "mine"):
        assert run_to_write(out, tmp_path / "runs", "lm", resume=False).path.parent == tmp_path / "runs"
    assert list(tmp_path.iterdir()) == []


def test_trainings_on_one_pass_have_one_number(tmp_path: Path) -> None:
    def names(resume: bool) -> list[str]:
        return [
            run.path.name for run in runs_to_write(None, tmp_path, ["a-k8", "a-k16"], ["-k8", "-k16"], resume=resume)
        ]

    assert names(False) == ["a-k8", "a-k16"]
    (tmp_path / "a-k16").mkdir()
    assert names(False) == ["a-k8-2", "a-k16-2"]
    assert names(True) == ["a-k8", "a-k16"]
    (tmp_path / "a-k8-2").mkdir()
    assert names(True) == ["a-k8-2", "a-k16-2"]


def test_trainings_on_one_pass_share_the_folder_they_were_given(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for out, expected in ((Path("mine"), tmp_path / "mine-k8"), (here / "mine", here / "mine-k8")):
        assert runs_to_write(out, tmp_path, ["a"], ["-k8"], resume=False)[0].path == expected


def test_runs_of_a_grid_are_named_by_how_they_differ() -> None:
    settings = TrainSettings(model="gpt2", arch="relu", layer=3, l1=0.5)
    assert run_name(settings, {"arch": "relu", "layer": "layer3", "l1": "l1_0.5"}) == "gpt2-resid_post-3-relu-l1_0.5"
    assert run_name(TrainSettings(activations="a/b.npy"), {"k": "k16"}) == "b-topk-k16"
