"""`--nproc`: the command line of an index, an extraction and a training that several processes make."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monosem_tui.cli import ranks
from monosem_tui.cli.main import run
from store.run.checkpoint import latest_checkpoint
from store.run.folder import RunFolder
from tests.cli.running import ENTRY, clean_environment
from tests.patience import PATIENCE, alive, eventually, wait_for_end

TRAIN = "--layer 0 --tokens 2k --batch 128 --d-sae 32 --k 4 --no-index --device cpu"


@pytest.fixture
def trained(tiny_lm: Path, tiny_text: Path, tmp_path: Path) -> RunFolder:
    """A run that is trained and not indexed."""
    out = tmp_path / "run"
    command = ["train", "--model", str(tiny_lm), "--data", str(tiny_text), *TRAIN.split(), "--out", str(out)]
    assert run(command) == 0
    return RunFolder(out)


def test_a_dry_run_says_the_memory_of_each(
    trained: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ["index", str(trained.path), "--dry-run"]
    assert run([*index, "--nproc", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ranks"] == 3
    assert found["memory"]["peak"] == 3 * found["memory_per_rank"] > 0
    assert run([*index, "--nproc", "3"]) == 0
    assert ": 3 processes, " in capsys.readouterr().out
    assert run([*index, "--memory", "128M", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ranks"] == 1
    provenance = trained.record().provenance
    extract = ["extract", "--model", provenance.model, "--data", provenance.corpus, "--out", str(tmp_path / "acts")]
    assert run([*extract, "--tokens", "1k", "--nproc", "2", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ranks"] == 2
    assert not (tmp_path / "acts").exists()


def test_a_dry_run_of_a_training_says_what_is_sent(
    tiny_lm: Path, tiny_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--model", str(tiny_lm), "--data", str(tiny_text), "--out", str(tmp_path / "run"), "--dry-run"]
    train += ["--layer", "0", "--tokens", "2k", "--batch", "64", "--k", "4", "--no-index", "--device", "cpu"]
    found = {}
    for name, more in {
        "alone": ["--d-sae", "4096"],
        "wide": ["--d-sae", "4096", "--nproc", "2"],
        "sweep": ["--d-sae", "4096,2048", "--nproc", "2"],
    }.items():
        assert run([*train, *more, "--json"]) == 0
        found[name] = json.loads(capsys.readouterr().out)
        assert found[name]["seconds"] > 0
    weights = {name: one["memory"]["items"] for name, one in found.items()}
    moments = {
        name: next(item["n_bytes"] for item in one if "moments" in item["what"]) for name, one in weights.items()
    }
    assert (
        found["alone"]["traffic_per_step"] == 0 < found["sweep"]["traffic_per_step"] < found["wide"]["traffic_per_step"]
    )
    assert moments["wide"] < 0.51 * moments["alone"]
    assert moments["sweep"] == moments["alone"]
    assert run([*train, "--d-sae", "4096", "--nproc", "2"]) == 0
    said = capsys.readouterr().out
    assert "sent by each process in a training step" in said
    assert "in each process, without sending and waiting" in said
    assert not (tmp_path / "run").exists()


def test_an_error_of_a_rank_is_left_for_its_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    assert run(["index", "nowhere"]) == 2  # torchrun's own: it prints
    said = capsys.readouterr().err
    assert said.startswith("monosem: ")
    monkeypatch.setenv("MONOSEM_RANK", "1")
    assert run(["index", "nowhere"]) == 2
    assert capsys.readouterr().err == ""
    left = json.loads((tmp_path / "error.json").read_text())
    assert left["message"] in said
    assert left["hint"]


def test_no_rank_starts_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ranks.has_launched(1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "it")
    assert not ranks.has_launched(4)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_four_are_broken_off_and_two_or_one_finish(how: str, trained: RunFolder, tmp_path: Path) -> None:
    """What is left is finished by other numbers of processes, and by torchrun; the bytes are those of one process."""
    text = ["--data", "stdlib", "--tokens", "3M"]
    whole = RunFolder(Path(shutil.copytree(trained.path, tmp_path / "whole")))
    environment = clean_environment(OMP_NUM_THREADS="1")

    def command(folder: RunFolder, *more: str) -> list[str]:
        return [sys.executable, "-c", ENTRY, "index", str(folder.path), *text, *more]

    subprocess.run(command(whole), env=environment, check=True, capture_output=True)
    begun = subprocess.Popen(command(trained, "--nproc", "4"), env=environment, stderr=subprocess.PIPE)
    eventually(lambda: (trained.index / "common.h5").exists() and len(children(begun.pid)) >= 4)
    ranks_of = children(begun.pid)
    time.sleep(1)
    os.kill(ranks_of[2], signal.SIGKILL) if how == "kill" else begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=PATIENCE)
    for pid in ranks_of:
        wait_for_end(pid)
    assert not any(map(alive, ranks_of))
    last = said.decode().splitlines()
    assert "Traceback" not in said.decode()
    if how == "kill":
        assert begun.returncode == 1
        assert " was ended by SIGKILL, so the others stopped" in last[-2]
    else:
        assert begun.returncode == 2
        assert last[-1] == "monosem: stopped; run the same command with --resume to go on"
    assert not trained.features.exists()
    assert trained.record().current_status() == "stopped"
    if how == "kill":
        subprocess.run(command(trained, "--resume"), env=environment, check=True, capture_output=True)
    else:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        torchrun += ["-m", "monosem_tui.cli", *command(trained, "--resume")[3:]]
        subprocess.run(torchrun, env=environment, check=True, capture_output=True)
    assert trained.features.read_bytes() == whole.features.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_training_of_two_is_killed_and_three_finish(tiny_lm: Path, tmp_path: Path) -> None:
    """One line says which process was killed; the checkpoint of two is read by three, started by torchrun."""
    environment, out = clean_environment(OMP_NUM_THREADS="1"), RunFolder(tmp_path / "run")
    train = [sys.executable, "-c", ENTRY, "train", "--model", str(tiny_lm), "--data", "stdlib", "--layer", "0"]
    train += ["--tokens", "80k", "--batch", "256", "--d-sae", "4096", "--k", "8", "--no-index", "--device", "cpu"]
    train += ["--checkpoint-every", "20", "--out", str(out.path)]
    begun = subprocess.Popen([*train, "--nproc", "2"], env=environment, stderr=subprocess.PIPE)
    eventually(lambda: latest_checkpoint(out.checkpoints) is not None)
    ranks_of = children(begun.pid)
    os.kill(ranks_of[1], signal.SIGKILL)
    killed_at = time.monotonic()
    _, said = begun.communicate(timeout=PATIENCE)
    assert time.monotonic() - killed_at < 30
    for pid in ranks_of:
        wait_for_end(pid)
    assert begun.returncode == 1
    assert " was ended by SIGKILL, so the others stopped" in said.decode().splitlines()[-2]
    assert "Traceback" not in said.decode()
    assert out.record().current_status() == "stopped"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    torchrun += ["-m", "monosem_tui.cli", *train[3:], "--resume"]
    found = subprocess.run(torchrun, env=environment, check=True, capture_output=True)
    assert b"resumed at step" in found.stderr
    assert out.sae.is_file()
    assert not list(out.checkpoints.iterdir())
