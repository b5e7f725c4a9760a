"""Health's figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monosem_tui.model.open_run import open_run
from monosem_tui.model.run_health import figures
from tests.sample_run import build_sample


def of_class(name: str, miss: float, absorbed: float | None) -> dict[str, Any]:
    found = {"f1": 0.9, "miss_rate": miss, "absorbed": absorbed, "features": [1]}
    return {"name": name, "words": 100, "found": found, "shuffled": found | {"miss_rate": 0.5, "absorbed": 0.0}}


def said(folder: Path, classes: list[dict[str, Any]]) -> list[str]:
    run = build_sample(folder).run
    with run.locked():
        run.update(evaluation={"absorption": classes})
    opened = open_run(run.path)
    try:
        return figures(opened)
    finally:
        opened.store.close()


def test_absorption_stands_beside_shuffled_words(tmp_path: Path) -> None:
    found = said(tmp_path / "run", [of_class("colour", 0.2, 0.1), of_class("\x1b[31mtool", 0.1, 0.3)])
    assert "2 classes missed on 15.0 % of their words (50.0 % shuffled)" in found
    (line,) = [line for line in found if line.startswith("absorbed on 20.0 % (0 % shuffled)")]
    assert line.endswith("tool, 30.0 %")
    assert "\x1b" not in line


def test_a_transcoder_has_misses_only(tmp_path: Path) -> None:
    found = said(tmp_path / "run", [of_class("colour", 0.2, None) | {"shuffled": {"f1": 0.1, "miss_rate": 0.5}}])
    assert any("1 classes missed" in line for line in found)
    assert not any("absorbed" in line for line in found)
