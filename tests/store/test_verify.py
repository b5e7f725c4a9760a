"""`verify` says nothing of a sound run, and names each kind of damage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import crosscheck
from store.checkpoint import Checkpoint, save_checkpoint
from store.crosscheck import index_problem
from store.run import RunFolder, RunRecord
from store.segment import SegmentBuilder, SparseRows, segment_path
from store.shards import write_shard
from store.verify import verify_file, verify_run
from store.weights import save_sae
from tests.store.raw import RawToken, as_rows, build_store, flip, random_raw, weights
from tests.store.test_shards import INFO, rows

RAW = random_raw(41, n_contexts=30)
BLOCKS = (1, 3, 10, 1 << 21)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with every kind of file."""
    run = build_store(tmp_path_factory.mktemp("sound") / "run", RAW, 12, merged=True)
    run.create(RunRecord(status="done"))
    save_sae(run.sae, weights(RAW.d_sae))
    save_checkpoint(run.checkpoints, Checkpoint(4, {"a": np.arange(50)}))
    save_checkpoint(run.checkpoints / "lm", Checkpoint(2, {"a": np.arange(50)}))
    write_shard(run.activations, 0, INFO, rows(range(3), "float32"))
    return run


@pytest.fixture
def run(sound: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy that may be damaged."""
    return RunFolder(Path(shutil.copytree(sound.path, tmp_path / "run")))


def reseal(path: Path) -> None:
    """Make the head true again after the content was changed, as a writer with a fault would have it."""
    content = path.read_bytes()
    kind = content.split(b" ")[1].decode()
    digest = hashlib.sha256(content[512:]).hexdigest()
    head = f"monosem {kind} schema 1 bytes {len(content)} sha256 {digest}\n".encode()
    path.write_bytes(head.ljust(512, b"\0") + content[512:])


def test_every_file_of_a_sound_run_is_checked(sound: RunFolder) -> None:
    findings = verify_run(sound)
    assert [f for f in findings if not f.ok] == []
    files = sorted(path for path in sound.path.rglob("*") if path.suffix in (".json", ".h5"))
    assert sorted(finding.path for finding in findings) == files
    details = {finding.path.name: finding.detail for finding in findings}
    assert details["features.h5"] == f"digests hold, both orders hold the same {len(RAW.entries())} entries"
    assert details["sae.h5"] == "digests hold"


def test_any_changed_byte_is_found(run: RunFolder) -> None:
    for path in (run.features, run.sae, segment_path(run.index, 1), run.checkpoints / "step-4.h5"):
        size = path.stat().st_size
        for at in (3, 520, size // 3, size // 2, size - 1):
            flip(path, at)
            assert [f.path for f in verify_run(run) if not f.ok] == [path], at
            flip(path, at)


@pytest.mark.parametrize("name", ["forward/act", "inverted/token", "corpus/tokens", "sae/W_dec"])
def test_the_damaged_dataset_is_named(name: str, run: RunFolder) -> None:
    with h5py.File(run.features, "r") as file:
        at = file[name].id.get_offset() + file[name].nbytes // 2
    flip(run.features, at)
    assert verify_file(run.features).detail == f"damaged in {name}; the other datasets are readable"


def test_damage_outside_of_any_dataset(run: RunFolder) -> None:
    with h5py.File(run.sae, "r+") as file:
        file["sae/extra" if "sae" in file else "extra"] = 1.0
    head, size = run.sae.read_bytes()[:512], run.sae.stat().st_size
    line = head.rstrip(b"\0").decode().split(" ")
    line[5] = str(size)
    run.sae.write_bytes(" ".join(line).encode().ljust(512, b"\0") + run.sae.read_bytes()[512:])
    assert verify_file(run.sae).detail == "damaged in extra; the other datasets are readable"
    flip(run.sae, 512)
    assert verify_file(run.sae).detail == "damaged: nothing in it can be read"


def test_changed_attributes(run: RunFolder) -> None:
    content = run.features.read_bytes()
    assert content.count(b'"packing": "packed"') == 1
    run.features.write_bytes(content.replace(b'"packing": "packed"', b'"packing": "pecked"'))
    found = verify_file(run.features)
    assert not found.ok
    assert found.detail.startswith("damaged outside its datasets")


def test_truncated_empty_and_foreign(run: RunFolder) -> None:
    run.sae.write_bytes(run.sae.read_bytes()[:-7])
    run.features.write_bytes(b"")
    (run.checkpoints / "step-4.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(3000))
    damaged = {f.path.name: f.detail for f in verify_run(run) if not f.ok}
    assert damaged.keys() == {"sae.h5", "features.h5", "step-4.h5"}
    assert "truncated" in damaged["sae.h5"]
    assert "not a monosem file" in damaged["features.h5"]
    assert "not a monosem file" in damaged["step-4.h5"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 5}', '{"schema_version": 99}'])
def test_run_json(run: RunFolder, text: str) -> None:
    run.run_json.write_text(text)
    assert [f.path for f in verify_run(run) if not f.ok] == [run.run_json]
    run.run_json.unlink()
    assert [f.path for f in verify_run(run) if not f.ok] == [run.run_json]


def change(name: str, at: int, value: float) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        assert file[name][at] != value
        file[name][at] = value

    return apply


def swap(name: str, at: int, *others: str) -> Callable[[h5py.File], None]:
    """Exchange entries at and at+1 of some datasets."""

    def apply(file: h5py.File) -> None:
        for each in (name, *others):
            a, b = file[each][at : at + 2]
            file[each][at], file[each][at + 1] = b, a

    return apply


def shorten(*names: str) -> Callable[[h5py.File], None]:
    """Drop the last entry."""

    def apply(file: h5py.File) -> None:
        for name in names:
            values = file[name][:-1]
            del file[name]
            file[name] = values

    return apply


def _ties(found: dict[str, np.ndarray]) -> int:
    """An entry of the inverted order that ties with the next of its feature."""
    first, last = found["inverted/indptr"][2:4]
    return int(first) + int(np.flatnonzero(np.diff(found["inverted/act"][first:last]) == 0)[0])


def _falls(found: dict[str, np.ndarray]) -> int:
    """An entry of the inverted order that is stronger than the next of its feature."""
    first, last = found["inverted/indptr"][2:4]
    return int(first) + int(np.flatnonzero(np.diff(found["inverted/act"][first:last]) < 0)[0])


def _row(found: dict[str, np.ndarray]) -> int:
    """An entry of the forward order with another of its token behind it."""
    return int(found["forward/indptr"][np.flatnonzero(np.diff(found["forward/indptr"]) > 1)[0]])


Fault = Callable[[dict[str, np.ndarray]], Callable[[h5py.File], None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "lost entry": (lambda _: shorten("inverted/act", "inverted/token"), "the inverted order"),
    "another token": (lambda _: change("inverted/token", 5, 0), "differ in their tokens"),
    "token beyond the corpus": (lambda _: change("inverted/token", 5, 10**9), "differ in their tokens"),
    "another feature": (lambda f: change("forward/feature", _row(f), 8), "differ in their features"),
    "feature beyond all": (lambda f: change("forward/feature", _row(f), 60_000), "differ in their features"),
    "another activation": (lambda _: change("forward/act", 4, 3.125), "differ in their activations"),
    "activation in the other order": (lambda _: change("inverted/act", 4, 3.125), "differ in their activations"),
    "strength out of order": (
        lambda f: swap("inverted/act", _falls(f), "inverted/token"),
        "inverted/act does not fall inside a feature",
    ),
    "ties out of order": (lambda f: swap("inverted/token", _ties(f)), "does not rise among equal activations"),
    "features out of order": (
        lambda f: swap("forward/feature", _row(f), "forward/act"),
        "forward/feature does not rise inside a token",
    ),
    "count": (lambda _: change("feature/count", 1, 3), "feature/count does not follow"),
    "max": (lambda _: change("feature/max", 1, 0.25), "feature/max does not follow"),
    "sum": (lambda _: change("feature/sum", 0, 1.0), "feature/sum does not follow"),
    "top token": (lambda _: change("feature/top_token", 1, -1), "feature/top_token does not follow"),
    "forward pointers": (lambda _: change("forward/indptr", 2, 10**6), "forward/indptr does not rise"),
    "first pointer": (lambda _: change("inverted/indptr", 0, 1), "inverted/indptr does not rise"),
    "last pointer": (lambda _: change("inverted/indptr", -1, 0), "inverted/indptr does not rise"),
    "a pointer too few": (lambda _: shorten("forward/indptr"), "forward/indptr does not rise"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["features", "segment"])
def test_an_index_that_contradicts_itself(fault: str, kind: str, run: RunFolder) -> None:
    path = run.features if kind == "features" else segment_path(run.index, 1)
    make, said = FAULTS[fault]
    with h5py.File(path, "r+") as file:
        make(datasets_of(file))(file)
    with h5py.File(path, "r") as file:
        verdicts = {index_problem(file, block) for block in BLOCKS}
    assert len(verdicts) == 1
    assert said in verdicts.pop()
    reseal(path)
    found = verify_file(path)
    assert not found.ok
    assert said in found.detail


def datasets_of(file: h5py.File) -> dict[str, np.ndarray]:
    names = ("inverted/indptr", "inverted/act", "inverted/token", "forward/indptr")
    return {name: file[name][()] for name in names}


def test_the_same_feature_twice_on_a_token(tmp_path: Path) -> None:
    builder = SegmentBuilder(3)
    rows_of, _ = as_rows([[RawToken(1, 0, True, {})]])
    builder.add(rows_of, SparseRows(np.array([0, 2]), np.array([1, 1]), np.array([2.0, 1.0], np.float32)))
    builder.seal(tmp_path / "seg.h5", 0, 0)
    assert verify_file(tmp_path / "seg.h5").detail == "forward/feature does not rise inside a token"


@pytest.mark.parametrize("tokens", [1, 7, 1 << 20])
def test_a_sound_index_in_blocks_of_any_size(sound: RunFolder, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosscheck, "_TOKENS", tokens)
    for path in (sound.features, segment_path(sound.index, 0)):
        with h5py.File(path, "r") as file:
            assert [index_problem(file, block) for block in BLOCKS] == [""] * len(BLOCKS)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_single_change_of_an_entry_is_found(sound: RunFolder, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["forward/feature", "forward/act", "inverted/token", "inverted/act"]))
    with h5py.File(sound.features, "r") as original, h5py.File.in_memory() as file:
        for group in ("corpus", "forward", "inverted", "feature"):
            original.copy(group, file)
        values = file[name]
        at = data.draw(st.integers(0, len(values) - 1))
        others = [value for value in values.dtype.type([0, 1, 2, 3.75, 7, 8]) if value != values[at]]
        values[at] = data.draw(st.sampled_from(others))
        assert _problem(file, sound.features) != ""


def _problem(file: h5py.File, path: Path) -> str:
    """`index_problem` of a file in memory; the corpus is mapped from the file it was copied from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crosscheck, "_TOKENS", 16)
        patch.setattr(crosscheck, "mapped", lambda _, dataset: dataset[()])
        return index_problem(file, 7)
