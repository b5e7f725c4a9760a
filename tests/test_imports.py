"""Who may import whom, seen from outside: a fresh interpreter imports, then looks at what has come along.

import-linter reads the source; this sees what really happens, imports inside functions at module level included.
"""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]

SCREEN = ("textual", "rich", "typer", "click")
MODEL = ("torch", "transformers", "tokenizers", "safetensors")
SHARED_LEAF = (*SCREEN, *MODEL, "engine", "monosem_tui", "pyarrow", "zstandard", "datasets")
HEAVY = ("torch", "transformers", "textual", "h5py", "numpy", "rich", "engine")
"""Packages that `monosem --help` does not need; together they take seconds."""

CLOSURE = """
import importlib, os, sys
def tell(names):
    for name in names.split(","):
        importlib.import_module(name)
    print(*sys.modules)
"""
CLOSURES = f"""{CLOSURE}
import torch, torch._dynamo, transformers, transformers.modeling_utils, transformers.generation.utils
for names in sys.argv[1:]:
    child = os.fork()
    if not child:
        tell(names)
        break
    if os.waitpid(child, 0)[1]:
        sys.exit(names + " cannot be imported")
"""
"""Each list of modules in a fork, because others' packages take seconds and are no part of the answer."""
LOOK = """
import importlib, sys
modules, forbidden = sys.argv[1].split(","), sys.argv[2].split(",")
for name in modules:
    importlib.import_module(name)
    for banned in forbidden:
        if banned in sys.modules:
            sys.exit(f"{name} imports {banned}")
"""
HELP = """
import sys
from monosem_tui.cli.main import run
code = run(sys.argv[2].split())
found = [name for name in sys.argv[1].split(",") if name in sys.modules]
sys.exit(code or (f"imports {', '.join(found)}" if found else 0))
"""


def modules(package: str) -> list[str]:
    """A package and every module in it."""
    found = pkgutil.walk_packages([str(ROOT / package)], f"{package}.", onerror=lambda name: None)
    return [package, *(module.name for module in found)]


def importable(package: str) -> list[str]:
    """Modules that can be imported everywhere: Triton is for some machines only."""
    kernels = {"engine.sae.sparse.triton_kernels"} if find_spec("triton") is None else set()
    return [name for name in modules(package) if name not in kernels]


def _fresh(script: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `script` in a fresh interpreter that finds our packages, and those in `path`."""
    where = os.pathsep.join(str(folder) for folder in (path, ROOT) if folder)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": where, "MONOSEM_DEBUG": "1"},
        timeout=PATIENCE,
        check=False,
    )


def came_along(names: list[str], forbidden: tuple[str, ...], path: Path | None = None) -> str:
    """Import modules one by one in a fresh interpreter; the first forbidden import as a sentence, or ""."""
    done = _fresh(LOOK, ",".join(names), ",".join(forbidden), path=path)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def test_every_module_is_looked_at() -> None:
    """Discovery walks into packages: a module that is not found is not checked."""
    for package in ("store", "engine", "monosem_tui"):
        files = {path.with_suffix("") for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"}
        expected = {".".join(path.relative_to(ROOT).parts) for path in files}
        assert expected <= set(modules(package))


def test_store_is_the_shared_leaf() -> None:
    assert came_along(modules("store"), SHARED_LEAF) == ""


def test_engine_progress_is_light() -> None:
    assert came_along(["engine.runtime.progress"], (*SCREEN, *MODEL, "numpy", "h5py")) == ""


@pytest.fixture(scope="module")
def closures() -> dict[str, set[str]]:
    """All modules that are there once the engine, or its estimates, a live model or a training, is loaded."""
    lists = {
        "engine": importable("engine"),
        "estimates": ["engine.resources.estimates"],
        "live": [f"engine.live.{name}" for name in LIVE],
        "training": ["engine.commands.train"],
    }
    done = _fresh(CLOSURES, *map(",".join, lists.values()))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return dict(zip(lists, (set(line.split()) for line in lines), strict=True))


def test_engine_never_shows(closures: dict[str, set[str]]) -> None:
    """click comes with huggingface_hub, so it says nothing about us."""
    shown = ("textual", "rich", "typer", "monosem_tui")
    assert {*importable("engine"), "torch", "huggingface_hub"} <= closures["engine"]
    if not closures["engine"].isdisjoint(shown):
        pytest.fail(came_along(importable("engine"), shown))  # says who imports them


def of_engine(loaded: set[str]) -> list[str]:
    """Modules of the engine, packages included, in order."""
    return sorted(name for name in loaded if name.startswith("engine."))


def test_estimates_do_not_load_the_work(closures: dict[str, set[str]]) -> None:
    """Estimating is arithmetic: it needs itself, the shared sizes and their packages."""
    parts = ("engine.resources", "engine.runtime", "engine.runtime.sizes", "engine.resources.estimates")
    assert of_engine(closures["estimates"]) == sorted(parts)


LIVE = ("server", "live_model", "from_recipe", "inspection")
"""Modules that the model server imports to load a run, generate, sweep and inspect."""
UNUSED_LIVE = (
    "engine.commands",
    "engine.corpus.data_argument",
    "engine.corpus.planted",
    "engine.evaluation",
    "engine.resources",
    "engine.training",
)
MOST_LIVE = 71
"""Modules of the engine, packages included. A new one costs start-up time: raise the number only with a reason.

Three are the deal of features to ranks, which a dictionary's sums know of. Two are what a screen shows of a token:
its candidates, and states kept for activations. Five are about how a model may be loaded: quantised, spread over
devices, the packages for it, its files' facts, and its vocabulary kept beside the run. One is about where tokens lie
in a text.
"""


def test_a_live_model_needs_no_training(closures: dict[str, set[str]]) -> None:
    found = of_engine(closures["live"])
    assert [name for name in found if name.startswith(UNUSED_LIVE)] == []
    assert len(found) <= MOST_LIVE, found


def test_the_check_of_a_closure_can_fail(closures: dict[str, set[str]]) -> None:
    """Training does import the trainer, and with it more than a live model or an estimate may."""
    found = of_engine(closures["training"])
    assert {"engine.training.trainer", "engine.resources.plans", "engine.sae.base"} <= set(found)
    assert len(found) > MOST_LIVE


MOST_FIRST = {"monosem_tui.launch": 7, "monosem_tui.app": 141}
"""Modules of ours until the first screen is there. Each costs time: raise a number only with a reason.

Seven are about keys that are held back, jumps and the mouse, which any first key or click may need. Seven more are the
feature page, divided by its parts, intervals, and the terms that head it. Three are the examples in the list's rows.
One has the keys of Map, which are in the table of all keys; one finds borders of contexts in examples, one is the part
that looks things up by words, one follows the mouse over tokens.
"""


@pytest.mark.parametrize("name", MOST_FIRST)
def test_the_first_screen_loads_only_itself(name: str) -> None:
    done = _fresh(f"{CLOSURE}\ntell(sys.argv[1])", name)
    assert done.returncode == 0, done.stderr
    found = [name for name in done.stdout.split() if name.partition(".")[0] in ("store", "engine", "monosem_tui")]
    assert name in found
    assert len(found) <= MOST_FIRST[name], sorted(found)


def test_runs_and_notes_need_no_arrays() -> None:
    """`monosem runs` and `monosem label` list what there is without numpy and h5py."""
    assert came_along(["store.run.folder", "store.notes.note_file", "store.notes.editor"], ("numpy", "h5py")) == ""


def test_the_terminal_needs_no_model() -> None:
    assert came_along(modules("monosem_tui"), (*MODEL, "engine")) == ""


@pytest.mark.parametrize("arguments", ["--help", "train --help", "show --help", "--version"])
def test_help_is_light(arguments: str) -> None:
    done = _fresh(HELP, ",".join(HEAVY), arguments)
    if "No such command" in done.stderr:
        pytest.skip(f"there is no monosem {arguments.split()[0]}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "source",
    [
        "import colorsys",
        "from colorsys import rgb_to_hls",
        "def load():\n    import colorsys\nload()",
        "import importlib\nimportlib.import_module('colorsys')",
    ],
)
def test_the_check_can_fail(tmp_path: Path, source: str) -> None:
    """A module of a package that does import the forbidden thing is found out."""
    package = tmp_path / "innocent"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py"):
        (package / name).write_text("")
    (package / "inner" / "guilty.py").write_text(source)
    names = [module.name for module in pkgutil.walk_packages([str(package)], "innocent.")]
    assert "innocent.inner" in names
    assert came_along(["innocent", "innocent.inner"], ("colorsys",), path=tmp_path) == ""
    assert came_along(["innocent", "innocent.inner.guilty"], ("colorsys",), path=tmp_path) == (
        "innocent.inner.guilty imports colorsys"
    )


def test_a_module_that_cannot_be_imported_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ImportError('no such thing')")
    assert "no such thing" in came_along(["broken"], ("colorsys",), path=tmp_path)


def test_help_needs_no_pydantic() -> None:
    """typer brings it in for values; the flags of `monosem` itself have none."""
    done = _fresh(HELP, "pydantic", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_help_check_can_fail() -> None:
    """Help needs typer: forbid it, and the check must say so."""
    done = _fresh(HELP, "typer", "--help")
    assert done.returncode == 1
    assert "imports typer" in done.stderr
