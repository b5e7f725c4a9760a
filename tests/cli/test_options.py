"""Counts as people write them, and flags from a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import assume, given
from hypothesis import strategies as st

from monosem_tui.cli import error_frame as frame
from monosem_tui.cli import options as o
from store.settings.train import TrainGrid

SCALES = {"": 0, "k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500k", 500_000),
        ("2M", 2_000_000),
        ("1.5M", 1_500_000),
        ("10_000", 10_000),
        ("1b", 10**9),
        (" 7 ", 7),
        ("2.0", 2),
        (4096, 4096),
    ],
)
def test_counts(text: str | int, number: int) -> None:
    assert o.count(text) == number


@given(st.integers(1, 10**15), st.sampled_from(sorted(SCALES)), st.booleans())
def test_every_way_to_write_a_count_reads_the_same(number: int, unit: str, grouped: bool) -> None:
    scaled = Decimal(number).scaleb(-SCALES[unit])
    text = format(scaled, "f")
    if grouped:
        whole, point, rest = text.partition(".")
        text = f"{int(whole):_}{point}{rest}"
    assert o.count(text + unit) == number


@given(st.text(max_size=12))
def test_anything_else_is_refused(text: str) -> None:
    assume(not re.fullmatch(r"\s*\d[\d_]*(\.\d+)?[kKmMbB]?\s*", text))
    with pytest.raises(typer.BadParameter, match="is not a count"):
        o.count(text)


@pytest.mark.parametrize("text", ["0", "0k", "1.5", "1.2345k", "-3", "", "k", "1e6", "2 M", "1,000", "0.0001k", "½"])
def test_fractions_zero_and_signs_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        o.count(text)


Settings = dict[str, object]


def _run(arguments: list[str]) -> tuple[int, Settings]:
    """The exit code and what the command was given."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    given: Settings = {}

    def train(
        grid: Annotated[TrainGrid, o.Flags("model layer tokens d_sae lr index")],
        runs_dir: o.RunsDir = None,
        out: o.Out = None,
        resume: o.Resume = False,
        clamp: list[str] | None = None,
        json: o.Json = False,
    ) -> None:
        settings = grid.settings
        given.update(
            model=settings.model,
            layer=grid.layer,
            tokens=settings.tokens,
            d_sae=grid.d_sae,
            lr=settings.lr,
            runs_dir=runs_dir,
            out=out,
            resume=resume,
            index=settings.index,
            clamp=list(clamp or []),
            given=settings.given,
        )

    def index(grid: Annotated[TrainGrid, o.Flags("k seed")], json: o.Json = False) -> None:
        given.update(k=grid.k, seed=grid.seed)

    for one in (train, index):
        app.command(one.__name__)(o.command(one))

    return frame.run(typer.main.get_command(app), arguments), given


def _file(folder: Path, text: str) -> str:
    (folder / "run.toml").write_text(text, encoding="utf-8")
    return str(folder / "run.toml")


FILE = """
model = "llama"
layer = 3
tokens = "2M"
seed = 5

[train]
layer = 8
d-sae = "32k"
runs_dir = "somewhere"
lr = 3e-4
resume = true
no-index = true
clamp = ["412=max*4", "88=off"]

[index]
k = 64
"""


def test_a_file_fills_what_the_command_line_leaves_out(tmp_path: Path) -> None:
    code, given = _run(["train", "--config", _file(tmp_path, FILE)])
    assert code == 0
    assert given == {
        "model": "llama",
        "layer": (8,),
        "tokens": 2_000_000,
        "d_sae": (32_000,),
        "lr": 3e-4,
        "runs_dir": "somewhere",
        "out": None,
        "resume": True,
        "index": False,
        "clamp": ["412=max*4", "88=off"],
        "given": ("model", "tokens", "lr", "index"),
    }


@pytest.mark.parametrize("first", [True, False])
def test_the_command_line_wins(tmp_path: Path, first: bool) -> None:
    flags = ["--layer", "1", "--tokens", "10_000", "--index", "--clamp", "1=off"]
    config = ["--config", _file(tmp_path, FILE)]
    _, given = _run(["train", *(config + flags if first else flags + config)])
    assert (given["layer"], given["tokens"], given["index"], given["clamp"]) == ((1,), 10_000, True, ["1=off"])
    assert given["model"] == "llama"


def test_each_command_takes_its_own_table_and_what_it_knows_of_the_rest(tmp_path: Path) -> None:
    code, given = _run(["index", "--config", _file(tmp_path, FILE)])
    assert (code, given) == (0, {"k": (64,), "seed": (5,)})


def test_lists_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    _, given = _run(["train", "--d-sae", "512, 2k,1.5k"])
    assert given["d_sae"] == (512, 2000, 1500)
    _, given = _run(["index", "--config", _file(tmp_path, "k = [8, 16]")])
    assert given["k"] == (8, 16)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (o.several(o.count), "512,,2k"),
        (o.several(o.whole(1)), "16,0"),
        (o.several(o.whole(0)), "1.5"),
        (o.several(o.positive), "0.1,-1"),
        (o.several(o.positive), "inf"),
        (o.several(o.positive), "a"),
        (o.several(o.word), "topk,"),
    ],
)
def test_one_bad_entry_spoils_the_list(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse(text)


def test_without_a_file_defaults_hold() -> None:
    _, given = _run(["train"])
    assert (given["model"], given["tokens"], given["index"]) == ("gpt2", 2_000_000, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle = 'gpt2'", "'modle'; did you mean 'model'"),
        ("[train]\nlayers = 3", "monosem train does not take 'layers'; did you mean 'layer'"),
        ("[train]\nk = 3", "monosem train does not take 'k'"),
        ("[trian]\nlayer = 3", "[trian] is not a command; did you mean 'train'"),
        ("[index]\nlayer = 3", "monosem index does not take 'layer'"),
        ("config = 'other.toml'", "'config'"),
        ("layer = 'two'", "--layer"),
        ("layer = 2.5", "--layer"),
        ("layer = true", "layer takes one number or text, not True"),
        ("tokens = [1, 2]", "tokens takes one number or text"),
        ("tokens = 'many'", "--tokens"),
        ("tokens = 0", "--tokens"),
        ("resume = 'yes'", "resume = true or false"),
        ("resume = 1", "resume = true or false"),
        ("lr = 2025-01-01", "lr takes one number or text"),
        ("lr = -1.0", "--lr"),
        ("layer 3", "is not TOML"),
        ("a = \x1b", "is not TOML"),
        ("a = '\x1b[31m'", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path, text)
    code, given = _run(["train", "--config", path])
    captured = capsys.readouterr()
    assert (code, given, captured.out) == (2, {}, "")
    assert captured.err.startswith("monosem: ")
    assert path in captured.err
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert "\x1b" not in captured.err


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    assert _run(["train", "--config", str(tmp_path / "run.toml")])[0] == 2
    assert "is not TOML" in capsys.readouterr().err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        assert _run(["train", "--config", str(path)])[0] == 2
        assert f"cannot read {path}" in capsys.readouterr().err
