"""The error frame: every failure becomes one or two lines on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import re
import select
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from monosem_tui.cli import output
from monosem_tui.cli.config import CONFIG_FILE
from monosem_tui.draw.flags import with_flags
from store.files.errors import FULL, NAMED, MonosemError, UnguardedWarning

DONE, FAILED, WRONG_USE = 0, 1, 2
_NAMED = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Errors of a file that is not what its name promised."""
_SENTENCES = re.compile(r"(?<=[.!?]) ")


def run(command: Any, arguments: Sequence[str]) -> int:
    """Run a Click command on `arguments` and return its exit code.

    `command` is the result of `typer.main.get_command`. Typer's own `main` is not used: it would turn an interrupt into
    an exit code before we can say how to go on. `--debug` may stand anywhere in front of a `--`.
    """
    words = list(arguments)
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own or os.environ.get("MONOSEM_DEBUG", "0") not in ("", "0")
    output.command_line[:] = words
    words = [word for word in own if word != "--debug"] + words[len(own) :]
    context: Any = None
    try:
        context = command.make_context("monosem", words)
        with context, _warnings_told(), imports_told():
            command.invoke(context)
        code = DONE
    except typer.Exit as leaving:
        code = leaving.exit_code
    except KeyboardInterrupt:
        again = "; run the same command with --resume to go on" if "resume" in _parameters(command, context) else ""
        if not output.left_error():
            output.narrate(f"monosem: stopped{again}")
        code = WRONG_USE
    except Exception as error:
        code = _explain(error, debug, _parameters(command, context))
    return _flushed(code)


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Print what a file system does not guard as a line, once; other warnings as Python does."""
    with warnings.catch_warnings():
        # Python forgets what it has shown whenever a library changes the filters.
        warnings.simplefilter("always", UnguardedWarning)
        show, said = warnings.showwarning, set[str]()

        def told(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if category is not UnguardedWarning:
                show(message, category, *rest, **more)
            elif str(message) not in said:
                said.add(str(message))
                output.narrate(str(message))

        warnings.showwarning = told
        yield


@contextmanager
def imports_told(libraries: Sequence[str] = ("torch", "transformers"), after: float = 2.0) -> Iterator[None]:
    """Print on a terminal, after some seconds, that a large library is being imported: a slow disk takes minutes."""
    if not output.is_screen(sys.stderr):
        yield
        return
    from threading import Timer

    def tell() -> None:
        found = [name for name in libraries if getattr(sys.modules.get(name), "__spec__", None)]
        coming = next((name for name in found if getattr(sys.modules[name].__spec__, "_initializing", False)), None)
        if coming:
            output.narrate(f"importing {coming}")

    timer = Timer(after, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _flushed(code: int) -> int:
    """Flush the output and return the exit code."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _close_stdout()
        if code == DONE and not isinstance(error, BrokenPipeError):
            return _output_failed(error)
    return code


def _output_failed(error: OSError) -> int:
    output.complain(
        f"cannot write the output: {error.strerror}", "Free some space where it goes, or pipe it elsewhere."
    )
    return FAILED


def _explain(error: Exception, debug: bool, known: set[str]) -> int:
    """Print an error to stderr and return the exit code; advice to use flags other than the `known` is left out."""
    if isinstance(error, BrokenPipeError) and _stdout_is_gone():
        _close_stdout()
        return DONE
    if debug:
        output.narrate("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, MonosemError):
        advice = [part for part in _SENTENCES.split(error.hint) if {f[1] for f in NAMED.finditer(part)} <= known]
        output.complain(with_flags(error.what), with_flags(" ".join(advice)))
        return error.exit_code
    if isinstance(error, typer.Abort):
        output.narrate("monosem: stopped")
        return WRONG_USE
    # Typer's class of usage errors has moved between its versions; its methods have not.
    if hasattr(error, "format_message"):
        output.complain(*_usage(error))
        return WRONG_USE
    if isinstance(error, OSError) and error.strerror and not isinstance(error, BrokenPipeError):
        if error.errno in FULL and error.filename is None:  # errors about files are known already
            return _output_failed(error)
        where = "" if error.filename is None else f"{error.filename}: "
        is_named = isinstance(error, _NAMED) or error.errno == errno.ENAMETOOLONG
        output.complain(f"{where}{error.strerror}", "" if debug or is_named else "--debug shows where.")
        return WRONG_USE if is_named else FAILED
    output.complain(f"internal error: {type(error).__name__}: {error}; --debug shows the traceback")
    return FAILED


def _usage(error: Any) -> tuple[str, str]:
    """Return the error of a command line and a pointer to its help."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    what = error.format_message()
    if context is None:
        return what, ""
    source = context.get_parameter_source(parameter.name) if parameter is not None else None
    if source is not None and source.name == "DEFAULT_MAP":
        return f"{context.meta[CONFIG_FILE]}: {what}", ""
    return what, f"`{context.command_path} --help` lists what it takes."


def _parameters(command: Any, context: Any) -> set[str]:
    """Return the names of the running command's parameters."""
    name = context.invoked_subcommand if context is not None else None
    return {parameter.name for parameter in command.get_command(context, name).params} if name else set()


def _stdout_is_gone() -> bool:
    """Return whether the reader of stdout has gone; other broken pipes are errors."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _close_stdout() -> None:
    """Keep Python from reporting unsent output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
