"""Runs to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_run import Sample, build_sample


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's who runs the tests reaches what is printed."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "SSH_CONNECTION", "SSH_TTY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MONOSEM_RUNS", "MONOSEM_DEBUG", "MONOSEM_COLOR", "MONOSEM_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A finished run; tests only read it."""
    return build_sample(tmp_path_factory.mktemp("runs") / "stories", n_contexts=60)


@pytest.fixture(scope="session")
def runs(sample: Sample) -> Path:
    """The folder the sample run is in."""
    return sample.run.path.parent
