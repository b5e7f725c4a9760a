"""Examples in the documentation run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sample_run import build_sample
from tests.tiny_text import write_corpus

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_sample(tmp_path / "runs" / "demo")
    write_corpus(tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONOSEM_RUNS", raising=False)
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == page.count("```python")
    for block in blocks:
        exec(compile(block, str(DOCS / "python.md"), "exec"), names)
    said = capsys.readouterr().out
    assert "`d_sae` and `expansion` say the same thing twice" in said
    assert "topk 48 k4" in said and "75–100 %" not in said and "92–100 %" in said


def test_the_tests_that_hold_the_promises_exist() -> None:
    named = re.findall(r"[\w/]+\.py", (DOCS / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    assert [name for name in named if not (DOCS.parent / "tests" / name).is_file()] == []
