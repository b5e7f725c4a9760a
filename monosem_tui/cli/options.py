"""The flags of commands: made from settings (store.settings), and those that say where and how a command works."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

from monosem_tui.cli.config import read_config
from monosem_tui.cli.output import narrate
from monosem_tui.draw.flags import flag_of, with_flags

if TYPE_CHECKING:
    from store.settings.setting import Description, Settings

T = TypeVar("T")
_keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
_COUNT = re.compile(r"(\d[\d_]*(?:\.\d+)?)([kmb]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def count(value: str | int) -> int:
    """Read a whole number above zero, as people write large ones: 10_000, 500k, 1.5M, 2b.

    Raises:
        typer.BadParameter: it is not one.
    """
    found = _COUNT.fullmatch(str(value).strip())
    number = Decimal(found[1].replace("_", "")) * _UNITS[found[2].lower()] if found else Decimal(0)
    if number < 1 or number != number.to_integral_value():
        raise typer.BadParameter(f"{str(value)!r} is not a count; write 10_000, 500k or 1.5M.")
    return int(number)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size(value: str | int) -> int:
    """Read a number of bytes, as people write it: 500M, 2G, 1.5GB; a K is 1 024.

    Raises:
        typer.BadParameter: it is not a size.
    """
    found = _SIZE.fullmatch(str(value).strip())
    number = int(Decimal(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " ")) if found else 0
    if number < 1:
        raise typer.BadParameter(f"{str(value)!r} is not a size; write 500M or 2G.")
    return number


def several(parse: Callable[[str], T]) -> Callable[[str | tuple[T, ...]], tuple[T, ...]]:
    """Return a parser of `A,B,C` that reads each part with `parse`."""

    def parts(value: str | tuple[T, ...]) -> tuple[T, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(parse(part.strip()) for part in value.split(","))

    return parts


def whole(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers of at least `least`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,400}", text) or int(text) < least:
            raise typer.BadParameter(f"{text!r} is not a whole number of at least {least}.")
        return int(text)

    return parse


def positive(text: str) -> float:
    """Read a number of at least 0.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a number of at least 0.")
    return number


def word(text: str) -> str:
    """Return the text; refuse an empty one."""
    if not text:
        raise typer.BadParameter("an entry of the list is empty.")
    return text


@dataclass(frozen=True)
class Flags:
    """Marks a parameter of a command: these settings of its class are flags, in this order in the help."""

    names: str
    """Separated by spaces."""
    from_file: bool = True
    """Whether `--config FILE.toml` may set them too."""
    defaults: bool = False
    """Whether they have the defaults of the class; else None stands for a flag that is not given."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return the command with each parameter that is marked by `Flags` replaced by a flag per setting.

    The command is called with the settings made from the flags that were given.
    """
    signature = inspect.signature(function, eval_str=True)
    groups: dict[str, tuple[type[Any], Flags]] = {}
    parameters: list[inspect.Parameter] = []
    file: inspect.Parameter | None = None
    for parameter in signature.parameters.values():
        kind, *marks = get_args(parameter.annotation) or (None,)
        flags = next((mark for mark in marks if isinstance(mark, Flags)), None)
        if flags is None:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = kind, flags
        parameters += _parameters(kind, flags)
        if flags.from_file:
            file = _keyword("config", default=None, annotation=Config)
    if file is not None:
        parameters.insert(-1, file)  # before --json, the last

    def run(**values: Any) -> None:
        values.pop("config", None)  # its callback has read it
        for parameter, (kind, flags) in groups.items():
            given = {name: value for name in flags.names.split() if (value := values.pop(name)) not in (None, [])}
            values[parameter] = getattr(kind, "asked", kind)(**given)
        function(**values)

    run.__doc__ = function.__doc__
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _parameters(kind: type[Any], flags: Flags) -> list[inspect.Parameter]:
    """Return Typer's parameters of settings."""
    own = get_type_hints(kind)
    cls: type[Settings] = own.get("settings", kind)  # a grid has lists of settings beside the settings they share
    types = get_type_hints(cls)
    found = []
    for name in flags.names.split():
        is_list = cls is not kind and name in own
        bare = _bare(types[name])
        value: Any = str if is_list else bare
        default = cls.__dataclass_fields__[name].default if flags.defaults else None  # type: ignore[attr-defined]
        option = option_of(cls, name, bare, is_list=is_list, default=default)
        taken: Any = value | None if default is None else value
        found.append(_keyword(name, default=default, annotation=Annotated[taken, option]))
    return found


def _bare(kind: Any) -> Any:
    """Return a type without None, as Typer takes it."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(one for one in get_args(kind) if one is not NoneType)
    return list[str] if get_origin(kind) is tuple else kind


def option_of(cls: type[Settings], name: str, kind: Any, *, is_list: bool = False, default: Any = None) -> Any:
    """Typer's option of one setting of type `kind`: flags, placeholder, help, parser and limits.

    The help has the default where Typer does not know a `default`, and so cannot show it.
    """
    from store.settings.setting import sentence

    known = cls.description(name)
    on, off = flag_of(name)
    help = with_flags(sentence(known) if default is None else f"{known.help}.")
    if kind is bool:
        return typer.Option(f"{on}/{off}" if off and default is None else on, help=help)
    if is_list:
        return typer.Option(on, metavar=f"{known.metavar},…", parser=several(_part(kind, known)), help=help)
    if parse := PARSERS.get(known.metavar):
        return typer.Option(on, metavar=known.metavar, parser=parse, help=help)
    return typer.Option(on, metavar=known.metavar or None, min=known.least, max=known.most, help=help)


def _part(kind: type, known: Description) -> Callable[[str], Any]:
    """Return the parser of one entry of a list."""
    if kind is int:
        return PARSERS.get(known.metavar) or whole(int(known.least or 0))
    return positive if kind is float else word


PARSERS: dict[str, Callable[[str], int]] = {"COUNT": count, "SIZE": size}
"""Parsers by the placeholder of the value."""

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under --runs-dir.")]

RunOrIndex = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or name, or a features.h5.")]

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's folder or name, a features.h5, or a run's baseline: RUN:neurons, :random, :seed."
    ),
]
Make = Annotated[bool, typer.Option("--make", help="Make a baseline that is not made yet; its cost is said first.")]

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where the run goes; a new name under --runs-dir if left out."),
]
RunsDir = Annotated[
    str | None, typer.Option("--runs-dir", metavar="FOLDER", help="Where runs live; else $MONOSEM_RUNS, else ./runs.")
]
Nproc = Annotated[
    int, typer.Option("--nproc", metavar="N", min=1, help="Share the work among N processes of this machine.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]


def _planning(wanted: bool) -> bool:
    """Say at once that a dry run has begun: importing its libraries takes seconds."""
    if wanted:
        narrate("working out what it would take; nothing is written")
    return wanted


DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what it would take in disk, memory and time, and do nothing.", callback=_planning
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=read_config,
        help="Take flags from a file; those on the command line win.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there, of whatever kind.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Color = Annotated[
    Literal["auto", "truecolor", "256", "16", "none"] | None,
    typer.Option("--color", metavar="COLORS", help="auto, truecolor, 256, 16 or none; else $MONOSEM_COLOR, else auto."),
]
Theme = Annotated[
    Literal["dark", "light", "plain"] | None,
    typer.Option("--theme", metavar="THEME", help="dark, light or plain; else $MONOSEM_THEME, else as the last time."),
]
Mouse = Annotated[bool | None, typer.Option("--mouse/--no-mouse", help="Use the mouse; else on, but off over SSH.")]
