"""A user's own arrays against numpy: what is read, which rows are trained on and which are not, resuming, evaluation.

Shapes: N rows, D = d_in.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.commands.rerun import evaluate_again
from engine.commands.train import train
from engine.data import arrays
from engine.data.activations import BlockShuffle
from engine.data.arrays import Array, ArrayBlocks, names_array, open_array, sample_spans, split_spec
from engine.evaluation.array_quality import measure
from engine.jobs.trained_run import trained_settings
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.train import TrainSettings
from store.settings.trained_run import EvaluateSettings
from tests.engine.broken_off import Killed, after_step, ask_to_stop, assert_same, kill, timeless
from tests.engine.trained import decode_by_hand, encode_by_hand

N, D = 5003, 12
X_ND = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32).astype(np.float64)


def as_bfloat16(values: np.ndarray) -> np.ndarray:
    """The bits of bfloat16, as numpy can hold them."""
    return torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()


def npy(values: np.ndarray) -> Callable[[Path], str]:
    """Saved by numpy."""

    def write(folder: Path) -> str:
        np.save(folder / "x.npy", values)
        return str(folder / "x.npy")

    return write


def hdf5(name: str, values: np.ndarray, said: str = "", **how: Any) -> Callable[[Path], str]:
    """Saved by h5py beside datasets of other shapes; addressed without a name."""

    def write(folder: Path) -> str:
        with h5py.File(folder / "x.h5", "w") as file:
            file.create_dataset(name, data=values, **how)
            if said:
                file[name].attrs["dtype"] = said
            file["other"], file["scalar"] = np.arange(N), 3.0
        return str(folder / "x.h5")

    return write


def safetensors(dtype: torch.dtype) -> Callable[[Path], str]:
    """Saved by safetensors beside another tensor."""

    def write(folder: Path) -> str:
        tensors = {"x": torch.from_numpy(X_ND).to(dtype), "y": torch.zeros(7, D)}
        save_file(tensors, folder / "x.safetensors")
        return f"{folder / 'x.safetensors'}:x"

    return write


FILES = {
    "float32": npy(X_ND.astype(np.float32)),
    "float16": npy(X_ND.astype(np.float16)),
    "float64": npy(X_ND),
    "big-endian": npy(X_ND.astype(">f4")),
    "column by column": npy(np.asfortranarray(X_ND.astype(np.float32))),
    "bfloat16": npy(as_bfloat16(X_ND).view("V2")),
    "hdf5": hdf5("x", X_ND.astype(np.float32)),
    "hdf5 group, compressed": hdf5("layer/x", X_ND.astype(np.float16), chunks=(700, D), compression="gzip"),
    "hdf5 bfloat16": hdf5("x", as_bfloat16(X_ND), "bfloat16"),
    "safetensors": safetensors(torch.float32),
    "safetensors bfloat16": safetensors(torch.bfloat16),
    "safetensors float64": safetensors(torch.float64),
}
NARROW = {"float16": torch.float16, "hdf5 group, compressed": torch.float16}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_rows_that_were_saved(name: str, tmp_path: Path) -> None:
    array = open_array(FILES[name](tmp_path))
    dtype = torch.bfloat16 if "bfloat16" in name else NARROW.get(name, torch.float32)
    expected_ND = torch.from_numpy(X_ND).to(dtype)
    assert (array.n, array.d_in) == (N, D)
    read_ND = torch.cat(list(array.read([(0, 1), (1, 4000), (4000, N)])))
    assert read_ND.dtype == expected_ND.dtype
    assert torch.equal(read_ND, expected_ND)
    (piece_ND,) = array.read([(17, 23)])
    assert torch.equal(piece_ND, expected_ND[17:23])


def test_the_digest_is_of_dtype_shape_and_rows_alone(tmp_path: Path) -> None:
    rows = X_ND.astype(np.float32)
    expected = hashlib.sha256(f"float32 {N} {D}".encode() + rows.tobytes()).hexdigest()
    for name in ("float32", "column by column", "hdf5", "safetensors"):
        assert open_array(FILES[name](tmp_path)).digest(Silent()) == expected


def test_names(tmp_path: Path) -> None:
    (tmp_path / "a:b.npy").touch()
    (tmp_path / "run.h5").mkdir()
    assert split_spec(str(tmp_path / "a:b.npy")) == (tmp_path / "a:b.npy", "")
    assert split_spec("x/a.h5:layers/3") == (Path("x/a.h5"), "layers/3")
    assert split_spec("runs/a:b") == (Path("runs/a:b"), "")
    assert names_array("none.safetensors:x")
    assert not names_array(str(tmp_path / "run.h5"))
    assert not names_array("runs/acts")


@pytest.mark.parametrize("n", [1, 19, 20, 199, 200, 401, 5003, 40_000, 300_000])
def test_blocks_cover_every_row_once_and_every_twentieth_is_held_out(n: int) -> None:
    array = Array(Path("x.npy"), "", n, D, "float32")
    rows = {s: [r for b in array.blocks(s) for r in range(*array.span(int(b)))] for s in ("all", "train", "heldout")}
    assert rows["all"] == list(range(n))
    size = min(1024, max(1, n // 200))
    held_out = [r for r in range(n) if (r // size) % 20 == 19]
    if n < 20:
        assert rows["train"] == rows["heldout"] == rows["all"]
    else:
        assert rows["heldout"] == held_out
        assert sorted(rows["train"] + held_out) == rows["all"]
        assert 0.02 < len(held_out) / n < 0.06 or n < 40


@pytest.fixture
def numbered(tmp_path: Path) -> Array:
    """An array whose rows say their number."""
    np.save(tmp_path / "n.npy", np.repeat(np.arange(N, dtype=np.float32)[:, None], D, 1))
    return open_array(str(tmp_path / "n.npy"))


def numbers(pieces: list[torch.Tensor]) -> list[int]:
    return [int(row) for piece in pieces for row in piece[:, 0]]


@pytest.mark.parametrize("rows", [1, 700, 4000, 10**6])
def test_an_epoch_gives_every_training_row_once_in_another_order_each_time(numbered: Array, rows: int) -> None:
    source = ArrayBlocks(numbered, rows, seed=3)
    training = [r for b in numbered.blocks("train") for r in range(*numbered.span(int(b)))]
    epochs: list[list[list[int]]] = [[]]
    while len(epochs) < 3:
        epoch = source.position()["epoch"]
        found = numbers(source.next_block(10**9))
        assert len(found) <= max(rows, numbered.block_rows)
        epochs[epoch].append(found)
        if source.position()["epoch"] > epoch:
            epochs.append([])
    for parts in epochs[:2]:
        assert sorted(row for part in parts for row in part) == training
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 2 * numbered.block_rows
    if rows < N // 2:
        assert epochs[0] != epochs[1]
        middle = np.mean(epochs[0][0]) / N
        assert rows == 1 or 0.2 < middle < 0.8  # a sorted array does not come sorted


def test_a_part_that_is_cut_short_and_a_place_that_is_gone_back_to(numbered: Array) -> None:
    source = ArrayBlocks(numbered, 700, seed=3)
    source.next_block(10**9)
    place = source.position()
    following = [numbers(source.next_block(10**9)) for _ in range(9)]
    again = ArrayBlocks(numbered, 700, seed=3)
    again.seek(place)
    assert [numbers(again.next_block(10**9)) for _ in range(9)] == following
    again.seek(place)
    cut = numbers(again.next_block(123))
    assert len(cut) == 123
    assert set(cut) <= set(following[0])
    other = ArrayBlocks(numbered, 700, seed=4)
    other.seek(place)
    assert numbers(other.next_block(10**9)) != following[0]


def test_the_shuffle_gives_whole_epochs(numbered: Array) -> None:
    training = sum(stop - start for start, stop in (numbered.span(int(b)) for b in numbered.blocks("train")))
    batch = 3
    steps = 2 * training // batch
    shuffle = BlockShuffle(ArrayBlocks(numbered, 900, seed=0), batch, 0, steps * batch)
    seen = Counter(int(row) for _ in range(steps) for row in shuffle.next_batch()[:, 0])
    assert len(seen) == training
    assert set(seen.values()) <= {1, 2}
    with pytest.raises(ValueError, match="given out"):
        shuffle.next_batch()


def test_a_sample_is_whole_blocks_of_the_split(numbered: Array) -> None:
    spans = sample_spans(numbered, "heldout", 60, seed=1)
    blocks = {numbered.span(int(b)) for b in numbered.blocks("heldout")}
    assert set(spans) < blocks
    assert spans == sorted(spans)
    assert 60 <= sum(stop - start for start, stop in spans) < 60 + numbered.block_rows
    assert set(sample_spans(numbered, "heldout", 10**9, seed=1)) == blocks


def sparse_rows(n: int = 4000, seed: int = 1) -> np.ndarray:
    """Rows with directions to be found, sorted."""
    rng = np.random.default_rng(seed)
    codes = np.maximum(rng.standard_normal((n, 30)) - 1.2, 0)
    rows = (codes @ np.random.default_rng(9).standard_normal((30, D))).astype(np.float32)
    return rows[np.argsort(rows[:, 0])]


SETTINGS = {"tokens": 9000, "batch": 60, "d_sae": 40, "k": 4, "buffer": 700, "seed": 5, "device": "cpu"}


def trained(folder: Path, *, resume: bool = False, **changes: Any) -> RunFolder:
    """A training on x.npy in a folder."""
    run = RunFolder(folder)
    train(
        run,
        TrainSettings(**({"activations": str(folder.parent / "x.npy")} | SETTINGS | changes)),
        Silent(),
        resume=resume,
    )
    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Spans of rows that are read from now on."""
    found: list[tuple[int, int]] = []
    genuine = Array.read

    def read(self: Array, spans: Iterable[tuple[int, int]]) -> Iterator[torch.Tensor]:
        wanted = list(spans)
        found.extend(wanted)
        return genuine(self, wanted)

    monkeypatch.setattr(Array, "read", read)
    return found


def test_a_training_on_an_array_leaves_out_what_it_is_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, int]]
) -> None:
    rows = sparse_rows()
    np.save(tmp_path / "x.npy", rows)
    monkeypatch.setattr(Array, "digest", lambda self, progress: "digest")
    run = trained(tmp_path / "run", index=False)
    size = 4000 // 200
    assert {start // size % 20 for start, _ in asked} == set(range(19))
    record = run.record()
    assert record.provenance.array == str(tmp_path / "x.npy")
    assert record.provenance.array_shape == [4000, D]
    assert record.provenance.array_digest == "digest"
    assert record.provenance.model == record.provenance.corpus == record.spec.model == ""
    assert (record.spec.d_in, record.spec.d_sae, record.spec.excluded) == (D, 40, "none")


def by_hand(run: RunFolder, x_ND: np.ndarray) -> dict[str, float]:
    """The figures by numpy alone."""
    weights = load_sae(run.sae)
    dense_NF = encode_by_hand(weights, x_ND.astype(np.float64))
    error_ND = x_ND - decode_by_hand(weights, dense_NF, x_ND.astype(np.float64))
    return {
        "l0": (dense_NF > 0).sum(1).mean(),
        "mse": (error_ND**2).mean(),
        "explained_variance": 1 - (error_ND**2).sum() / ((x_ND - x_ND.mean(0, dtype=np.float64)) ** 2).sum(),
        "alive": (dense_NF > 0).any(0).sum(),
        "tokens": len(x_ND),
    }


def test_evaluation_of_held_out_rows_and_of_another_array(tmp_path: Path) -> None:
    rows, other = sparse_rows(), sparse_rows(333, seed=2).astype(np.float16)
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "other.npy", other)
    run = trained(tmp_path / "run")
    held_out = rows[np.arange(4000) // 20 % 20 == 19]
    for found in (run.record().evaluation, evaluate_again(run, EvaluateSettings(), Silent()).to_json()):
        assert {name: found[name] for name in by_hand(run, held_out)} == pytest.approx(by_hand(run, held_out), rel=1e-4)
        assert found["explained_variance"] > 0.5
        assert found["split"] == "heldout"
        assert {found[f"ce_{name}"] for name in ("clean", "sae", "zero", "mean")} == {None}
        assert {found[f"ce_recovered_{name}"] for name in ("zero", "mean")} == {None}
        assert sum(found["density_log10_histogram"]["counts"]) == found["alive"]
    noted = run.record()
    found = evaluate_again(run, EvaluateSettings(activations=str(tmp_path / "other.npy")), Silent()).to_json()
    assert {name: found[name] for name in by_hand(run, other)} == pytest.approx(by_hand(run, other), rel=1e-3)
    assert (found["split"], found["tokens"]) == ("all", 333)
    assert run.record() == noted
    assert noted.results.ce_recovered_zero is None


def test_an_array_that_has_changed_is_neither_resumed_nor_noted(tmp_path: Path) -> None:
    rows = sparse_rows()
    np.save(tmp_path / "x.npy", rows)
    with after_step(20, ask_to_stop), pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped")
    run = trained(tmp_path / "run")
    noted = run.record()
    np.save(tmp_path / "x.npy", rows + 1)
    with pytest.raises(MonosemError, match="has changed"):
        trained(tmp_path / "stopped", resume=True)
    assert evaluate_again(run, EvaluateSettings(), Silent()).explained_variance != noted.results.explained_variance
    assert run.record() == noted


@pytest.mark.parametrize("arch", ["topk", "relu"])
def test_a_training_on_an_array_that_was_broken_off_ends_as_if_it_had_not_been(tmp_path: Path, arch: str) -> None:
    np.save(tmp_path / "x.npy", sparse_rows().astype(np.float16))
    changes: dict[str, Any] = {} if arch == "topk" else {"arch": "relu", "k": None, "l1": 3.0, "dead_after": 200}
    whole = trained(tmp_path / "whole", **changes)
    for stop in (1, 100) if arch == "topk" else (30,):
        run = RunFolder(tmp_path / f"stopped-{stop}")
        with after_step(stop, ask_to_stop), pytest.raises(KeyboardInterrupt):
            trained(run.path, **changes)
        assert run.record().status == "stopped"
        trained(run.path, resume=True, **changes)
        assert_same(load_sae(run.sae).tensors, load_sae(whole.sae).tensors)
        assert timeless(run) == timeless(whole)
        assert run.record().evaluation == whole.record().evaluation
    for died in (4, 77) if arch == "topk" else (77,):
        with after_step(died, kill), pytest.raises(Killed):
            trained(tmp_path / "killed", resume=(tmp_path / "killed").exists(), checkpoint_every=9, **changes)
    train(RunFolder(tmp_path / "killed"), TrainSettings(), Silent(), resume=True)
    assert_same(load_sae(RunFolder(tmp_path / "killed").sae).tensors, load_sae(whole.sae).tensors)


def test_the_file_format_makes_no_difference(tmp_path: Path) -> None:
    rows = sparse_rows()
    np.save(tmp_path / "x.npy", rows)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("acts", data=rows, chunks=(333, D))
    save_file({"acts": torch.from_numpy(rows)}, tmp_path / "x.safetensors")
    one, *others = [
        trained(tmp_path / f"run-{number}", activations=str(tmp_path / name), index=False).sae
        for number, name in enumerate(("x.npy", "x.h5:acts", "x.safetensors"))
    ]
    for other in others:
        assert_same(load_sae(other).tensors, load_sae(one).tensors)


def test_little_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, int]]
) -> None:
    """The array is never whole in memory: nothing larger than a block, or than what a check reads, is asked for."""
    monkeypatch.setattr(arrays, "CHECKED_BYTES", 1 << 12)
    np.save(tmp_path / "x.npy", sparse_rows())
    trained(tmp_path / "run")
    assert max(stop - start for start, stop in asked) <= (1 << 12) // (4 * D)


def test_rows_too_few_to_hold_any_out(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", sparse_rows()[::250])
    run = trained(tmp_path / "run", tokens=300)
    assert run.record().evaluation["tokens"] == 16
    assert run.record().evaluation["split"] == "all"
    settings = replace(trained_settings(run), seed=8)
    array = open_array(str(tmp_path / "x.npy"))
    assert measure(run, array, "heldout", 10, settings, Silent()).tokens == 10


def test_values_that_lie_in_another_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(256)))
    layout = h5py.VirtualLayout((16, 4), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (16, 4))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("acts", (16, 4), np.float32, external=[(str(tmp_path / "secret"), 0, 256)])
        file.create_virtual_dataset("virtual", layout)
        file["own"] = np.zeros((30, 4), np.float32)
    for name in ("acts", "virtual"):
        with pytest.raises(MonosemError, match=f"{name} keeps its values in another file"):
            open_array(f"{tmp_path / 'x.h5'}:{name}")
    assert open_array(f"{tmp_path / 'x.h5'}:own").n == 30
