"""Wrong requests that files show: refused without torch, in the words of the opened model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine.jobs.refusals import check_again, check_grid, check_subject
from engine.model.config_file import SITES
from engine.model.sites import SITES as KNOWN_SITES
from store.files.errors import MonosemError
from store.run.folder import RunFolder, RunRecord
from store.settings.subject import ReopenSettings, SubjectSettings
from store.settings.train import TrainGrid, TrainSettings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The small files of a model that nothing here may build."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"n_layer": 4, "text_config": {"n_layer": 3, "n_positions": 64}}))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    return folder


def test_the_same_sites_are_known() -> None:
    assert SITES == KNOWN_SITES


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"layer": 3}, "has no layer 3\n  Its layers are 0 to 2."),
        ({"site": "resid_psot"}, "no site is called 'resid_psot'"),
        ({"layer": 0, "site_out": "mlp_out", "layer_out": 9}, "has no layer 9"),
        ({"context": 65}, "was made for contexts of up to 64 tokens, not 65"),
        ({"dtype": "half"}, "no dtype is called 'half'"),
        ({"device": "gpu"}, "no device is called 'gpu'"),
    ],
    ids=str,
)
def test_refused(asked: dict[str, object], expected: str, model: Path) -> None:
    with pytest.raises(MonosemError) as caught:
        check_subject(SubjectSettings(model=str(model), **asked))  # type: ignore[arg-type]
    assert expected in str(caught.value)


@pytest.mark.parametrize("asked", [{"layer": 2, "context": 64}, {"site": "layers.9.mlp:input"}, {"device": "cuda:1"}])
def test_accepted(asked: dict[str, object], model: Path) -> None:
    check_subject(SubjectSettings(model=str(model), **asked))  # type: ignore[arg-type]
    check_subject(SubjectSettings(model="owner/name-that-is-not-here", layer=99))


def test_every_training_of_a_grid(model: Path) -> None:
    grid = TrainGrid(TrainSettings(model=str(model)), layer=(0, 2, 7))
    with pytest.raises(MonosemError, match="has no layer 7"):
        check_grid(grid, resume=False)
    check_grid(TrainGrid(TrainSettings(model="/nope", activations="a.npy")), resume=False)


def test_chats_need_a_template(model: Path) -> None:
    asked = SubjectSettings(model=str(model))
    with pytest.raises(MonosemError, match="has no chat template"):
        check_subject(asked, chat=True)
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    check_subject(asked, chat=True)
    (model / "tokenizer_config.json").unlink()
    (model / "chat_template.jinja").touch()
    check_subject(asked, chat=True)
    (model / "tokenizer.json").unlink()
    with pytest.raises(MonosemError, match="has no tokenizer"):
        check_subject(asked)


def test_a_run_opened_again(model: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    check_again(run, ReopenSettings())  # a run that is not there is refused elsewhere
    run.create(RunRecord(config={"train": {"model": str(model), "layer": 1}}))
    check_again(run, ReopenSettings())
    with pytest.raises(MonosemError, match="there is no folder"):
        check_again(run, ReopenSettings(model="/nope"))
    with pytest.raises(MonosemError, match="no dtype"):
        check_again(run, ReopenSettings(dtype="int3"))
    with pytest.raises(MonosemError, match="no chat template"):
        check_again(run, ReopenSettings(), chat=True)


def test_without_torch(model: Path) -> None:
    program = (
        "import sys\nfrom engine.jobs.refusals import check_subject\n"
        "from store.settings.subject import SubjectSettings\n"
        "check_subject(SubjectSettings(model=sys.argv[1], layer=1))\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program, str(model)], capture_output=True, text=True, cwd=root)
    assert (done.stdout, done.stderr) == ("set()\n", "")
