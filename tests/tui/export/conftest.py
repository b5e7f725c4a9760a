"""A run to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_run import Sample, build_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A finished run with more features than one batch holds; tests only read it."""
    return build_sample(tmp_path_factory.mktemp("runs") / "stories", n_contexts=60, n_features=150)


@pytest.fixture
def name(sample: Sample) -> str:
    """The run's folder, as a person would name it."""
    return str(sample.run.path)


def listing(folder: Path) -> list[str]:
    """Files of a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
