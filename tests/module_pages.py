"""README's tree of packages and docs/modules.md, made from docstrings: `python -m tests.module_pages` writes both."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.code_lines import PACKAGES

BEGIN, END = "<!-- tree: make pages -->\n", "<!-- end of tree -->"
AT_THE_TOP = {
    "tests": "The tests, in folders as above; bench/ holds what `make bench` runs.",
    "docs": "Guide, Python API, keys, glossary, architecture, benchmarks, experiments (log.md), decisions.",
}


def first_line(module: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def packages(root: Path) -> list[Path]:
    """Return the folders of all packages, parents first, top packages in the order of `PACKAGES`."""
    found = [path.parent for top in PACKAGES for path in (root / top).rglob("__init__.py")]
    return sorted(found, key=lambda path: (PACKAGES.index(path.relative_to(root).parts[0]), path.parts))


def tree(root: Path) -> str:
    """Return a line per package: its folder, indented, and the first line of its docstring."""
    rows = []
    for folder in packages(root):
        parts = folder.relative_to(root).parts
        rows.append(("  " * (len(parts) - 1) + parts[-1] + "/", first_line(folder / "__init__.py")))
    rows += [(f"{name}/", what) for name, what in AT_THE_TOP.items()]
    width = max(len(name) for name, _ in rows) + 2
    return "```\n" + "".join(f"{name:{width}}{what}\n" for name, what in rows) + "```\n"


def in_readme(readme: str, block: str) -> str:
    """Return README with the block in place of the one between the marks."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}{block}{END}{rest.partition(END)[2]}"


def modules(root: Path) -> str:
    """Return docs/modules.md: every module with the first line of its docstring."""
    page = ["# Modules\n", "\nEvery module and what it does, from its docstring. `make pages` renews this page.\n"]
    for folder in packages(root):
        name = folder.relative_to(root).as_posix()
        page.append(f"\n## {name}/\n\n{first_line(folder / '__init__.py')}\n\n")
        files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        page += [f"- `{path.name}`: {first_line(path)}\n" for path in files]
    return "".join(page)


def main() -> None:
    """Write both pages."""
    root = Path(__file__).parents[1]
    readme = root / "README.md"
    readme.write_text(in_readme(readme.read_text(encoding="utf-8"), tree(root)), encoding="utf-8")
    (root / "docs" / "modules.md").write_text(modules(root), encoding="utf-8")


if __name__ == "__main__":
    main()
