"""The flags that commands share: one spelling, one meaning and one line of help for each.

A flag that is not given is None: defaults are the engine's, where they can depend on the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from monosem_tui.cli.config import read_config

T = TypeVar("T")
_COUNT = re.compile(r"(\d[\d_]*(?:\.\d+)?)([kmb]?)", re.IGNORECASE)
_ARRAY = re.compile(r"(.+)\.(?:npy|h5|hdf5|safetensors)(?::.*)?", re.IGNORECASE)
"""The last part of a path to a user's own activations, as engine.data.arrays takes it."""
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def count(value: str | int) -> int:
    """A whole number above zero, as people write large ones: 10_000, 500k, 1.5M, 2b.

    Raises:
        typer.BadParameter: it is none.
    """
    found = _COUNT.fullmatch(str(value).strip())
    number = Decimal(found[1].replace("_", "")) * _UNITS[found[2].lower()] if found else Decimal(0)
    if number < 1 or number != number.to_integral_value():
        raise typer.BadParameter(f"{str(value)!r} is no count; write 10_000, 500k or 1.5M.")
    return int(number)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size(value: str | int) -> int:
    """Bytes, as people write them: 500M, 2G, 1.5GB; a K is 1 024.

    Raises:
        typer.BadParameter: it is no size.
    """
    found = _SIZE.fullmatch(str(value).strip())
    number = int(Decimal(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " ")) if found else 0
    if number < 1:
        raise typer.BadParameter(f"{str(value)!r} is no size; write 500M or 2G.")
    return number


DEFAULT_MODEL = "gpt2"
"""As the engine's settings have it; naming a run must not import the engine."""


def several(parse: Callable[[str], T]) -> Callable[[str | tuple[T, ...]], tuple[T, ...]]:
    """A parser of `A,B,C`, each part taken by `parse`."""

    def parts(value: str | tuple[T, ...]) -> tuple[T, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(parse(part.strip()) for part in value.split(","))

    return parts


def whole(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < least:
            raise typer.BadParameter(f"{text!r} is no whole number from {least} on.")
        return int(text)

    return parse


def positive(text: str) -> float:
    """A number from 0 on.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise typer.BadParameter(f"{text!r} is no number from 0 on.")
    return number


def word(text: str) -> str:
    """Any text but none at all."""
    if not text:
        raise typer.BadParameter("an entry of the list is empty.")
    return text


def given(values: dict[str, Any], *others: str) -> dict[str, Any]:
    """The flags that the user gave: a command's parameters, those left out and `others` dropped."""
    return {name: value for name, value in values.items() if value is not None and name not in others}


def run_name(flags: dict[str, Any], marks: Mapping[str, str] | None = None) -> str:
    """A name for a new run that says what it is of: `gpt2-resid_post-6-topk`.

    `marks` tell it from others of a sweep, by setting; those of settings that the name has anyway are left out.
    """
    others = [mark for name, mark in (marks or {}).items() if name not in ("site", "layer", "arch")]
    source = str(flags.get("activations") or flags.get("model", DEFAULT_MODEL)).rstrip("/")
    if array := _ARRAY.fullmatch(source.split("/")[-1]):
        return "-".join([filename(f"{array[1]}-{flags.get('arch', 'topk')}"), *others])
    words = [source.split("/")[-1], flags.get("site", "resid_post"), flags.get("layer"), flags.get("arch", "topk")]
    return "-".join([re.sub(r"[^\w.]+", "_", str(word)) for word in words if word is not None] + others)


def filename(text: str) -> str:
    """Without what a file's name had better not have, a module path's colon for one."""
    return re.sub(r"[^\w.-]+", "_", text)


Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under --runs-dir.")]

Model = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Language model: gpt2, llama, gemma, a hub id, a folder or a run."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Text: stdlib, planted, files, globs (.txt .jsonl .jsonl.zst .parquet; :FIELD), hf:NAME[:CONFIG][@SPLIT].",
    ),
]
Layer = Annotated[
    int | None, typer.Option("--layer", metavar="N", help="Layer of the model, counted from 0; else the middle one.")
]
Site = Annotated[
    str | None,
    typer.Option(
        "--site",
        metavar="SITE",
        help="resid_pre, resid_mid, resid_post, attn_out, mlp_in, mlp_out, mlp_act, or a module's path.",
    ),
]
Tokens = Annotated[
    int | None, typer.Option("--tokens", metavar="COUNT", parser=count, help="Tokens to work on (500k, 2M).")
]
Index = Annotated[bool | None, typer.Option("--index/--no-index", help="Index and evaluate at the end.")]
IndexTokens = Annotated[
    int | None,
    typer.Option("--index-tokens", metavar="COUNT", parser=count, help="Tokens to index features over [1M]."),
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        parser=size,
        help="Memory to collect, sort and merge in (500M, 2G) [a quarter of the machine's, 2G at most].",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layer", metavar="N,…", parser=several(whole(0)), help="Layer of the model, from 0; else the middle one."
    ),
]
Sites = Annotated[
    str | None,
    typer.Option(
        "--site",
        metavar="SITE,…",
        parser=several(word),
        help="resid_pre, resid_mid, resid_post, attn_out, mlp_in, mlp_out, mlp_act, or a module's path.",
    ),
]
SitesOut = Annotated[
    str | None,
    typer.Option(
        "--site-out",
        metavar="SITE,…",
        parser=several(word),
        help="Explain this site by features of --site: a transcoder (topk, batchtopk, matryoshka, jumprelu).",
    ),
]
LayersOut = Annotated[
    str | None,
    typer.Option("--layer-out", metavar="N,…", parser=several(whole(0)), help="Layer of --site-out [that of --site]."),
]
DSae = Annotated[
    str | None, typer.Option("--d-sae", metavar="COUNT,…", parser=several(count), help="Number of features.")
]
Expansion = Annotated[
    str | None,
    typer.Option(
        "--expansion",
        metavar="N,…",
        parser=several(whole(1)),
        help="Number of features as a multiple of the site's width.",
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME,…",
        parser=several(word),
        help="Architecture of the autoencoder: topk, batchtopk, jumprelu, matryoshka, gated, l1-norm or relu.",
    ),
]
K = Annotated[
    str | None,
    typer.Option(
        "--k",
        metavar="N,…",
        parser=several(whole(1)),
        help="Active features a token: topk, batchtopk, matryoshka, jumprelu.",
    ),
]
L1 = Annotated[
    str | None,
    typer.Option(
        "--l1",
        metavar="X,…",
        parser=several(positive),
        help="Weight of the sparsity penalty: gated, l1-norm, relu; jumprelu without --k.",
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option("--seed", metavar="N,…", parser=several(whole(0)), help="Seed of everything that is drawn at random."),
]
DataSeed = Annotated[
    int | None,
    typer.Option("--data-seed", metavar="N", min=0, help="Seed of the order of text and batches [--seed, the first]."),
]
Batch = Annotated[int | None, typer.Option("--batch", metavar="COUNT", parser=count, help="Tokens a training step.")]
Context = Annotated[int | None, typer.Option("--context", metavar="N", min=2, help="Tokens a context.")]
Packing = Annotated[
    Literal["packed", "documents"] | None,
    typer.Option("--packing", help="Lay documents end to end, or give each its own contexts [packed]."),
]
Lr = Annotated[float | None, typer.Option("--lr", metavar="X", min=0, help="Peak learning rate.")]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of everything that is drawn at random.")
]
Device = Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", metavar="TYPE", help="Of matrix products: auto, float32, bfloat16 or float16.")
]

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where the run goes; a new name under --runs-dir if left out."),
]
RunsDir = Annotated[
    str | None, typer.Option("--runs-dir", metavar="FOLDER", help="Where runs live; else $MONOSEM_RUNS, else ./runs.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take in disk, memory and time, and do nothing.")
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
