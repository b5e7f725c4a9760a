"""The whole command: its help, its version, and what a shell sees of it."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from monosem_tui.cli.main import COMMANDS, run
from tests.cli.running import monosem
from tests.sample_run import Sample

ORDER = [
    *("demo", "lm", "extract", "train", "import", "index", "eval"),
    *("tui", "show", "find", "compare", "map", "study", "explain", "inspect", "generate", "serve", "label"),
    "export",
    *("runs", "merge", "verify", "doctor"),
]
"""Order of the commands in the help: making a run, opening it, housekeeping."""


def test_help_lists_the_commands_in_order_and_plainly() -> None:
    done = monosem("--help")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    listed = re.findall(r"^  ([a-z]+)  ", text.split("Commands:")[1], re.MULTILINE)
    assert listed == list(COMMANDS) == ORDER
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert " ".join(COMMANDS[command].split()) in " ".join(captured.out.split())
    assert f"Usage: monosem {command}" in captured.out
    assert "\x1b" not in captured.out
    for line in captured.out.split("Options:")[1].splitlines():
        assert not re.fullmatch(r"\s+--?\S+( \S+)?", line), f"{line.strip()} has no help"


MOST = {
    "--help": 15,
    "train --help": 22,
    "index --help": 21,
    "runs": 34,
    "label RUN": 39,
    "verify RUN": 86,
    "show RUN": 111,
    "show RUN 0": 112,
    "find RUN the": 123,
}
"""Most modules of ours that a command loads, packages included. Raise a number only with a reason: each costs time.

`show` and `find` show kinds, explanations and borders of contexts; both, and `verify`, know of neurons.
`verify` and `find` know what tokens cover of the text; kinds are read by groups of features."""


@pytest.mark.parametrize("command", MOST)
def test_a_command_loads_only_what_it_needs(command: str, sample: Sample) -> None:
    done = monosem(*command.replace("RUN", str(sample.run.path)).split(), PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    found = re.findall(r"\| +((?:store|engine|monosem_tui)\b\S*)$", done.stderr.decode(), re.MULTILINE)
    assert "monosem_tui.cli.main" in found
    assert len(found) <= MOST[command], sorted(found)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"monosem {version('monosem')}\n"


def test_stdout_is_data_alone(runs: Path) -> None:
    """Narration goes to stderr: with --json every byte of stdout is JSON, whatever there was to say."""
    for arguments in (["runs"], ["show", "stories"], ["show", "stories", "0"], ["verify", "stories"]):
        done = monosem(*arguments, "--json", MONOSEM_RUNS=str(runs))
        assert (done.returncode, done.stderr) == (0, b""), arguments
        json.loads(done.stdout)
        assert done.stdout.isascii()


def test_plain_bytes_when_piped(runs: Path) -> None:
    for arguments in (["runs"], ["show", "stories"], ["show", "stories", "0"], ["verify", "stories"]):
        done = monosem(*arguments, MONOSEM_RUNS=str(runs))
        assert (done.returncode, done.stderr) == (0, b""), arguments
        assert b"\x1b" not in done.stdout
        assert done.stdout.endswith(b"\n")


def test_an_ascii_terminal_gets_question_marks(sample: Sample) -> None:
    done = monosem("show", str(sample.run.path), "0", PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout
    assert done.stdout.isascii()


def test_errors_reach_the_shell(tmp_path: Path) -> None:
    done = monosem("show", "nothing", "--runs-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        f"monosem: no run at nothing nor at {tmp_path}/nothing",
        "  `monosem runs` lists all runs.",
    ]
