"""Output of `monosem verify`: one line per file."""

from __future__ import annotations

import os
from pathlib import Path

from monosem_tui.cli import output
from monosem_tui.cli.run_lookup import find_place
from store.files.errors import WorkFailed
from store.run.folder import RunFolder
from store.verify.run_check import Finding, verify_file, verify_run


def report(name: str, root: Path, *, json: bool) -> None:
    """Check a run, or one file of it, and print the verdicts.

    Raises:
        WorkFailed: something is damaged.
    """
    path = Path(name).resolve() if Path(name).is_symlink() else Path(name)
    alone = path.is_file()
    folder = path.parent if alone else find_place(name, root).path
    findings = [verify_file(path)] if alone else verify_run(RunFolder(folder))
    damaged = [finding for finding in findings if not finding.ok]
    if json:
        files = [
            {"path": str(f.path), "ok": f.ok, "detail": f.detail, "damaged": f.damaged, "readable": f.readable}
            for f in findings
        ]
        output.emit_json({"ok": not damaged, "files": files})
    else:
        _table(findings, folder)
    if damaged:
        raise WorkFailed(
            f"{len(damaged)} of {len(findings)} files {'is' if len(damaged) == 1 else 'are'} damaged",
            "Copy them again, or rebuild them: monosem index for the index, monosem train for the rest.",
        )


def _table(findings: list[Finding], folder: Path) -> None:
    columns = (output.Column("file"), output.Column("state"), output.Column("what was found"))
    rows = [(os.path.relpath(f.path, folder), "ok" if f.ok else "damaged", f.detail) for f in findings]
    output.emit_table(columns, rows)
