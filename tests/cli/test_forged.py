"""Every command on a run whose features.h5 is sealed and makes no sense: a line or two, never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monosem_tui.cli.main import run as monosem
from tests.forged_run import FORGERIES, forge
from tests.sample_run import build_sample

READING = (
    ("show", "RUN"),
    ("show", "RUN", "0"),
    ("show", "RUN", "3", "--json"),
    ("show", "RUN", "--filter", "top:sea", "--sort", "-max"),
    ("find", "RUN", "s[ea]a"),
    ("find", "RUN", "--feature", "3"),
    ("label", "RUN"),
    ("export", "RUN", "--to", "html", "--out", "OUT/html"),
    ("export", "RUN", "--to", "csv", "--out", "OUT/table.csv"),
    ("export", "RUN", "--to", "neuronpedia", "--out", "OUT/neuronpedia"),
    ("verify", "RUN"),
    ("runs", "--runs-dir", "ROOT"),
    ("merge", "RUN"),
)

OFTEN = {
    *(
        "a vocabulary of 10^12 entries",
        "a column of text",
        "a group in place of strings",
        "vocabulary offsets that fall",
    ),
    *("activations that are NaN", "negative neighbours", "a plan that is no JSON", "a spec of another size"),
    "a group that holds itself",
}
"""Forgeries that every test run tries: one of sizes, types, orders, values, ids, attributes, links."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sample(tmp_path_factory.mktemp("forged") / "runs" / "sample").run.path


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "runs" / "sample", ignore=shutil.ignore_patterns("index")))


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in FORGERIES],
)
def test_a_sealed_store_that_makes_no_sense(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(run / "features.h5", FORGERIES[name])
    assert_held(run, capsys)


def assert_held(run: Path, capsys: pytest.CaptureFixture[str], *, is_found: bool = True) -> None:
    """Every command ends with one sentence or does its work; `is_found` says that verify must find something."""
    named = {"RUN": str(run), "ROOT": str(run.parent)}
    for arguments in READING:
        words = [named.get(word, word.replace("OUT", str(run.parent.parent))) for word in arguments]
        code = monosem(words)
        captured = capsys.readouterr()
        assert code in (0, 1, 2), arguments
        assert "internal error" not in captured.err, (arguments, captured.err)
        assert "Traceback" not in captured.err + captured.out, arguments
        said = [line for line in captured.err.splitlines() if line.startswith("monosem: ")]
        assert len(said) == (code != 0), (arguments, captured.err)
        assert arguments[0] != "verify" or code == 1 or not is_found, f"{arguments} finds nothing"


def mutate(data: st.DataObject, file: h5py.File) -> None:
    """Change some values of one dataset to extremes."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    dataset = file[data.draw(st.sampled_from(sorted(names)))]
    values, kind = dataset[()], dataset.dtype
    places = data.draw(st.lists(st.integers(0, values.size - 1), min_size=1, max_size=8))
    extremes = [0, 1] if kind.kind == "b" else [-1.0, 0.0, np.nan, np.inf, 1e30] if kind.kind == "f" else []
    extremes = extremes or [np.iinfo(kind).min, np.iinfo(kind).max, 0, 1, 47, 48]
    with np.errstate(over="ignore"):
        values.flat[places] = [kind.type(data.draw(st.sampled_from(extremes))) for _ in places]
    dataset[()] = values


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_values(data: st.DataObject, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "sample"
    for old in (tmp_path / "html", tmp_path / "neuronpedia", run):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(original, run, ignore=shutil.ignore_patterns("index"))
    forge(run / "features.h5", lambda file: mutate(data, file))
    assert_held(run, capsys, is_found=False)
