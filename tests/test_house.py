"""The order of the house: layers inside the packages, names that mean one thing, and pages made from docstrings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

from tests import module_pages
from tests.code_lines import PACKAGES, code_lines

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
LAYERED = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]
FIELD_TERMS = {"indexing", "training", "cofiring", "timing", "sampling", "resampling", "learning", "setting", "ranking"}
"""Words in -ing that are nouns of the field or of the product; other participles and gerunds say too little."""
NAMES = {"gated", "planted", "ragged"}
"""Names in -ed that the field or the product gives to things: an architecture, a corpus, a layout of arrays."""
NOT_PARTICIPLES = {"embed", "feed", "seed", "speed", "string"}


def layers_of(contract: Sequence[str]) -> list[grimp.Layer]:
    """The layers of a contract, highest first, as grimp takes them."""
    return [grimp.Layer(*[name.strip() for name in layer.split("|")], independent=True) for layer in contract]


@pytest.fixture(scope="module")
def graphs() -> Mapping[str, grimp.ImportGraph]:
    return {name: grimp.build_graph(name, cache_dir=None) for name in PACKAGES}


@pytest.mark.parametrize("contract", LAYERED, ids=lambda layers: layers[0].split(".")[0])
def test_the_layers_hold_and_can_fail(contract: list[str], graphs: Mapping[str, grimp.ImportGraph]) -> None:
    """For every pair of neighbouring layers: one import upwards, and the contract is broken."""
    graph, layers = graphs[contract[0].split(".")[0]], layers_of(contract)
    assert not graph.find_illegal_dependencies_for_layers(layers=layers)
    names = [next(iter(sorted(layer.module_tails))) for layer in layers]
    for upper, lower in pairwise(names):
        if graph.direct_import_exists(importer=lower, imported=upper):
            continue
        graph.add_import(importer=lower, imported=upper)
        assert graph.find_illegal_dependencies_for_layers(layers=layers), f"{lower} may import {upper}"
        graph.remove_import(importer=lower, imported=upper)


def test_every_package_has_a_layer(graphs: Mapping[str, grimp.ImportGraph]) -> None:
    """A new folder must be put into a contract; plain modules at the top of a package need not be."""
    for contract in LAYERED:
        top = contract[0].split(".")[0]
        layered = {name.strip() for layer in contract for name in layer.split("|")}
        rooms = {f"{top}.{path.parent.name}" for path in (ROOT / top).glob("*/__init__.py")}
        assert rooms <= layered, f"{sorted(rooms - layered)} are in no layer"


def public_classes(folder: Path) -> dict[str, list[str]]:
    """Public classes defined at module level, by name, with the files that define them."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(folder)))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_class_name_means_one_thing(package: str) -> None:
    assert {name: files for name, files in public_classes(ROOT / package).items() if len(files) > 1} == {}


def test_a_second_meaning_is_found(tmp_path: Path) -> None:
    for name in ("one.py", "other.py"):
        (tmp_path / name).write_text("class Part: ...\nclass _Part: ...\n")
    assert public_classes(tmp_path) == {"Part": ["one.py", "other.py"]}


def participles(stems: Sequence[str]) -> list[str]:
    """Module names whose last word is a participle or a gerund that is not a term of the field."""
    last = {stem: stem.strip("_").rsplit("_", 1)[-1] for stem in stems}
    ending = re.compile(r"(ing|ed)$")
    return [
        stem for stem, word in last.items() if ending.search(word) and word not in FIELD_TERMS | NAMES | NOT_PARTICIPLES
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_nouns(package: str) -> None:
    paths = [path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    assert participles([path.stem for path in paths]) == []
    assert participles([path.parent.name for path in (ROOT / package).rglob("__init__.py")]) == []


def test_a_participle_is_found() -> None:
    assert participles(["opened", "revisiting", "segment", "seed", "lines_that_failed", "training"]) == [
        "opened",
        "revisiting",
        "lines_that_failed",
    ]


def clauses(source: str) -> list[str]:
    """Docstrings of modules, classes, functions and fields that name a thing by a relative clause."""
    said = [
        node.value.value.strip()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return [text for text in said if re.match(r"(What|Whoever|Whatever|That which|Those|Of) ", text)]


def test_docstrings_name_things() -> None:
    """ "The recipe of the text" rather than "What the text was written with"."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            assert clauses(path.read_text(encoding="utf-8")) == [], path


def test_a_clause_is_found() -> None:
    assert clauses('"""What it is."""\nX = 1\n"""The number of things."""\n') == ["What it is."]


def test_pages_are_those_of_the_docstrings() -> None:
    """`make pages` renews README's tree and docs/modules.md."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module_pages.in_readme(readme, module_pages.tree(ROOT)) == readme
    assert (ROOT / "docs" / "modules.md").read_text(encoding="utf-8") == module_pages.modules(ROOT)


def test_the_glossary_is_sorted_and_not_longer_than_it_need_be() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^- \*\*(.+?)\*\*", page, re.MULTILINE)
    assert 60 <= len(words) <= 150
    assert words == sorted(words, key=str.casefold)


def test_lines_of_code_are_counted_without_their_prose() -> None:
    lines = ['"""Doc', "", 'of it."""', "# why", "X = 1", '"""Of X."""', "def f():", '    """One."""']
    assert code_lines("\n".join([*lines, "    return (", "        1", "    )", ""])) == 5
