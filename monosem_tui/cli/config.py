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

CONFIG_FILE = "monosem.config"
"""Key under which the context keeps the file, for errors about its values."""


class _Flag(NamedTuple):
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
    known = {name: _flags(command) for name, command in _commands(context).items()}
    content = _parsed(path)
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    shared = {key: value for key, value in content.items() if not isinstance(value, dict)}
    _refuse_unknown(path, shared, tables, known)
    own = context.info_name or ""
    defaults: dict[str, Any] = {}
    for key, value in [*shared.items(), *tables.get(own, {}).items()]:
        flag = known[own].get(_spelled(key))
        if flag is not None:
            defaults[flag.parameter.name] = _argument(path, key, flag, value)
    context.default_map = defaults
    context.meta[CONFIG_FILE] = str(path)
    return path


def _parsed(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}", "--config takes a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MonosemError(f"{path} is not TOML: {error}") from error


def _commands(context: typer.Context) -> Mapping[str, Any]:
    group: Any = context.parent.command if context.parent is not None else None
    if not (names := getattr(group, "commands", ())):
        return {context.info_name or "": context.command}
    return {name: group.get_command(context.parent, name) for name in names}


def _flags(command: Any) -> dict[str, _Flag]:
    """Return the long flags of a command except --config, by their spelling in a file."""
    found: dict[str, _Flag] = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "config":
            found |= {_spelled(name[2:]): _Flag(parameter, True) for name in parameter.opts if name[:2] == "--"}
            found |= {_spelled(name[2:]): _Flag(parameter, False) for name in parameter.secondary_opts}
    return found


def _spelled(key: str) -> str:
    return key.replace("_", "-")


def _refuse_unknown(
    path: Path, shared: Mapping[str, Any], tables: Mapping[str, Any], known: Mapping[str, Mapping[str, _Flag]]
) -> None:
    """Refuse keys that no command has, tables that are not commands, and keys that are not of their table's command."""
    everywhere = {name for flags in known.values() for name in flags}
    for key in shared:
        if _spelled(key) not in everywhere:
            raise _unknown(path, f"no command takes {key!r}", key, everywhere)
    for name, table in tables.items():
        if name not in known:
            raise _unknown(path, f"[{name}] is not a command", name, known)
        for key in table:
            if _spelled(key) not in known[name]:
                raise _unknown(path, f"monosem {name} does not take {key!r}", key, known[name])


def _unknown(path: Path, what: str, key: str, known: Iterable[str]) -> MonosemError:
    near = get_close_matches(_spelled(key), sorted(known), n=1)
    return MonosemError(f"{path}: {what}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _argument(path: Path, key: str, flag: _Flag, value: Any) -> Any:
    """Return a TOML value as the command line would spell it, so that one parser checks both."""
    parameter = flag.parameter
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise MonosemError(f"{path}: {key} is a switch: write {key} = true or false, not {value!r}")
        return value is flag.value
    if isinstance(value, list) and parameter.multiple:
        return [_argument_text(path, key, item) for item in value]
    if isinstance(value, list) and (parameter.metavar or "").endswith(",…"):
        return ",".join(_argument_text(path, key, item) for item in value)
    text = _argument_text(path, key, value)
    return [text] if parameter.multiple else text


def _argument_text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MonosemError(f"{path}: {key} takes one number or text, not {value!r}")
    return str(value)
