"""`monosem doctor`: what monosem finds on this machine and in this terminal, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.draw.bars import EIGHTHS, LEVELS
from monosem_tui.draw.safe_text import fit, printable
from monosem_tui.draw.spans import HEAT, Line, Role, Span, line, wrap
from monosem_tui.terminal.capabilities import decide
from store.files.cores import usable_cores

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "h5py", "textual", "rich", "typer")
_GIB = 1 << 30
_BRAILLE = "⡀⣀⣄⣤⣦⣶⣷⣿"


@dataclass(frozen=True)
class Machine:
    """Software and room. Sizes in bytes."""

    monosem: str
    python: str
    system: str
    packages: dict[str, str | None]
    """Version of each; None where it is not installed."""
    cores: int
    memory: int | None
    runs_dir: str
    writable: bool
    disk_free: int


@dataclass(frozen=True)
class Devices:
    """Devices of torch besides the CPU."""

    cuda: list[str]
    """Name of each device."""
    cuda_version: str | None
    """That this torch was built for; None for a build without."""
    mps: bool
    problem: str
    """Why torch could not be asked."""


@dataclass(frozen=True)
class Screen:
    """The terminal's own description, and the settings derived from it."""

    term: str
    colorterm: str
    no_color: bool
    ssh: bool
    tmux: str | None
    """Version; None outside of tmux."""
    encoding: str
    columns: int
    lines: int
    color: str
    """Colours that the app uses: truecolor, 256, 16 or none."""
    theme: str
    mouse: bool


def report(root: Path, *, json: bool) -> None:
    """Print what was found; runs live in `root`. Asks torch for devices, which takes a second."""
    machine, screen, devices = _machine(root), _screen(), _devices()
    advice = _advice(machine, screen, devices)
    if json:
        found = {"machine": asdict(machine), "devices": asdict(devices), "terminal": asdict(screen)}
        output.emit_json({**found, "advice": advice})
        return
    cells = output.page_width()
    lines = [*_machine_lines(machine, devices, cells), (), *_terminal_lines(screen, cells)]
    output.emit_lines(
        [*lines, *([()] if advice else []), *(line for text in advice for line in _sentence(text, cells))]
    )


def _machine(root: Path) -> Machine:
    there = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.is_dir())
    return Machine(
        monosem=_version("monosem") or "not installed",
        python=platform.python_version(),
        system=platform.platform(terse=True),
        packages={name: _version(name) for name in (*PACKAGES, "datasets")},
        cores=usable_cores(),
        memory=_memory(),
        runs_dir=str(root),
        writable=os.access(there, os.W_OK),
        disk_free=shutil.disk_usage(there).free,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _devices() -> Devices:
    if importlib.util.find_spec("torch") is None:
        return Devices([], None, False, "torch is not installed")
    try:
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Devices(names, torch.version.cuda, torch.backends.mps.is_available(), "")
    except Exception as error:  # a broken torch is a finding here, whatever it raises
        return Devices([], None, False, f"torch does not work: {type(error).__name__}: {error}")


def _screen() -> Screen:
    chosen = decide(os.environ)
    size = shutil.get_terminal_size()
    return Screen(
        term=os.environ.get("TERM", ""),
        colorterm=os.environ.get("COLORTERM", ""),
        no_color=bool(os.environ.get("NO_COLOR")),
        ssh="SSH_CONNECTION" in os.environ,
        tmux=_tmux() if "TMUX" in os.environ else None,
        encoding=sys.stdout.encoding,
        columns=size.columns,
        lines=size.lines,
        color=chosen.color,
        theme=chosen.theme,
        mouse=chosen.mouse,
    )


def _tmux() -> str:
    try:
        answer = subprocess.run(["tmux", "-V"], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip().removeprefix("tmux ")


def _advice(machine: Machine, screen: Screen, devices: Devices) -> list[str]:
    """Sentences for what could be better."""
    found = []
    if devices.problem:
        found.append(f"{devices.problem}.")
    elif devices.cuda_version is None and not devices.mps and shutil.which("nvidia-smi"):
        found.append("There is an NVIDIA driver, but this torch is built without CUDA: see pytorch.org/get-started.")
    if not machine.writable:
        found.append(f"{machine.runs_dir} cannot be written: choose another with --runs-dir or MONOSEM_RUNS.")
    if machine.packages["datasets"] is None:
        found.append("--data hf:NAME needs `datasets`: pip install 'monosem[hub]'.")
    if screen.encoding.lower().replace("-", "") != "utf8":
        found.append(f"Output is {screen.encoding}: blocks and arrows come out as ?; set LANG to a UTF-8 locale.")
    if screen.color == "16":
        found.append("16 colours cannot show heat, so bars do. If this terminal knows more: MONOSEM_COLOR=truecolor.")
    if screen.ssh and not screen.colorterm and screen.color in ("16", "256"):
        found.append("ssh does not pass COLORTERM on by itself: `SendEnv COLORTERM` here, `AcceptEnv COLORTERM` there.")
    if screen.tmux:
        found.append("Copying out of tmux needs `set -g set-clipboard on` in ~/.tmux.conf.")
    return found


def _machine_lines(machine: Machine, devices: Devices, cells: int) -> list[Line]:
    versions = [f"{name} {found or 'missing'}" for name, found in machine.packages.items()]
    memory = "" if machine.memory is None else f"{machine.memory / _GIB:.0f} GiB of memory"
    cuda = devices.problem or (
        ", ".join(devices.cuda)
        if devices.cuda
        else "no CUDA device"
        if devices.cuda_version
        else "torch built without CUDA"
    )
    free = f"{machine.disk_free / _GIB:.0f} GiB free" + ("" if machine.writable else ", not writable")
    return [
        *_row("monosem", [machine.monosem, f"Python {machine.python}", machine.system], cells),
        *_row("packages", versions, cells),
        *_row("machine", [f"{machine.cores} cores", memory, cuda, "MPS" if devices.mps else ""], cells),
        *_row("runs", [machine.runs_dir, free], cells),
    ]


def _terminal_lines(screen: Screen, cells: int) -> list[Line]:
    said = [
        f"TERM={screen.term}",
        f"COLORTERM={screen.colorterm}",
        "NO_COLOR is set" if screen.no_color else "",
        "over SSH" if screen.ssh else "",
        f"tmux {screen.tmux}" if screen.tmux else "",
        f"{screen.columns}×{screen.lines}",
        screen.encoding,
    ]
    ramp = [Span(f" {step} ", role) for step, role in enumerate(HEAT)]
    return [
        *_row("terminal", said, cells),
        *_row(
            "colours", [screen.color, f"{screen.theme} theme", "MONOSEM_COLOR and MONOSEM_THEME say otherwise"], cells
        ),
        line(_name("heat"), *ramp) if output.palette().colors else line(_name("heat"), LEVELS[1:]),
        line(_name("glyphs"), f"{LEVELS[1:]} {EIGHTHS[1:]} {_BRAILLE} ↵ · ‹11.8› …"),
        *_row("copying", ["y in the app copies by OSC 52: paste to see whether it came through"], cells),
        *_row("keys", ["where keys misbehave, set TEXTUAL_DISABLE_KITTY_KEY=1"], cells),
    ]


def _name(name: str) -> Span:
    return Span(fit(name, 10), Role.DIM)


def _row(name: str, parts: list[str], cells: int) -> list[Line]:
    rows = wrap([line(printable(part)) for part in parts if part], cells - 10, " · ")
    return [line(_name(name if i == 0 else ""), *row) for i, row in enumerate(rows)]


def _sentence(text: str, cells: int) -> list[Line]:
    return wrap([line(printable(word)) for word in text.split()], cells, " ", indent=2)
