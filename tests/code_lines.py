"""Count lines of code, without docstrings, comments and blank lines: `python -m tests.code_lines [FOLDER…]`."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

PACKAGES = ("store", "engine", "monosem_tui")
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Return the number of lines that hold code.

    A string that stands alone as a statement counts as documentation, so docstrings of constants and fields do too.
    """
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    spoken: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            spoken.update(range(token.start[0], token.end[0] + 1))
    return len(spoken - documented)


def count(folder: Path) -> tuple[int, int]:
    """Return the number of modules under a folder and of their lines of code."""
    files = sorted(folder.rglob("*.py"))
    return len(files), sum(code_lines(file.read_text(encoding="utf-8")) for file in files)


def main() -> None:
    """Print a line per package, and their sum."""
    root = Path(__file__).parents[1]
    rows = [(name, *count(root / name)) for name in sys.argv[1:] or PACKAGES]
    for name, modules, lines in [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]:
        print(f"{name:12} {modules:4} modules {lines:6} lines of code")


if __name__ == "__main__":
    main()
