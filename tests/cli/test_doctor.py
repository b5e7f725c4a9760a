"""`monosem doctor`."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from monosem_tui.cli.reports import doctor
from tests.cli.test_output import HARMFUL, HOSTILE


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing torch takes a second; one test does it."""
    monkeypatch.setattr(doctor, "_devices", lambda: doctor.Devices(["NVIDIA H200"], "12.8", False, ""))


def _found(capsys: pytest.CaptureFixture[str], root: Path) -> dict[str, dict[str, object]]:
    assert run(["doctor", "--json", "--runs-dir", str(root)]) == 0
    found: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_what_it_says_of_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = _found(capsys, tmp_path / "not" / "yet" / "made")["machine"]
    assert machine["python"] == platform.python_version()
    packages = machine["packages"]
    assert isinstance(packages, dict)
    assert packages["numpy"] == version("numpy")
    assert "datasets" in packages
    assert machine["disk_free"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert machine["runs_dir"] == str(tmp_path / "not" / "yet" / "made")
    assert not (tmp_path / "not").exists()


def test_what_it_says_of_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "screen")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    found = _found(capsys, tmp_path)
    terminal = found["terminal"]
    assert (terminal["term"], terminal["ssh"], terminal["color"], terminal["mouse"]) == ("screen", True, "16", False)
    assert any("SendEnv COLORTERM" in text for text in found["advice"])
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("SSH_CONNECTION")
    found = _found(capsys, tmp_path)
    assert found["terminal"]["color"] == "truecolor"
    assert not any("SendEnv" in text for text in found["advice"])


def test_the_page_has_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--runs-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for said in (
        "monosem ", "packages ", "machine ", "NVIDIA H200", "runs ", str(tmp_path), "terminal ", "TERM=xterm-256color",
        "colours ", "heat ", "▁▂▃▄▅▆▇█", "⣿", "OSC 52", "TEXTUAL_DISABLE_KITTY_KEY=1",
    ):  # fmt: skip
        assert said in out, said


def test_heat_is_shown_in_colour_where_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(["doctor", "--runs-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all(f"48;5;{step}m" in out for step in (52, 88, 130, 172, 214))


def test_a_hostile_environment_stays_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", HOSTILE)
    monkeypatch.setenv("COLORTERM", HOSTILE)
    assert run(["doctor", "--runs-dir", str(tmp_path / HOSTILE.replace("/", ""))]) == 0
    captured = capsys.readouterr()
    assert not HARMFUL.search(captured.out + captured.err)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (doctor.Devices([], "12.8", False, ""), "no CUDA device"),
        (doctor.Devices([], None, False, ""), "torch built without CUDA"),
        (doctor.Devices([], None, True, ""), "MPS"),
        (doctor.Devices([], None, False, "torch does not work: OSError: libcudart"), "libcudart"),
    ],
)
def test_devices(
    tmp_path: Path,
    devices: doctor.Devices,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "_devices", lambda: devices)
    assert run(["doctor", "--runs-dir", str(tmp_path)]) == 0
    assert said in capsys.readouterr().out


def test_torch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    import torch

    found = doctor._devices()
    assert found.problem == ""
    assert len(found.cuda) == torch.cuda.device_count()
    assert found.cuda_version == torch.version.cuda


def test_a_broken_torch_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 // 0)
    assert doctor._devices().problem == "torch does not work: ZeroDivisionError: integer division or modulo by zero"
