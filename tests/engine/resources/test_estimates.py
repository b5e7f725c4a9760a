"""Plans against real tensors, real files and hand-made room; refusals; dry runs that write nothing.

Shapes: D = d_in, F = d_sae.
"""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from engine.commands.train import train
from engine.lm.trainer import network_config
from engine.resources.estimates import (
    LmWork,
    Need,
    Plan,
    SaeWork,
    Stage,
    index_bytes,
    largest,
    peak,
    training_disk,
    training_needs,
)
from engine.resources.limits import Room, check_room, shortages
from engine.runtime import free_memory as memory
from engine.runtime.free_memory import free_disk, free_memory
from engine.runtime.progress import Silent
from engine.sae.base import SaeSettings
from engine.sae.registry import architecture
from engine.training import loop
from engine.training.trainer import SaeTrainer, TrainerSettings
from monosem_tui.cli.main import run as monosem
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.checkpoint import save_checkpoint
from store.run.folder import RunFolder
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings

GIB = 1 << 30
CPU = torch.device("cpu")


def work(arch: str = "topk", **changes: Any) -> SaeWork:
    copies = architecture(arch).dense_copies
    known = {"dense_copies": copies, "d_in": 48, "d_sae": 600, "k": 7 if arch == "topk" else None, "batch": 90}
    return SaeWork(**(known | changes))


def trainer(sae: SaeWork) -> SaeTrainer:
    settings = SaeSettings(d_in=sae.d_in, d_sae=sae.d_sae, k=sae.k, l1=None if sae.k else 1.0, d_out=sae.d_out)
    made = SaeTrainer(
        TrainerSettings(
            arch="topk" if sae.k else "relu",
            sae=settings,
            lr=1e-3,
            batch=sae.batch,
            steps=9,
            warmup=1,
            decay=1,
            dead_after=99,
            seed=0,
        ),
        CPU,
    )
    rows_ND = torch.randn(200, sae.d_in)
    y_NO = torch.randn(200, sae.d_out) if sae.d_out else None
    made.start(rows_ND, y_NO)
    made.step(rows_ND[: sae.batch], None if y_NO is None else y_NO[: sae.batch])
    return made


@pytest.mark.parametrize("arch", ["topk", "relu"])
def test_an_autoencoders_bytes_are_those_of_its_tensors(arch: str) -> None:
    sae = work(arch)
    made = trainer(sae)
    one, both = training_needs([sae], 700, 4 * 48), training_needs([sae, sae], 700, 4 * 96)
    assert both[0].n_bytes == 2 * one[0].n_bytes
    assert both[1] == one[1]  # of one after the other
    assert (one[2].n_bytes, both[2].n_bytes) == (3 * 700 * 4 * 48, 3 * 700 * 4 * 96)
    weights = sum(p.nbytes for p in made.sae.parameters())
    gradients = sum(p.grad.nbytes for p in made.sae.parameters() if p.grad is not None)
    moments = sum(t.nbytes for s in made.optimizer.state.values() for name, t in s.items() if name != "step")
    assert 4 * sae.parameters == weights == gradients
    assert one[0].n_bytes == weights + gradients + moments
    assert sae.state_bytes == weights + moments + made.silent_F.nbytes


def test_a_transcoders_bytes_are_those_of_its_tensors() -> None:
    sae = work(d_out=30)
    made = trainer(sae)
    assert 4 * sae.parameters == sum(tensor.nbytes for tensor in made.sae.state_dict().values())


def test_a_checkpoint_is_as_large_as_planned(tmp_path: Path) -> None:
    sae = work()
    values, arrays = trainer(sae).state()
    carry_ND = np.zeros((sae.batch - 1, sae.d_in), np.float32)
    path = save_checkpoint(tmp_path, loop.Checkpoint(1, arrays | {loop.CARRY: carry_ND}, {"trainer": values}))
    planned = next(need for need in training_disk(sae) if need.what == "checkpoints").n_bytes / 2
    assert planned == pytest.approx(path.stat().st_size, abs=30_000)  # HDF5's own, and a generator's state
    assert planned < path.stat().st_size


def test_an_index_is_as_large_as_planned(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> None:
    run = RunFolder(tmp_path / "run")
    settings = {"model": str(tiny_lm), "data": str(tiny_text), "layer": 1, "device": "cpu", "d_sae": 300, "k": 9}
    train(
        run, TrainSettings(**(settings | {"tokens": 4000, "batch": 64, "index_tokens": 20_000})), Silent(), resume=False
    )
    with FeatureStore.open(run.path) as store:
        active = int(store.columns.count_F.sum())
        planned = index_bytes(1, 300, 0) + (index_bytes(1, 0, 1) - 13) * active + 13 * store.n_tokens
    assert planned == pytest.approx(run.features.stat().st_size - run.sae.stat().st_size, rel=0.2)


def test_a_language_models_parameters_are_counted_right() -> None:
    settings = LmSettings(vocab=500, layers=3, d_model=64, d_mlp=96, context=32, tokens=100_000)
    network = GPT2LMHeadModel(network_config(settings, 500, 0))
    assert LmWork(settings, 4).parameters == sum(p.numel() for p in network.parameters())


def test_phases_follow_each_other() -> None:
    needs = (
        Need("base", 100, present=True),
        Need("text", 10),
        Need("buffer", 50, phase="a"),
        Need("step", 7, phase="a"),
        Need("merge", 55, phase="b"),
    )
    assert peak(needs) == 100 + 10 + 57
    assert peak(needs, further=True) == 67
    assert [need.what for need in largest(needs)] == ["buffer", "text"]
    assert peak(()) == 0


def test_what_does_not_fit_is_refused_with_what_to_change() -> None:
    plan = Plan(
        "train",
        disk=(Need("index", 8 * 10**9, "`index_tokens`"), Need("checkpoints", 10**9, "`d_sae`")),
        host=(Need("libraries", 10**9, present=True), Need("shuffle buffer", 3 * 10**9, "`buffer`", "training")),
        device=(Need("a training step", 2 * 10**9, "`batch`", "training"),),
        stages=(Stage("training", 10),),
    )
    assert shortages(plan, Room(9 * 10**9, 3 * 10**9, 2 * 10**9)) == []
    assert shortages(plan, Room(None, None, None)) == []
    disk, host, device = shortages(plan, Room(5 * 10**9, 10**9, 10**9))
    assert disk.what == "this needs 9.0 GB of disk, and 5.0 GB are free"
    assert disk.hint == "Most of it: index 8.0 GB (lower `index_tokens`); checkpoints 1.0 GB (lower `d_sae`)."
    assert (disk.exit_code, host.exit_code) == (2, 2)
    assert "3.0 GB of memory, and" in host.what
    assert "`buffer`" in host.hint
    assert "on the device" in device.what
    assert len(shortages(plan, Room(5 * 10**9, 4 * 10**9, None), done=4 * 10**9)) == 0


def test_the_tightest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "cgroup")
    assert free_memory() == 5000 * 1024
    (tmp_path / "cgroup").mkdir()
    for name, content in (("max", "max"), ("current", "1000"), ("stat", "anon 1\ninactive_file 300\n")):
        (tmp_path / "cgroup" / f"memory.{name}").write_text(content)
    assert free_memory() == 5000 * 1024
    (tmp_path / "cgroup" / "memory.max").write_text("4000\n")
    assert free_memory() == 4000 - 1000 + 300
    (tmp_path / "meminfo").unlink()
    (tmp_path / "cgroup" / "memory.stat").unlink()
    assert free_memory() is None


Usage = namedtuple("Usage", "total used free")


def no_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Report `free` bytes of free disk."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(GIB, GIB - free, free))


def test_free_space_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "yet") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


COMMANDS = {
    "train": ["train", "--index-tokens", "20k", "--tokens", "2k", "--d-sae", "64", "--k", "4", "--layer", "1"],
    "extract": ["extract", "--tokens", "5k", "--layer", "1"],
    "lm": ["lm", "--tokens", "20k", "--d-model", "32", "--vocab", "300", "--context", "32"],
}


def line(command: str, out: Path, model: Path, text: Path) -> list[str]:
    given = [*COMMANDS[command], "--data", str(text), "--out", str(out), "--device", "cpu"]
    return given if command == "lm" else [*given, "--model", str(model)]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["disk", "memory"])
def test_a_run_that_would_fill_the_machine_is_refused_before_anything_is_written(
    command: str,
    what: str,
    tmp_path: Path,
    tiny_lm: Path,
    tiny_text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if what == "disk":
        no_disk(monkeypatch, 20_000)
    else:
        monkeypatch.setattr("engine.resources.limits.free_memory", lambda: 10_000)
    assert monosem(line(command, tmp_path / "out", tiny_lm, tiny_text)) == 2
    captured = capfd.readouterr()
    complaint = captured.err[captured.err.index("monosem: ") :].splitlines()
    assert f"of {what}, and 0.0 MB are free" in complaint[0]
    assert "lower --" in complaint[1]
    assert len(complaint) == 2
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_writes_nothing(
    command: str, tmp_path: Path, tiny_lm: Path, tiny_text: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    given = [*line(command, tmp_path / "out", tiny_lm, tiny_text), "--dry-run"]
    assert monosem([*given, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["command"] == command
    assert found["fits"] is True
    assert found["seconds"] > 0
    assert found["flops"] is None
    assert all(set(stage) == {"name", "tokens", "flops", "seconds"} for stage in found["stages"])
    assert found["seconds"] == sum(stage["seconds"] for stage in found["stages"])
    for kind in ("disk", "memory"):
        assert 0 < found[kind]["peak"] < found[kind]["free"]
    assert found["disk_kept"] < 10**7
    assert monosem(given) == 0
    printed = capfd.readouterr().out
    assert "memory" in printed and "FLOP" not in printed
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_of_an_index_and_of_an_array(
    tmp_path: Path,
    tiny_lm: Path,
    tiny_text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((900, 8)))
    run = tmp_path / "run"
    assert monosem([*line("train", run, tiny_lm, tiny_text), "--no-index"]) == 0
    before = sorted(tmp_path.rglob("*"))
    for given in (
        ["index", str(run), "--tokens", "10k"],
        ["train", "--activations", str(tmp_path / "x.npy"), "--out", str(tmp_path / "new")],
    ):
        capfd.readouterr()
        assert monosem([*given, "--dry-run", "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["seconds"] > 0
    no_disk(monkeypatch, 9000)
    assert monosem(["index", str(run)]) == 2
    assert "--tokens" in capfd.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_written_already_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("extract", disk=(Need("activations", 10_000, "`keep`"),))
    no_disk(monkeypatch, 6000)
    with pytest.raises(MonosemError):
        check_room(plan, tmp_path, CPU)
    (tmp_path / "activations").mkdir()
    (tmp_path / "activations" / "shard-00000.h5").write_bytes(bytes(5000))
    check_room(plan, tmp_path, CPU)
