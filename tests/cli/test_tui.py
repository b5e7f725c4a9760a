"""`monosem tui`: which run it opens, and how."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from store.run.folder import RunFolder, RunRecord
from tests.cli.running import monosem
from tests.sample_run import Sample, build_sample

Opened = list[tuple[Path | None, str | None, bool | None]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Calls of `browse`, recorded instead of browsing."""
    calls: Opened = []

    def browse(
        path: Path | None,
        *,
        color: str | None,
        mouse: bool | None,
        root: Path | None = None,
        followed: Path | None = None,
        theme: str | None,
        attach: Path | None,
    ) -> int:
        assert root is None or path is None
        assert (theme, attach) == (None, None)
        calls.append((path or followed, color, mouse))
        return 0

    monkeypatch.setattr("monosem_tui.launch.browse", browse)
    return calls


def test_without_a_name_the_one_run_there_is(tmp_path: Path, opened: Opened) -> None:
    build_sample(tmp_path / "filling", n_features=8, n_contexts=3, merged=False)
    assert run(["tui", "--runs-dir", str(tmp_path)]) == 0
    assert opened == [(tmp_path / "filling", None, None)]


def test_without_a_name_the_list_where_there_are_several(tmp_path: Path, opened: Opened) -> None:
    for name in ("one", "another"):
        RunFolder(tmp_path / name).create(RunRecord())
    assert run(["tui", "--runs-dir", str(tmp_path)]) == 0
    assert opened == [(None, None, None)]


def test_a_folder_of_runs_in_place_of_a_run(runs: Path, tmp_path: Path, opened: Opened) -> None:
    assert run(["tui", str(runs)]) == 0
    for name in ("one", "another"):
        RunFolder(tmp_path / "many" / name).create(RunRecord())
    assert run(["tui", str(tmp_path / "many")]) == 0
    assert [path for path, *_ in opened] == [runs / "stories", None]


def test_a_place_is_named_once(tmp_path: Path, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tui", str(tmp_path / "none")]) == 2
    assert f"no run at {tmp_path / 'none'}\n" in capsys.readouterr().err


def test_a_run_at_work_can_be_followed_before_it_has_an_index(tmp_path: Path, opened: Opened) -> None:
    record = RunRecord(status="training", pid=os.getpid(), host=platform.node())
    RunFolder(tmp_path / "busy").create(record)
    assert run(["tui", "--runs-dir", str(tmp_path)]) == 0
    assert opened == [(None, None, None)]
    assert run(["tui", str(tmp_path / "busy")]) == 0
    assert opened[1:] == [(tmp_path / "busy", None, None)]


def test_by_name_path_or_file(runs: Path, opened: Opened) -> None:
    assert run(["tui", "stories", "--runs-dir", str(runs), "--no-mouse"]) == 0
    assert run(["tui", str(runs / "stories"), "--color", "256", "--mouse"]) == 0
    assert run(["tui", str(runs / "stories" / "features.h5"), "--color", "none"]) == 0
    assert opened == [
        (runs / "stories", None, False),
        (runs / "stories", "256", True),
        (runs / "stories" / "features.h5", "none", None),
    ]


def test_no_runs(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONOSEM_RUNS", str(tmp_path / "none"))
    assert run(["tui"]) == 0
    assert opened == [(None, None, None)]  # the screen says what to run
    opened.clear()
    RunFolder(tmp_path / "bare").create(RunRecord())
    assert run(["tui", "--runs-dir", str(tmp_path)]) == 2
    assert f"monosem index {tmp_path / 'bare'}" in capsys.readouterr().err
    assert opened == []


def test_a_folder_of_runs_that_is_mistyped(tmp_path: Path, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for name, said in (("rnus", "there is no folder "), ("file", "")):
        for more in ([], ["--web"]):
            assert run(["tui", "--runs-dir", str(tmp_path / name), *more]) == 2
            first, *rest = capsys.readouterr().err.splitlines()
            assert first.startswith(f"monosem: {said}{tmp_path / name}")
            assert len(rest) == 1
    assert opened == []


def test_the_exit_code_of_the_app_is_ours(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("monosem_tui.launch.browse", lambda path, **how: 129)
    assert run(["tui", "stories", "--runs-dir", str(runs)]) == 129


def test_a_wrong_colour_is_refused(runs: Path, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tui", "stories", "--runs-dir", str(runs), "--color", "pink"]) == 2
    assert "--color" in capsys.readouterr().err
    assert opened == []


def test_a_pipe_is_refused_with_a_sentence(runs: Path) -> None:
    done = monosem("tui", "stories", MONOSEM_RUNS=str(runs))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"monosem: monosem tui needs a terminal")
    assert len(done.stderr.splitlines()) == 2


def test_a_truncated_file_is_a_sentence_before_the_screen_is_taken(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("monosem_tui.terminal.capabilities.require_terminal", lambda environment: None)
    monkeypatch.setattr("monosem_tui.terminal.capabilities.apply", lambda settings: None)
    content = sample.run.features.read_bytes()
    cut = tmp_path / "cut.h5"
    for size in (0, 100, 600, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:size])
        assert run(["tui", str(cut)]) == 2
        first, *rest = capsys.readouterr().err.splitlines()
        assert first.startswith(f"monosem: {cut} is ")
        assert len(rest) <= 1
