"""`verify` says nothing of a sound run, and names each kind of damage."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.files.sealed_hdf5 import SEAL_BYTES, create_sealed
from store.index.index_file import IndexFile
from store.index.kept_vocabulary import save_vocabulary
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SparseRows, segment_path
from store.index.vocabulary import Vocabulary
from store.notes.explanations import Explanation, Explanations
from store.rules.kind_file import index_digest, save_kinds
from store.rules.kinds import Kinds
from store.run.checkpoint import Checkpoint, save_checkpoint
from store.run.folder import RunFolder, RunRecord
from store.run.ordinary import save_limits
from store.run.shards import write_shard
from store.run.weights import save_sae
from store.verify import run_check as verify
from store.verify import weightcheck
from store.verify.crosscheck import index_problem
from store.verify.damage_probe import survey
from store.verify.run_check import Finding, verify_file, verify_run
from tests.forged_run import Change, add, attribute, cast, forge, resize
from tests.forged_run import put as forged_value
from tests.store.raw import RawToken, as_rows, build_store, flip, random_raw, reseal, true_columns, weights
from tests.store.run.test_shards import INFO, rows

RAW = random_raw(41, n_contexts=15)
BLOCKS = (1, 3, 10, 1 << 21)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with every kind of file."""
    run = build_store(tmp_path_factory.mktemp("sound") / "run", RAW, 6, merged=True, columns=true_columns(RAW.d_sae))
    sae = weights(RAW.d_sae)
    run.create(RunRecord(status="done", spec=sae.spec))
    save_sae(run.sae, sae)
    save_limits(run.ordinary, np.ones((2, sae.spec.d_in), np.float32))
    save_vocabulary(run.vocabulary, Vocabulary.from_tokens([b"a", b"", b"bc"]), "digest")
    share_F, kind_F = np.zeros(RAW.d_sae, np.float32), np.zeros(RAW.d_sae, np.int8)
    save_kinds(run.kinds, Kinds(share_F, share_F, share_F, kind_F), index_digest(run.features))
    arrays = {"sae.W_enc": np.ones((4, 6), np.float32), "sae.b_enc": np.ones(6, np.float32)}
    moments = {"adam.exp_avg.W_enc": np.ones((4, 6)), "adam.step.W_enc": np.float32(4), "a": np.arange(50)}
    save_checkpoint(run.checkpoints, Checkpoint(4, arrays | moments))
    lm = {"a": np.arange(50), "network.w": np.ones((2, 2)), "adam.exp_avg_sq.w": np.ones((2, 2))}
    save_checkpoint(run.checkpoints / "lm", Checkpoint(2, lm))
    write_shard(run.activations, 0, INFO, rows(range(3), "float32"))
    return run


@pytest.fixture
def run(sound: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy that may be damaged."""
    return RunFolder(Path(shutil.copytree(sound.path, tmp_path / "run")))


def test_every_file_of_a_sound_run_is_checked(sound: RunFolder) -> None:
    findings = verify_run(sound)
    assert [f for f in findings if not f.ok] == []
    files = sorted(path for path in sound.path.rglob("*") if path.suffix in (".json", ".h5"))
    assert sorted(finding.path for finding in findings) == files
    details = {finding.path.name: finding.detail for finding in findings}
    n = len(RAW.entries())
    assert details["features.h5"] == (
        f"digests hold, both orders hold the same {n} entries, its columns follow from them and the weights"
    )
    assert details["common.h5"] == "digests hold, its columns follow from the weights"
    assert details["sae.h5"] == details["ordinary.h5"] == details["kinds.h5"] == "digests hold"


def test_any_changed_byte_is_found(run: RunFolder) -> None:
    for path in (
        run.features,
        run.sae,
        run.ordinary,
        run.kinds,
        segment_path(run.index, 1),
        run.checkpoints / "step-4.h5",
    ):
        size = path.stat().st_size
        for at in (3, 520, size // 2, size - 1) if path == run.features else (size // 2,):
            flip(path, at)
            assert [f.path for f in verify_run(run) if not f.ok] == [path], at
            flip(path, at)


def test_explanations_are_read_line_by_line(run: RunFolder) -> None:
    Explanations(run.explanations).append([Explanation(feature=f, author="rules", text="sea") for f in range(3)])
    finding = verify_run(run)[-1]
    assert (finding.path, finding.ok) == (run.explanations, True)
    assert finding.detail == "readable: 3 explanations of 3 features by 1 author"
    with run.explanations.open("a") as file:
        file.write('{"feature": 1, "author": 7, "text": "x"}\n')
    assert verify_run(run)[-1].detail == "damaged lines, which are skipped: 4"
    assert not verify_run(run)[-1].ok


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


STEP, LM, SHARD = "checkpoints/step-4.h5", "checkpoints/lm/step-2.h5", "activations/shard-00000.h5"
ELSEWHERE = {"external": [("/etc/hostname", 0, 64)]}
TEXTS = h5py.string_dtype()
SENSELESS: dict[str, tuple[str, Change, str]] = {
    "another step": (STEP, attribute("step", 5), "it is of step 5"),
    "no state": (STEP, resize("state", (3,)), "is not JSON"),
    "weights of texts": (STEP, cast("arrays/sae.W_enc", "S4"), "not f4"),
    "weights of another width": (STEP, resize("arrays/sae.b_enc", (9,)), "b_enc has 9 values"),
    "moments of another shape": (STEP, resize("arrays/adam.exp_avg.W_enc", (5,)), "belongs to no weights"),
    "weights that are not numbers": (STEP, forged_value("arrays/sae.W_enc", (1, 1), np.nan), "sae.W_enc: .* holds NaN"),
    "a model's weights": (LM, forged_value("arrays/network.w", (0, 0), np.inf), "network.w: .* holds NaN or infinite"),
    "texts": (LM, cast("arrays/a", "S4"), "a is |S4, not numbers"),
    "another dtype": (SHARD, cast("acts", "f2"), "acts is float16, which is not how float32"),
    "negative tokens": (SHARD, forged_value("token", 0, -1), "token holds -1"),
    "contexts of another shard": (SHARD, forged_value("context", 2, 3), "context holds 3"),
    "contexts that fall": (SHARD, forged_value("context", 2, 1), "context falls"),
    "places past the context": (SHARD, forged_value("position", 0, 4), "position holds 4"),
    "weights of an sae": ("sae.h5", forged_value("W_dec", (0, 0), np.inf), "W_dec: .* holds NaN or infinite"),
    "limits of texts": ("ordinary.h5", cast("centre", "S4"), "centre is |S4 .*, not f4"),
    "wide limits": ("ordinary.h5", cast("weight", "f8"), "weight is float64"),
    "limits of two lengths": ("ordinary.h5", resize("weight", (9,)), "weight has 9 values along D"),
    "a matrix of limits": ("ordinary.h5", resize("centre", (2, 2)), r"centre is float32 \[2, 2\], not f4 \[D\]"),
    "vast limits": (
        "ordinary.h5",
        resize("centre", (10**12,), chunks=(1024,)),
        "centre claims 4,000,000,000,000 bytes",
    ),
    "no limits": ("ordinary.h5", lambda file: file.pop("centre"), "centre is missing"),
    "limits that are not numbers": ("ordinary.h5", forged_value("centre", 0, np.nan), "centre holds NaN"),
    "negative limits": ("ordinary.h5", forged_value("weight", 0, -1), "weight holds -1.0, below 0"),
    "limits elsewhere": ("ordinary.h5", resize("centre", (4,), **ELSEWHERE), "centre keeps its values in another file"),
    "kinds that there are not": ("kinds.h5", forged_value("kind", 0, 99), "it names kinds that there are not"),
    "kinds without shares": ("kinds.h5", forged_value("pair", 0, np.nan), "do not belong together"),
    "kinds of two lengths": ("kinds.h5", resize("kind", (3,)), "kind has 3 values along F"),
    "texts beside limits": ("ordinary.h5", add("more", (2,), TEXTS), "more is object, not numbers"),
    "texts in an index": ("features.h5", add("feature/more", (2,), TEXTS), "feature/more is object, not numbers"),
    "texts in a shard": (SHARD, add("more", (2,), TEXTS), "more is object, not numbers"),
    "weights elsewhere": ("sae.h5", resize("b_enc", (9,), **ELSEWHERE), "b_enc keeps its values in another file"),
    "activations elsewhere": (SHARD, resize("token", (3,), **ELSEWHERE), "token keeps its values in another file"),
    "moments elsewhere": (STEP, resize("arrays/a", (8,), **ELSEWHERE), "a keeps its values in another file"),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_sealed_files_that_make_no_sense(name: str, run: RunFolder) -> None:
    file, change, said = SENSELESS[name]
    forge(run.path / file, change)
    (found,) = (finding for finding in verify_run(run) if not finding.ok)
    assert found.path == run.path / file
    assert re.search(said, found.detail), found.detail


@pytest.mark.parametrize("name", ["sae.h5", "ordinary.h5", "features.h5", "kinds.h5", "index/common.h5", STEP, SHARD])
def test_a_sound_file_under_another_name(name: str, run: RunFolder) -> None:
    other = run.ordinary if name != "ordinary.h5" else run.sae
    shutil.copy(other, run.path / name)
    (found,) = (finding for finding in verify_run(run) if not finding.ok)
    assert found.path == run.path / name
    assert found.detail.startswith(f"it holds what a file of the kind {other.stem} does, under a name of ")


def test_a_kind_that_is_not_known(run: RunFolder) -> None:
    with create_sealed(run.checkpoints / "more.h5", "plan") as file:
        file["a"] = np.ones(3)
    (found,) = (finding for finding in verify_run(run) if not finding.ok)
    assert found.detail == "its bytes are what was sealed, but monosem knows no files of the kind plan"


def test_files_of_several_runs(run: RunFolder) -> None:
    """Each is sound by itself, and none belongs to this run."""
    save_limits(run.ordinary, np.ones((2, 7), np.float32))
    save_sae(run.sae, weights(RAW.d_sae + 1))
    segment_path(run.index, 0).unlink()
    share_F, kind_F = np.zeros(RAW.d_sae - 1, np.float32), np.zeros(RAW.d_sae - 1, np.int8)
    save_kinds(run.kinds, Kinds(share_F, share_F, share_F, kind_F), index_digest(run.features))
    found = {finding.path.name: finding.detail for finding in verify_run(run) if not finding.ok}
    assert found.keys() == {"ordinary.h5", "sae.h5", "kinds.h5", segment_path(run.index, 2).name}
    assert f"has {RAW.d_sae - 1} values along F" in found["kinds.h5"]
    assert "centre has 7 values along D, not" in found["ordinary.h5"]
    assert f"its d_sae is {RAW.d_sae + 1} where run.json says {RAW.d_sae}" in found["sae.h5"]
    assert "part 0 begins at token" in found[segment_path(run.index, 2).name]
    run.update(spec=replace(run.record().spec, d_sae=RAW.d_sae + 1))
    found = {finding.path.name: finding.detail for finding in verify_run(run) if not finding.ok}
    assert {"features.h5", "common.h5"} < found.keys()


@pytest.mark.parametrize("name", ["events.jsonl", "notes.jsonl", "explanations.jsonl", "ordinary.h5", "kinds.h5", STEP])
def test_links_out_of_the_run(name: str, run: RunFolder, tmp_path: Path) -> None:
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    (found,) = (finding for finding in verify_run(run) if not finding.ok)
    assert found.path == run.path / name
    assert "is a link out of its folder" in found.detail


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 5}', '{"schema_version": 99}', '{"schema_version": 1e999}'])
def test_run_json(run: RunFolder, text: str) -> None:
    run.run_json.write_text(text)
    assert [f.path for f in verify_run(run) if not f.ok] == [run.run_json]
    run.run_json.unlink()
    assert [f.path for f in verify_run(run) if not f.ok] == [run.run_json]


def change(name: str, at: int | tuple[int, int], value: float) -> Callable[[h5py.File], None]:
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
    """An entry of the forward order that another of its token follows."""
    return int(found["forward/indptr"][np.flatnonzero(np.diff(found["forward/indptr"]) > 1)[0]])


def _counted(found: dict[str, np.ndarray]) -> int:
    """A token that counts."""
    return int(np.flatnonzero(found["corpus/counted"])[0])


def _left_out(found: dict[str, np.ndarray]) -> int:
    """A token that does not count, before one that does and on which a feature fires."""
    fires = np.diff(found["forward/indptr"]) > 0
    return int(np.flatnonzero(~found["corpus/counted"][:-1] & fires[1:])[0])


Fault = Callable[[dict[str, np.ndarray]], Callable[[h5py.File], None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "lost entry": (lambda _: shorten("inverted/act", "inverted/token"), "values along E, not"),
    "another token": (lambda _: change("inverted/token", 5, 0), "differ in their tokens"),
    "token beyond the corpus": (
        lambda _: change("inverted/token", 5, 10**9),
        "inverted/token holds 1000000000, where the highest can be",
    ),
    "another feature": (lambda f: change("forward/feature", _row(f), 8), "differ in their features"),
    "feature beyond all": (lambda f: change("forward/feature", _row(f), 60_000), "forward/feature holds 60000"),
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
    "quantile": (lambda _: change("feature/quantiles", (1, 2), 0.25), "feature/quantiles does not follow"),
    "top token's sum": (lambda _: change("feature/top_sum", 1, 0.25), "feature/top_sum does not follow"),
    "a number that is none": (lambda _: change("feature/sum", 2, float("nan")), "feature/sum holds NaN"),
    "a column too short": (
        lambda _: shorten("feature/max"),
        r"has \d values along F, not \d",
    ),
    "tokens that count": (lambda f: change("corpus/counted", _counted(f), 0), "n_counted is"),
    "a token that counts": (lambda f: swap("corpus/counted", _left_out(f)), "fires on tokens that do not count"),
    "a context's length": (lambda _: change("corpus/contexts/length", 2, 20), "start does not follow"),
    "a context's start": (lambda _: change("corpus/contexts/start", 1, 0), "start does not follow"),
    "a context too few": (
        lambda _: shorten(*(f"corpus/contexts/{name}" for name in ("start", "length", "document"))),
        "corpus/contexts do not cover the corpus",
    ),
    "a context's document": (lambda _: change("corpus/contexts/document", 1, 77), "contexts/document does not follow"),
    "documents out of order": (lambda _: swap("corpus/documents/start", 1), "corpus/documents/start does not rise"),
    "forward pointers": (lambda _: change("forward/indptr", 2, 10**6), "forward/indptr does not rise"),
    "first pointer": (lambda _: change("inverted/indptr", 0, 1), "inverted/indptr does not rise"),
    "last pointer": (lambda _: change("inverted/indptr", -1, 0), "inverted/indptr does not rise"),
    "a pointer too few": (lambda _: shorten("forward/indptr"), "values along N\\+1, not"),
}


def near(at: tuple[int, int], value: float) -> Callable[[h5py.File], None]:
    return change("feature/neighbour_id", at, value)


def exchange(file: h5py.File) -> None:
    """Put a feature that is farther away into a list, with its true cosine."""
    rows = file["sae/W_dec"][()].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = rows @ rows[4]
    far = int(np.argmin(cosine))
    file["feature/neighbour_id"][4, -1] = far
    file["feature/neighbour_cosine"][4, -1] = cosine[far]


def twice(file: h5py.File) -> None:
    """List a neighbour again in place of the last."""
    for name in ("neighbour_id", "neighbour_cosine"):
        file[f"feature/{name}"][3, 2] = file[f"feature/{name}"][3, 1]


WEIGHT_FAULTS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "norm": (change("feature/decoder_norm", 5, 1.0), "feature/decoder_norm does not follow from sae/W_dec"),
    "weights": (change("sae/W_dec", (5, 1), 9.0), "feature/decoder_norm does not follow from sae/W_dec"),
    "cosine": (change("feature/neighbour_cosine", (2, 1), 0.125), "neighbour_cosine does not follow from sae/W_dec"),
    "neighbour": (near((2, 1), 2), "neighbour_cosine does not follow from sae/W_dec"),
    "neighbour beyond all": (near((2, 1), RAW.d_sae), "neighbour_id holds 9, where the highest can be 8"),
    "neighbour before all": (near((2, 1), -1), "neighbour_id holds -1, below 0"),
    "a nearer one left out": (exchange, "feature/neighbour_id leaves out features that are nearer"),
    "a neighbour twice": (twice, "lists a feature twice"),
    "a norm too few": (shorten("feature/decoder_norm"), "values along F, not"),
    "vocabulary": (change("vocab/offsets", 1, 10**6), "vocab/offsets does not rise from 0"),
    "vocabulary's end": (change("vocab/offsets", -1, 10**6), "vocab/offsets does not rise from 0"),
    "a neighbour too few": (shorten("feature/neighbour_id"), "values along F, not"),
}


@pytest.mark.parametrize("fault", WEIGHT_FAULTS)
@pytest.mark.parametrize("name", ["features.h5", "common.h5"])
@pytest.mark.parametrize("numbers", [1, 40, 1 << 22])
def test_columns_that_contradict_the_weights(
    fault: str, name: str, numbers: int, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weightcheck, "NUMBERS", numbers)
    path = run.features if name == "features.h5" else run.index / name
    make, said = WEIGHT_FAULTS[fault]
    assert verify_file(path).ok
    with h5py.File(path, "r+") as file:
        make(file)
    reseal(path)
    found = verify_file(path)
    assert not found.ok
    assert said in found.detail


def test_a_sealed_file_that_lacks_something(run: RunFolder) -> None:
    with h5py.File(run.features, "r+") as file:
        del file["feature/sum"]
    reseal(run.features)
    found = verify_file(run.features)
    assert not found.ok
    assert found.detail == f"{run.features} is damaged: feature/sum is missing"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A features.h5 of six features."""
    raw = random_raw(5, d_sae=6, n_contexts=3)
    folder = tmp_path_factory.mktemp("small")
    return build_store(folder, raw, 3, merged=True, columns=true_columns(6)).features


@pytest.fixture
def changeable(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], Finding]]:
    """The verdict on a copy with some bits of one byte changed. What is readable is not asked for: that takes long."""
    monkeypatch.setattr(verify, "survey", lambda path: {"a": True})
    path = Path(shutil.copy(small, tmp_path / "damaged.h5"))
    with path.open("r+b", buffering=0) as stream:

        def verdict(at: int, bits: int) -> Finding:
            byte = os.pread(stream.fileno(), 1, at)
            os.pwrite(stream.fileno(), bytes([byte[0] ^ bits]), at)
            found = verify_file(path)
            os.pwrite(stream.fileno(), byte, at)
            return found

        yield verdict
    assert verify_file(path).ok


def test_every_bit_of_the_head_counts(small: Path, changeable: Callable[[int, int], Finding]) -> None:
    content = small.read_bytes()
    for at in range(SEAL_BYTES):
        for bit in range(8) if content[at] else (0, 7):
            assert not changeable(at, 1 << bit).ok, (at, bit)


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_byte_anywhere_is_found(every: int, small: Path, changeable: Callable[[int, int], Finding]) -> None:
    """In HDF5's own structures, in data and in what lies unused between them."""
    for at in range(SEAL_BYTES, small.stat().st_size, every):
        found = changeable(at, 0xFF if at % 2 else 1 << at % 7)
        assert not found.ok, at
        assert found.detail.startswith("damaged")


def test_damage_that_hdf5_does_not_survive(run: RunFolder) -> None:
    """Every byte of the first structures changed: HDF5 raises, crashes or goes on; the verdict is the same."""
    content = run.features.read_bytes()
    for first in range(SEAL_BYTES, SEAL_BYTES + 4096, 512):
        run.features.write_bytes(
            content[:first] + bytes(b ^ 0xA5 for b in content[first : first + 64]) + content[first + 64 :]
        )
        found = verify_file(run.features)
        assert not found.ok
        assert found.detail.startswith("damaged")


@pytest.mark.parametrize("stuck", [False, True])
def test_a_look_that_ends_badly_tells_what_it_found_before(
    stuck: bool, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = b'["a", true]\n["b", fal'

    def crash(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        if stuck:
            raise subprocess.TimeoutExpired(command, 1.0, told)
        return subprocess.CompletedProcess(command, -11, told)

    monkeypatch.setattr(subprocess, "run", crash)
    assert survey(run.features) == {"a": True}


def test_a_folder_of_the_same_name_is_not_run(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "__init__.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert survey(run.sae) == {"W_enc": True, "b_enc": True, "W_dec": True, "b_dec": True}


def test_what_is_readable_is_named(run: RunFolder) -> None:
    with h5py.File(run.features, "r") as file:
        at = file["inverted/act"].id.get_offset()
        every = datasets_in(file)
    flip(run.features, at)
    found = verify_file(run.features)
    assert found.damaged == ("inverted/act",)
    assert sorted((*found.damaged, *found.readable)) == sorted(every)


def datasets_in(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def test_a_truncated_file_is_a_sentence_everywhere(small: Path, tmp_path: Path) -> None:
    content, path = small.read_bytes(), tmp_path / "cut.h5"
    for size in sorted({0, 1, 100, 511, 512, 513, 2048, *range(3000, len(content), 977), len(content) - 1}):
        path.write_bytes(content[:size])
        said = "is not a monosem file" if size < SEAL_BYTES else f"is truncated: {size} of {len(content)} bytes"
        found = verify_file(path)
        assert not found.ok
        assert said in found.detail
        with pytest.raises(MonosemError, match=f"cut.h5 {said}") as error:
            FeatureStore.open(path)
        assert "\n" not in error.value.what


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["features", pytest.param("segment", marks=pytest.mark.slow)])
def test_an_index_that_contradicts_itself(fault: str, kind: str, run: RunFolder) -> None:
    path = run.features if kind == "features" else segment_path(run.index, 1)
    make, said = FAULTS[fault]
    with h5py.File(path, "r+") as file:
        make(datasets_of(file))(file)
    reseal(path)
    verdicts = {_verdict(path, kind, block) for block in BLOCKS}
    assert len(verdicts) == 1
    assert re.search(said, verdicts.pop())
    found = verify_file(path)
    assert not found.ok
    assert re.search(said, found.detail)


def _verdict(path: Path, kind: str, block: int) -> str:
    try:
        with IndexFile.open(path, kind) as file:
            file.check_values(block)
            return index_problem(file, block)
    except (MonosemError, ValueError) as error:
        return str(error)


def datasets_of(file: h5py.File) -> dict[str, np.ndarray]:
    names = ("inverted/indptr", "inverted/act", "inverted/token", "forward/indptr", "corpus/counted")
    return {name: file[name][()] for name in names}


def test_the_same_feature_twice_on_a_token(tmp_path: Path) -> None:
    builder = SegmentBuilder(3)
    rows_of, _ = as_rows([[RawToken(1, 0, True, {}), RawToken(1, 0, True, {})]])
    builder.add(rows_of, SparseRows(np.array([0, 2, 2]), np.array([1, 1]), np.array([2.0, 1.0], np.float32)))
    builder.seal(tmp_path / "seg.h5", 0, 0)
    assert verify_file(tmp_path / "seg.h5").detail == "forward/feature does not rise inside a token"


def test_a_sound_index_in_blocks_of_any_size(sound: RunFolder) -> None:
    for path, kind in ((sound.features, "features"), (segment_path(sound.index, 0), "segment")):
        assert [_verdict(path, kind, block) for block in BLOCKS] == [""] * len(BLOCKS)


@settings(max_examples=25)
@given(data=st.data())
def test_any_single_change_of_an_entry_is_found(sound: RunFolder, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["forward/feature", "forward/act", "inverted/token", "inverted/act"]))
    path = Path(shutil.copy(sound.features, sound.path.parent / "changed.h5"))
    with h5py.File(path, "r+", locking=False) as file:
        values = file[name]
        at = data.draw(st.integers(0, len(values) - 1))
        others = [value for value in values.dtype.type([0, 1, 2, 3.75, 7, 8]) if value != values[at]]
        values[at] = data.draw(st.sampled_from(others))
    reseal(path)
    assert _verdict(path, "features", 7) != ""
