"""Environment of every test: no network, no leftovers from the developer's environment, and Ctrl-C as in a terminal."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from store.settings.lm import LmSettings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell ignores SIGINT in what it starts in the background, and children inherit that: tests that send it would hang.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Some shells keep Python from writing bytecode; a thousand children would compile each module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Two million objects of modules and tests come and stay; looking through them again and again is a tenth of the time.
gc.disable()
# Slow examples are not a fault: the machine may be busy. Examples may share fixtures. `make test-all` tries more.
for name, examples in (("busy", 40), ("thorough", 100)):
    settings.register_profile(
        name,
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile("busy")


def pytest_collection_finish() -> None:
    """From here on, garbage is looked for among what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """fsync returns at once: no test can see the difference but those of what is synced when, which watch it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a very small trained language model, made by `monosem lm` itself."""
    from engine.commands.train_lm import train_lm
    from engine.runtime.progress import Silent
    from store.run.folder import RunFolder
    from tests.tiny_text import write_corpus

    folder = tmp_path_factory.mktemp("lm")
    text = write_corpus(folder / "text.txt")
    run = RunFolder(folder / "tiny")
    settings = {
        "data": str(text),
        "vocab": 300,
        "layers": 2,
        "d_model": 16,
        "heads": 2,
        "context": 32,
        "tokens": 30_000,
    }
    train_lm(run, LmSettings(**(settings | {"samples": 0, "device": "cpu"})), Silent(), resume=False)
    return run.path


@pytest.fixture
def tiny_text(tmp_path: Path) -> Iterator[Path]:
    """A text file of sixty short documents."""
    from tests.tiny_text import write_corpus

    yield write_corpus(tmp_path / "text.txt")
