"""`monosem serve` as it is called wrongly; what it does rightly is in tests/engine and tests/tui."""

from __future__ import annotations

from pathlib import Path

import pytest

from monosem_tui.cli.main import run as monosem
from store.live.socket_file import Listening
from tests.cli.live_runs import live_run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()  # progress bars of making the run
    assert monosem(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 2
    return "\n".join(lines)


def test_wrong_places_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = live_run(tmp_path / "run")
    own = tmp_path / "own"
    assert "nowhere" in refused(capsys, "serve", str(tmp_path / "nowhere"), "--socket", str(own / "s"))
    assert not own.exists()
    own.mkdir(mode=0o755)
    assert "open to others" in refused(capsys, "serve", str(run.path), "--socket", str(own / "s"))
    own.chmod(0o700)
    first = Listening(own / "s")
    assert "serves there already" in refused(capsys, "serve", str(run.path), "--socket", str(own / "s"))
    first.close()


def test_a_model_that_has_gone_leaves_no_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = live_run(tmp_path / "run")
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    assert "there is no folder" in refused(capsys, "serve", str(run.path), "--socket", str(tmp_path / "own" / "s"))
    assert list((tmp_path / "own").glob("*")) == []
