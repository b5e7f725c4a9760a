"""Decisions about the terminal, and refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monosem_tui.terminal import capabilities as terminal
from monosem_tui.terminal.capabilities import Terminal, decide, require_terminal
from store.files.errors import MonosemError
from tests.sample_run import Sample

ROOT = Path(__file__).parents[3]
SSH = {"SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"}


@pytest.mark.parametrize(
    ("environ", "given", "color"),
    [
        ({"TERM": "xterm-256color"}, None, "256"),
        ({"TERM": "tmux-256color"}, None, "256"),
        ({"TERM": "screen"}, None, "16"),
        ({"TERM": "linux"}, None, "16"),
        ({}, None, "16"),
        ({"TERM": "xterm-ghostty"}, None, "truecolor"),
        ({"TERM": "alacritty"}, None, "truecolor"),
        ({"TERM": "xterm-direct"}, None, "truecolor"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, None, "truecolor"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, None, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, None, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "MONOSEM_COLOR": "16"}, None, "16"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "MONOSEM_COLOR": "16"}, "truecolor", "truecolor"),
        ({"TERM": "screen", "MONOSEM_COLOR": "auto"}, None, "16"),
        ({"TERM": "xterm-256color"}, "none", "none"),
    ],
)
def test_colours(environ: dict[str, str], given: str | None, color: str) -> None:
    found = decide(environ, given)
    assert found.color == color
    assert found.colors == {"truecolor": 256, "256": 256, "16": 16, "none": 0}[color]
    assert (found.settings()["NO_COLOR"] is not None) == (color == "none")


def test_unknown_settings_are_refused_with_the_choices() -> None:
    with pytest.raises(MonosemError, match="no colour setting 'pink'") as caught:
        decide({}, "pink")
    assert "auto, truecolor, 256, 16, none" in caught.value.hint
    with pytest.raises(MonosemError, match="no theme 'solarized'"):
        decide({"MONOSEM_THEME": "solarized"})


@pytest.mark.parametrize(
    ("environ", "given", "theme", "asked"),
    [
        ({}, None, "dark", False),
        ({"COLORFGBG": "15;0"}, None, "dark", False),
        ({"COLORFGBG": "0;15"}, None, "light", False),
        ({"COLORFGBG": "0;default;15"}, None, "light", False),
        ({"COLORFGBG": "0;15", "MONOSEM_THEME": "dark"}, None, "dark", True),
        ({"MONOSEM_THEME": "light"}, None, "light", True),
        ({"MONOSEM_THEME": "light"}, "plain", "plain", True),
    ],
)
def test_theme(environ: dict[str, str], given: str | None, theme: str, asked: bool) -> None:
    found = decide(environ, theme=given)
    assert (found.theme, found.asked) == (theme, asked)


def test_over_ssh_the_mouse_is_off_and_escape_waits() -> None:
    local, remote = decide({}), decide(SSH)
    assert (local.mouse, remote.mouse) == (True, False)
    assert (decide({}, mouse=False).mouse, decide(SSH, mouse=True).mouse) == (False, True)
    assert local.escape_ms < remote.escape_ms
    assert decide(SSH | {"ESCDELAY": "7"}).escape_ms == 7


def test_settings_reach_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Terminal("none", "dark", True, 7).settings():
        monkeypatch.setenv(name, "before")
    terminal.apply(Terminal("256", "dark", True, 7).settings())
    import os

    assert (os.environ["TEXTUAL_COLOR_SYSTEM"], os.environ["ESCDELAY"]) == ("256", "7")
    assert not {"NO_COLOR", "COLUMNS", "LINES"} & set(os.environ)


class _Stream:
    def __init__(self, tty: bool) -> None:
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_pipe_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, f"__{other}__", _Stream(other != name))
    word = {"stdin": "input", "stdout": "output", "stderr": "error"}[name]
    with pytest.raises(MonosemError, match=f"standard {word} is not one") as caught:
        require_terminal({"TERM": "xterm"})
    assert caught.value.exit_code == 2
    monkeypatch.setattr(sys, f"__{name}__", _Stream(True))
    require_terminal({"TERM": "xterm"})
    with pytest.raises(MonosemError, match="TERM is dumb"):
        require_terminal({"TERM": "dumb"})


_REPORT = """
import sys
{do}
print(sorted({{m.partition(".")[0] for m in sys.modules}} & {{"textual", "torch", "transformers", "h5py", "numpy"}}))
"""


@pytest.mark.parametrize(
    ("do", "loaded"),
    [
        ("import monosem_tui.launch", []),
        (
            "import monosem_tui.pages.feature_page, monosem_tui.pages.feature_rows, monosem_tui.model.open_run",
            ["h5py", "numpy"],
        ),
        ("import monosem_tui.app", ["h5py", "numpy", "textual"]),
        ("import monosem_tui.launch, textual", ["textual"]),  # the check can fail
    ],
)
def test_nothing_is_imported_before_its_time(do: str, loaded: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(do=do)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(loaded)


def test_launching_without_a_terminal_is_a_sentence(sample: Sample) -> None:
    code = f"from pathlib import Path; from monosem_tui.launch import browse; browse(Path({str(sample.run.path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, input="")
    assert "MonosemError: monosem tui needs a terminal, and standard input is not one" in done.stderr
