"""Every failure is one or two plain lines on stderr and the right exit code."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pytest
import typer

from monosem_tui.cli import error_frame as frame
from store.files.errors import MonosemError, WorkFailed, unguarded
from tests.cli.running import ENTRY, ROOT, clean_environment, monosem
from tests.patience import PATIENCE

FAILURES: dict[str, BaseException] = {
    "wrong": MonosemError("no run at \x1b[31mx", "List\x07 them.\nThen choose."),
    "work": WorkFailed("the disk is full"),
    "bug": ValueError("not [bold]ours[/bold]\x1b]0;title\x07\nsecond line"),
    "denied": PermissionError(13, "Permission denied", "runs/\x1b[2Jx/run.json"),
    "interrupt": KeyboardInterrupt(),
    "exit": typer.Exit(7),
    "abort": typer.Abort(),
}


def _app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.callback()
    def group(debug: Annotated[bool, typer.Option("--debug")] = False) -> None:
        """A group with a callback, as in monosem."""

    @app.command()
    def fail(kind: str, number: Annotated[int, typer.Option("--number")] = 0) -> None:
        """Fail in one way."""
        raise FAILURES[kind]

    @app.command()
    def work(kind: str, resume: Annotated[bool, typer.Option("--resume")] = False) -> None:
        """A command that fails and can be resumed."""
        raise FAILURES[kind]

    @app.command()
    def echo(text: str) -> None:
        """A command that prints a word."""
        typer.echo(text)

    return app


def _run(arguments: Sequence[str]) -> int:
    return frame.run(typer.main.get_command(_app()), arguments)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not any(ord(character) < 32 and character != "\n" for character in captured.err)
    return captured.err.splitlines()


@pytest.mark.parametrize(
    ("kind", "code", "lines"),
    [
        ("wrong", 2, ["monosem: no run at ⟨0x1B⟩[31mx", "  List⟨0x07⟩ them. Then choose."]),
        ("work", 1, ["monosem: the disk is full"]),
        (
            "bug",
            1,
            [
                "monosem: internal error: ValueError: not [bold]ours[/bold]⟨0x1B⟩]0;title⟨0x07⟩ second line; "
                "--debug shows the traceback"
            ],
        ),
        ("denied", 2, ["monosem: runs/⟨0x1B⟩[2Jx/run.json: Permission denied"]),
        ("interrupt", 2, ["monosem: stopped"]),
        ("abort", 2, ["monosem: stopped"]),
        ("exit", 7, []),
    ],
)
def test_failures(kind: str, code: int, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["fail", kind]) == code
    assert _lines(capsys) == lines


def test_interrupt_of_resumable_work_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["work", "interrupt"]) == 2
    assert _lines(capsys) == ["monosem: stopped; run the same command with --resume to go on"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "nothing"),
        (["fial", "bug"], "fail"),
        (["fail", "bug", "--nubmer", "3"], "--number"),
        (["fail"], "KIND"),
        (["fail", "bug", "--number", "three"], "--number"),
        (["fail", "bug", "more"], "more"),
        (["fail", "bug", "--\x1b[31m"], "31m"),
    ],
)
def test_wrong_use_is_two_plain_lines(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(arguments) == 2
    first, second = _lines(capsys)
    assert first.startswith("monosem: ")
    assert said.lower() in first.lower()
    assert "--help" in second
    assert not set(first + second) & set("╭╮╰╯│─")


@pytest.mark.parametrize("arguments", [["--debug", "fail", "bug"], ["fail", "bug", "--debug"]])
def test_debug_shows_the_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(arguments) == 1
    lines = _lines(capsys)
    assert lines[0] == "Traceback (most recent call last):"
    assert any("test_error_frame.py" in line for line in lines)
    assert lines[-1].startswith("monosem: internal error: ValueError")


def test_debug_by_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MONOSEM_DEBUG", "1")
    _run(["fail", "wrong"])
    assert _lines(capsys)[0].startswith("Traceback")
    monkeypatch.setenv("MONOSEM_DEBUG", "0")
    _run(["fail", "wrong"])
    assert len(_lines(capsys)) == 2


def test_debug_behind_two_dashes_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["echo", "--", "--debug"]) == 0
    assert capsys.readouterr().out == "--debug\n"


def test_a_pipe_that_broke_elsewhere_is_an_error(tmp_path: Path) -> None:
    script = (
        "import sys, typer\n"
        "from monosem_tui.cli import error_frame\n"
        "app = typer.Typer(rich_markup_mode=None)\n"
        "@app.command()\n"
        "def one() -> None:\n"
        "    raise BrokenPipeError(32, 'Broken pipe')\n"
        "@app.command()\n"
        "def two() -> None: ...\n"
        "sys.exit(error_frame.run(typer.main.get_command(app), ['one']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=clean_environment(), cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith(b"monosem: internal error: BrokenPipeError")


def test_an_interrupted_process_leaves_no_traceback() -> None:
    script = (
        "import signal, sys, typer\n"
        "from monosem_tui.cli import error_frame\n"
        "app = typer.Typer(rich_markup_mode=None)\n"
        "@app.command()\n"
        "def train(resume: bool = False) -> None:\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in what a shell starts behind itself
        "    print('ready', flush=True)\n"
        "    signal.pause()\n"
        "@app.command()\n"
        "def other() -> None: ...\n"
        "sys.exit(error_frame.run(typer.main.get_command(app), ['train']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert errors == b"monosem: stopped; run the same command with --resume to go on\n"


def test_output_that_cannot_be_written(runs: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("wb") as full:
        for arguments in (["runs"], ["show", "stories", "0"], ["--help"]):
            done = subprocess.run(
                [sys.executable, "-c", ENTRY, *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                env=clean_environment(MONOSEM_RUNS=str(runs)),
                cwd=ROOT,
            )
            assert done.returncode == 1, arguments
            assert b"cannot write the output: No space left on device" in done.stderr
            assert len(done.stderr.splitlines()) <= 2


def test_without_a_command_help_goes_to_stderr() -> None:
    done = monosem()
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Commands:" in done.stderr


def test_output_that_nobody_reads_to_its_end(runs: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        for arguments in (["show", "stories", "3"], ["show", "stories", "--json"], ["runs"], ["--help"]):
            done = subprocess.run(
                [sys.executable, "-c", ENTRY, *arguments],
                stdout=write,
                stderr=subprocess.PIPE,
                env=clean_environment(MONOSEM_RUNS=str(runs)),
                cwd=ROOT,
            )
            assert (done.returncode, done.stderr) == (0, b""), arguments
    finally:
        os.close(write)


def test_closed_streams_discard(runs: Path) -> None:
    script = f'exec "$0" -c "{ENTRY}" "$@" <&- >&- 2>&-'
    for arguments, code in ((["show", "stories", "3"], 0), (["show", "nothing"], 2)):
        done = subprocess.run(
            ["sh", "-c", script, sys.executable, *arguments], env=clean_environment(MONOSEM_RUNS=str(runs)), cwd=ROOT
        )
        assert done.returncode == code


TOLD = threading.Event()


def test_an_import_that_takes_long_is_told_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def narrate(text: str) -> None:
        lines.append(text)
        TOLD.set()

    monkeypatch.setattr(frame.output, "is_screen", lambda stream: True)
    monkeypatch.setattr(frame.output, "narrate", narrate)
    monkeypatch.syspath_prepend(str(tmp_path))
    wait = f"from tests.cli.test_error_frame import TOLD\nassert TOLD.wait({PATIENCE})\n"
    (tmp_path / "a_large_library.py").write_text(wait)
    with frame.imports_told(["a_large_library", "one_that_is_not_imported"], after=0.01):
        importlib.import_module("a_large_library")
    assert lines == ["importing a_large_library"]
    with frame.imports_told(["a_large_library"], after=3600):
        pass
    assert len(lines) == 1


def test_what_a_file_system_lacks_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(frame.output, "narrate", lines.append)
    with frame._warnings_told():
        for _ in range(2):
            unguarded("has no locks")
            with warnings.catch_warnings():  # as libraries do: Python then forgets what it has shown
                warnings.simplefilter("ignore", FutureWarning)
            unguarded("cannot rename")
    assert lines == ["this file system has no locks", "this file system cannot rename"]
