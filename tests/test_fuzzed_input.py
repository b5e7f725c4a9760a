"""Whatever a file or a flag holds: it is read, or refused by a MonosemError. No other error, and no warning."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monosem_tui.cli import options
from monosem_tui.cli.main import app
from monosem_tui.model.command_line import read_command
from monosem_tui.model.run_summary import listed_run
from monosem_tui.model.runs_watch import RunsWatch
from store.files.errors import MonosemError
from store.live.clamp import parse_clamp, parse_sweep
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.live.saved_recipes import kept_recipes
from store.live.wire import WireError, decode
from store.notes.exchange import read_entries
from store.notes.note_file import Notes
from store.query.filter_parser import parse_filter
from store.query.labels import read_labels
from store.query.pattern_tokens import compile_pattern
from store.run.events import read_events
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.settings.generate import GenerateSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings

DEEP = "[" * 5_000
RECIPE = Recipe(prompt="a", clamps=("3=off", "4=max*2@response"), sampling=Sampling(seed=1)).as_json()
RECORD = asdict(RunRecord(name="a", spec=SaeSpec(d_sae=4), config={"train": {"tokens": 5}}, evaluation={"l0": 1.0}))
EVENT = dict.fromkeys("step tokens loss l0 explained_variance dead lr grad_norm tok_s".split(), 1)
LABEL = {"label": "a", "text": "b", "document": 1}
NOTE = {"feature": 3, "label": "a", "bookmark": True, "comment": "", "tags": ["b"], "time": 1.0}
MESSAGE = {"type": "start", "id": 1, "recipe": {"prompt": "a", "sampling": {"temperature": 0.5}}}

ODD = st.sampled_from(
    (
        None,
        True,
        0,
        -1,
        1.5,
        1e300,
        math.nan,
        -math.inf,
        2**63,
        10**400,
        "",
        "x",
        "\ud800",
        "1e999",
        [],
        {},
        [[]],
        {"a": 1},
    )
)
VALUES = st.recursive(ODD | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with the value at a path replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def mutated(draw: st.DrawFn, sound: dict[str, Any]) -> bytes:
    """JSON of a sound value with one value replaced; or cut, or with strange bytes in it."""
    text = json.dumps(replaced(sound, draw(st.sampled_from(places(sound))), draw(VALUES))).encode()
    if draw(st.booleans()):
        return text
    at = draw(st.integers(0, len(text)))
    return (
        text[:at] + draw(st.sampled_from((b"", b"\xe9", DEEP.encode(), b"9" * 5_000, b"\0", b"\n", b'"'))) + text[at:]
    )


FLAGS = "tokens seed k lr layer d-sae data batch index context dtype train lm".split()
TOML_VALUES = ODD.map(lambda value: json.dumps(value)) | st.sampled_from(
    (DEEP, "9" * 5_000, "0x" + "f" * 5_000, "1979-05-27", "'", "nan", "-inf", "'500k'", "{a = [1]}", "true")
)
TOML = st.lists(st.tuples(st.sampled_from(FLAGS), TOML_VALUES), max_size=3).map(
    lambda pairs: "\n".join(f"{name} = {value}" for name, value in pairs).encode("utf-8", "surrogatepass")
)
LETTERS = st.characters(codec=None)
FILTERS = st.lists(
    st.sampled_from(
        ("density", "max", "token:", "like:", "label:", "promotes:", "#", "!", "dead", ">", "<=", "1e999", "9" * 500)
    )
    | st.sampled_from(("nan", "%", '"', "\\", " ", "٣", "²", "\udce9"))
    | st.text(LETTERS, max_size=3),
    max_size=6,
).map("".join)
SIGNS = ("[", "]", "(", ")", "?", "*", "{9}", "--", "&&", "|", "a", "\\N")
PATTERNS = FILTERS | st.lists(st.sampled_from(SIGNS), max_size=9).map("".join)
TYPED = st.text(LETTERS, max_size=4) | st.sampled_from(("9" * 5_000, "500k", "٣", "²", "1e-300", "_1"))
NUMBERS = ODD | st.integers() | st.floats() | TYPED


def read_run(folder: Path, content: bytes) -> None:
    """Every reader of run.json."""
    run = RunFolder(folder / "runs" / "a")
    run.path.mkdir(parents=True, exist_ok=True)
    run.run_json.write_bytes(content)
    listed_run(run)
    RunsWatch(folder / "runs").poll()
    run.settings("train", TrainSettings)
    run.record().spec.title()


def read_config(folder: Path, content: bytes) -> None:
    """A file of flags, and the settings made of it."""
    path = folder / "a.toml"
    path.write_bytes(content)
    command: Any = typer.main.get_command(app)
    with command.make_context("monosem", ["lm"], resilient_parsing=True) as context:
        lm = command.commands["lm"]
        given = lm.make_context("lm", ["--config", str(path)], parent=context).params
    names = {field.name for field in fields(LmSettings)}
    LmSettings(**{name: value for name, value in given.items() if name in names and value is not None}).check()


def read_notes(folder: Path, content: bytes) -> None:
    """Every reader of notes.jsonl."""
    path = folder / "notes.jsonl"
    path.write_bytes(content + b"\n" + content)
    Notes(path).follow()
    kept_recipes(path)


def from_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], None]:
    """A reader of a file of that name."""

    def act(folder: Path, content: bytes) -> None:
        (folder / name).write_bytes(content)
        read(folder / name)

    return act


def read_numbers(folder: Path, value: Any) -> None:
    """A value for a setting that is a number."""
    del folder
    for kind, name in (
        (GenerateSettings, "seed"),
        (GenerateSettings, "top_p"),
        (LmSettings, "lr"),
        (TrainSettings, "k"),
    ):
        with suppress(MonosemError):
            found = kind.checked(name, value)
            assert math.isfinite(found)
            assert abs(found) < 2**63 or name == "lr"
    replace(Sampling(), temperature=value).check()


def read_typed_number(folder: Path, text: str) -> None:
    """A number on the command line."""
    del folder
    for parse in (options.count, options.size, options.whole(0), options.positive):
        with suppress(typer.BadParameter):
            assert parse(text) >= 0


def read_message(folder: Path, line: bytes) -> None:
    """A line of the model process."""
    del folder
    with suppress(WireError):
        decode(line)


def ignoring(read: Callable[[Any], object]) -> Callable[[Path, Any], object]:
    """A reader that needs no folder."""
    return lambda folder, value: read(value)


READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Path, Any], object]]] = {
    "run.json": (mutated(RECORD), read_run),
    "events": (mutated(EVENT), from_file("events.jsonl", read_events)),
    "recipe": (mutated(RECIPE), from_file("r.json", Recipe.load)),
    "config": (TOML | st.binary(max_size=20), read_config),
    "notes": (mutated(NOTE) | mutated(RECIPE | {"name": "a", "time": 1}), read_notes),
    "notes imported": (mutated(NOTE).map(lambda one: b"[" + one + b"]"), from_file("n.json", read_entries)),
    "table imported": (
        st.binary().map(lambda rest: b"feature,label\n3," + rest) | st.binary(),
        from_file("n.csv", read_entries),
    ),
    "labels": (
        mutated({"label": "a", "text": "b", "document": 1}),
        from_file("l.jsonl", lambda path: read_labels(str(path))),
    ),
    "filter": (FILTERS, ignoring(parse_filter)),
    "pattern": (PATTERNS, ignoring(compile_pattern)),
    "clamp": (FILTERS, ignoring(lambda text: parse_clamp(f"3={text}"))),
    "sweep": (FILTERS, ignoring(lambda text: parse_sweep(f"3={text}"))),
    "typed command": (FILTERS, ignoring(read_command)),
    "number": (NUMBERS, read_numbers),
    "typed number": (TYPED, read_typed_number),
    "message": (mutated(MESSAGE), read_message),
}


@pytest.mark.parametrize("examples", [20, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READERS)
def test_only_a_monosem_error_comes_out(name: str, examples: int, tmp_path: Path) -> None:
    values, read = READERS[name]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def tried(value: Any) -> None:
        with warnings.catch_warnings(action="error"):
            try:
                read(tmp_path, value)
            except MonosemError as error:
                assert error.what
            except Exception as error:
                if not hasattr(error, "format_message"):  # Typer's, for a flag
                    raise

    tried()
