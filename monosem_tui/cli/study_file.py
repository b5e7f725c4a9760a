"""FILE.toml of `monosem study`: each table is read by the parser of the command whose flags it has.

title = "Two models"            # of the study; also labels, concepts, baselines, explained, seed
[train]                         # flags of monosem train for all models; lists are trained on one pass
data = "stories.jsonl"
tokens = "300k"
d-sae = [256, 1024]
[compare]                       # flags of monosem compare
unit = "word"
[[models]]                      # name, and flags of monosem train for this one
name = "llama"
model = "models/llama"
layer = [1, 2]
[[models]]
name = "gpt2"
layer = 0
[models.lm]                     # flags of monosem lm: it is trained first
tokens = "2M"
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from monosem_tui.cli import config
from monosem_tui.cli import options as o
from monosem_tui.cli.commands import compare, lm, train
from store.files.errors import MonosemError
from store.files.typed_json import shown
from store.settings.compare import CompareSettings
from store.settings.explain import ExplainSettings
from store.settings.lm import LmSettings
from store.settings.study import Study, StudyModel, StudySettings
from store.settings.train import TrainGrid

_NAME = re.compile(r"\w[\w.-]{0,60}")
_TABLES = ("train", "compare", "explain", "models")
_PATHS = ("data", "model", "activations", "labels", "concepts")
"""Keys that may name files, which the report's own copy names from the root."""
T = TypeVar("T")


def read_study(path: Path, context: typer.Context) -> tuple[Study, str]:
    """Return the study that a file describes, and the same as TOML with every path from the root.

    Raises:
        MonosemError: it cannot be read, or holds what a study has not.
        typer.BadParameter: the value of a flag is impossible.
    """
    content = config.read_toml(path)
    tables = {name: content.pop(name) for name in _TABLES if name in content}
    models = tables.pop("models", [])
    if not isinstance(models, list) or not all(isinstance(one, dict) for one in models):
        raise MonosemError(f"{path}: the models are not a list of tables", "Write [[models]] in front of each.")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise MonosemError(f"{path}: {name} is {shown(table)}, not a table", f"Write [{name}] and its flags below.")
    reader = _Reader(str(path), context)
    settings = reader.settings(StudySettings, "title labels concepts baselines explained seed", content, "a study")
    settings = settings.changed(concepts=tuple(settings.concepts), baselines=tuple(settings.baselines))
    if not settings.title:
        settings = settings.changed(title=path.stem)
    study = Study(
        tuple(reader.model(model, tables.get("train", {}), number) for number, model in enumerate(models, 1)),
        settings,
        reader.settings(CompareSettings, _flags(compare.compare), tables.get("compare", {}), "[compare]"),
        reader.settings(ExplainSettings, "by seed processes", tables.get("explain", {}), "[explain]"),
    )
    return study, toml_text(_rooted({**content, **tables, "models": models}))


class _Reader:
    """Reads tables as the command line reads flags."""

    def __init__(self, path: str, context: typer.Context) -> None:
        self._path, self._context = path, context

    def settings(self, kind: type[T], flags: str, table: Mapping[str, Any], taker: str) -> T:
        """Return settings from a table; `taker` names it in errors."""
        made: list[T] = []

        def take(*, asked: Any) -> None:
            made.append(asked)

        take.__annotations__ = {"asked": Annotated[kind, o.Flags(flags, from_file=False)], "return": None}
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command("study")(o.command(take))
        command = typer.main.get_command(alone)
        known = config.flags_of(command)
        config.refuse_unknown(self._path, taker, table, known)
        self._context.meta[config.CONFIG_FILE] = f"{self._path}, {taker}"
        values = config.defaults_of(self._path, table, known)
        with command.make_context("study", [], parent=self._context, default_map=values) as context:
            command.invoke(context)
        return made[0]

    def model(self, table: dict[str, Any], shared: Mapping[str, Any], number: int) -> StudyModel:
        """Return one model of the study: its own flags over those of all models."""
        own = dict(table)
        name, lm_table = own.pop("name", None), own.pop("lm", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MonosemError(
                f"{self._path}: the name of model {number} is {shown(name)}",
                'Give it a name of letters, digits, "." and "-": name = "llama".',
            )
        if lm_table is None:
            return StudyModel(name, self.settings(TrainGrid, _flags(train.train), {**shared, **own}, f"model {name}"))
        if not isinstance(lm_table, dict) or "model" in own:
            raise MonosemError(
                f"{self._path}: model {name} has lm and model, or an lm that is no table",
                "A model is trained by [models.lm], or named by model.",
            )
        text = {key: shared[key] for key in ("data",) if key in shared}
        made = self.settings(LmSettings, _flags(lm.lm), {**text, **lm_table}, f"[models.lm] of {name}")
        rest = {key: value for key, value in {**shared, **own}.items() if key != "model"}
        return StudyModel(name, self.settings(TrainGrid, _flags(train.train), rest, f"model {name}"), made)


def _flags(command: Any) -> str:
    """Return the names of the settings that are flags of a command."""
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(mark, o.Flags):
                return mark.names
    raise AssertionError(f"{command} has no settings")


def _rooted(value: Any, key: str = "") -> Any:
    """Return a value of a table with every file that it names written from the root."""
    if isinstance(value, dict):
        return {name: _rooted(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_rooted(one, key) for one in value]
    if not isinstance(value, str) or key not in _PATHS:
        return value
    path, colon, field = value.partition(":")
    if Path(value).exists():
        path, colon, field = value, "", ""
    return f"{Path(path).resolve()}{colon}{field}" if path and Path(path).exists() else value


def toml_text(tables: Mapping[str, Any], prefix: str = "") -> str:
    """Return tables as TOML: text, numbers, switches and lists of them; tables, and lists of tables, below."""
    lines = [f"{key} = {_toml_value(one)}" for key, one in tables.items() if not _is_table(one)]
    for key, one in tables.items():
        if isinstance(one, dict):
            lines += ["", f"[{prefix}{key}]", toml_text(one, f"{prefix}{key}.")]
        elif _is_table(one):
            for table in one:
                lines += ["", f"[[{prefix}{key}]]", toml_text(table, f"{prefix}{key}.")]
    return "\n".join(lines)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)
