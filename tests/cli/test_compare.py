"""`monosem compare`."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from monosem_tui.cli.main import run
from store.comparison.file import load_comparison
from store.files.sealed_hdf5 import create_sealed, put
from store.verify.run_check import verify_file
from tests.sample_run import build_sample
from tests.store.cut_texts import index_texts


@pytest.fixture
def texts() -> list[bytes]:
    """Documents of random letters."""
    rng = np.random.default_rng(0)
    return [bytes(rng.choice(np.frombuffer(b"ab cd.", np.uint8), 60).tobytes()) for _ in range(40)]


@pytest.fixture
def pair(texts: list[bytes], tmp_path: Path) -> tuple[Path, Path]:
    """Two indexes of the same documents, cut differently."""
    made = [index_texts(tmp_path / name, texts, seed) for seed, name in enumerate(("one", "two"))]
    return made[0].features, made[1].features


def test_a_pair_is_compared_printed_and_kept(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(pair[0]), str(pair[1]), "--top", "2", "--shifts", "1"]) == 0
    printed = capsys.readouterr()
    assert "of 40 documents in common" in printed.out
    assert "by chance: median r, r above 0.5" in printed.out
    kept = pair[0].parent / "comparisons" / "two.h5"
    assert str(kept) in printed.err
    assert verify_file(kept).ok
    assert load_comparison(kept).summary.documents == 40


def test_json_has_the_promised_keys(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(pair[0]), str(pair[0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    promised = "a b units median_r share_r mutual pw_mcc nulls ceiling ci features".split()
    assert set(promised) <= set(found)
    assert set(found["nulls"]) == {"shifted", "neurons", "features_neurons", "random"}
    assert set(found["share_r"]) == {"0.5", "0.7", "0.9"}
    assert {"feature", "partner", "r", "mutual", "cosine", "coverage", "n"} <= set(found["features"][0])
    assert math.isclose(found["median_r"], 1, abs_tol=1e-6)
    assert found["pw_mcc"] == pytest.approx(1)


def test_a_tree_of_sizes_is_printed_from_small_to_large(
    texts: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"large": (b"a", b"b ", b"d."), "small": (b"a",), "middle": (b"a", b"d.")}
    places = [
        str(index_texts(tmp_path / name, texts, seed, n_features=len(some), words=some).features)
        for seed, (name, some) in enumerate(words.items())
    ]
    assert run(["compare", *places, "--tree", "--shifts", "0"]) == 0
    printed = capsys.readouterr()
    assert "1 of 2 judged features of middle hang below one of small" in printed.out
    assert re.search(r"^0 .*\n└ 0 .* yes\n└─ 0 .* yes$", printed.out, re.MULTILINE), printed.out
    assert (tmp_path / "small" / "comparisons" / "middle.h5").is_file()
    assert run(["compare", *places, "--tree", "--shifts", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == ["small", "middle", "large"]
    (root,) = found["roots"]
    (child,) = root["children"]
    assert (root["feature"], child["feature"], child["children"][0]["feature"]) == (0, 0, 0)
    assert {"r", "within", "covers", "mutual"} <= set(child)
    assert child["covers"] > 0.9
    assert found["parentless"] == [[1], [1]]


def test_runs_that_cannot_be_compared_are_refused_in_a_line(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = build_sample(tmp_path / "sample").run.path
    for arguments, reason in (
        ([str(pair[0])], "needs two runs"),
        ([str(pair[0]), str(other)], "no document in common"),
        ([str(pair[0]), str(tmp_path / "nothing")], "no run at"),
        ([str(pair[0]), str(pair[1]), "--least", "1"], "--least"),
    ):
        assert run(["compare", *arguments]) == 2
        complaint = capsys.readouterr().err
        assert reason in complaint
        assert "Traceback" not in complaint


def test_a_linked_folder_of_comparisons_is_refused(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (pair[0].parent / "comparisons").symlink_to(tmp_path / "elsewhere")
    assert run(["compare", *map(str, pair)]) == 2
    assert "is a link" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("damage", ["partner", "r", "summary", "missing"])
def test_a_forged_comparison_is_found(pair: tuple[Path, Path], damage: str) -> None:
    assert run(["compare", *map(str, pair), "--shifts", "1"]) == 0
    kept = next((pair[0].parent / "comparisons").glob("*.h5"))
    found = load_comparison(kept)
    columns = {
        f"{name}/{column}": values
        for name, side in zip("ab", found.sides, strict=True)
        for column, values in vars(side).items()
    }
    summary = '{"units": -1}' if damage == "summary" else _summary(kept)
    if damage == "partner":
        columns["a/partner_F"] = columns["a/partner_F"] + 100
    elif damage == "r":
        columns["b/r_F"] = columns["b/r_F"] + 7
    elif damage == "missing":
        del columns["b/cosine_F"]
    with create_sealed(kept, "comparison") as file:
        file.attrs["summary"] = summary
        for name, values in columns.items():
            put(file.require_group(name.split("/")[0]), name.split("/")[1], values)
    assert not verify_file(kept).ok


def _summary(path: Path) -> str:
    import h5py

    with h5py.File(path) as file:
        return str(file.attrs["summary"])
