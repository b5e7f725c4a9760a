"""`--config FILE.toml`: flags from a file, checked by the same parser as the command line.

model = "gpt2"          # for every command that has --model
[train]
layer = 8               # for monosem train alone, over what stands above
d-sae = "32k"
resume = true
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import typer

from store.files.errors import MonosemError

LARGEST_CONFIG = 1 << 20
"""Bytes of a file of flags."""
CONFIG_FILE = "monosem.config"
"""Key under which the context keeps the file, for errors about its values."""


class Flag(NamedTuple):
    """The option that a key of the file sets."""

    parameter: Any
    """Click's option."""
    value: bool
    """Meaning of `true`: False for --no-index."""


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Fill the command's defaults from `path`; an eager callback, so it runs before the other flags are read.

    Raises:
        MonosemError: the file is missing or not TOML, or a key is unknown or of the wrong type.
    """
    if path is None or context.resilient_parsing:
        return path
    known = {name: flags_of(command) for name, command in _commands(context).items()}
    content = read_toml(path)
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    shared = {key: value for key, value in content.items() if not isinstance(value, dict)}
    _refuse_unknown(path, shared, tables, known)
    own = context.info_name or ""
    context.default_map = defaults_of(str(path), shared | tables.get(own, {}), known[own])
    context.meta[CONFIG_FILE] = str(path)
    return path


def defaults_of(where: str, table: Mapping[str, Any], flags: Mapping[str, Flag]) -> dict[str, Any]:
    """Return what a table sets, as Click's `default_map` takes it; keys that are no flags are left out.

    Raises:
        MonosemError: a value is of the wrong type; `where` names the place.
    """
    found = {}
    for key, value in table.items():
        flag = flags.get(_spelled(key))
        if flag is not None:
            found[flag.parameter.name] = _argument(where, key, flag, value)
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        MonosemError: it cannot be read, or is not TOML.
    """
    import tomllib

    from store.files.regular_file import read_whole

    try:
        return tomllib.loads(read_whole(path, LARGEST_CONFIG, follow=True).decode().replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise MonosemError(f"{path} is not TOML: {error}") from error


def _commands(context: typer.Context) -> Mapping[str, Any]:
    group: Any = context.parent.command if context.parent is not None else None
    if not (names := getattr(group, "commands", ())):
        return {context.info_name or "": context.command}
    return {name: group.get_command(context.parent, name) for name in names}


def flags_of(command: Any) -> dict[str, Flag]:
    """Return the long flags of a command except --config, by their spelling in a file."""
    found: dict[str, Flag] = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "config":
            found |= {_spelled(name[2:]): Flag(parameter, True) for name in parameter.opts if name[:2] == "--"}
            found |= {_spelled(name[2:]): Flag(parameter, False) for name in parameter.secondary_opts}
    return found


def _spelled(key: str) -> str:
    return key.replace("_", "-")


def refuse_unknown(where: str, taker: str, keys: Iterable[str], flags: Mapping[str, Flag]) -> None:
    """Raise MonosemError for the first of some keys that is not a flag; `taker` names what takes them."""
    for key in keys:
        if _spelled(key) not in flags:
            raise _unknown(where, f"{taker} does not take {key!r}", key, flags)


def _refuse_unknown(
    path: Path, shared: Mapping[str, Any], tables: Mapping[str, Any], known: Mapping[str, Mapping[str, Flag]]
) -> None:
    """Refuse keys that no command has, tables that are not commands, and keys that are not of their table's command."""
    everywhere = {name for flags in known.values() for name in flags}
    for key in shared:
        if _spelled(key) not in everywhere:
            raise _unknown(str(path), f"no command takes {key!r}", key, everywhere)
    for name, table in tables.items():
        if name not in known:
            raise _unknown(str(path), f"[{name}] is not a command", name, known)
        refuse_unknown(str(path), f"monosem {name}", table, known[name])


def _unknown(where: str, what: str, key: str, known: Iterable[str]) -> MonosemError:
    near = get_close_matches(_spelled(key), sorted(known), n=1)
    return MonosemError(f"{where}: {what}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _argument(where: str, key: str, flag: Flag, value: Any) -> Any:
    """Return a TOML value as the command line would spell it, so that one parser checks both."""
    parameter = flag.parameter
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise MonosemError(f"{where}: {key} is a switch: write {key} = true or false")
        return value is flag.value
    if isinstance(value, list) and parameter.multiple:
        return [_argument_text(where, key, item) for item in value]
    if isinstance(value, list) and (parameter.metavar or "").endswith(",…"):
        return ",".join(_argument_text(where, key, item) for item in value)
    text = _argument_text(where, key, value)
    return [text] if parameter.multiple else text


def _argument_text(where: str, key: str, value: Any) -> str:
    from store.files.typed_json import LARGEST, shown

    is_big = isinstance(value, int) and abs(value) >= LARGEST
    if is_big or isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MonosemError(f"{where}: {key} takes one number or text, not {shown(value)}")
    return str(value)
