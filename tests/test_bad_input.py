"""Wrong use, and failures under way: one or two lines, exit code 2, nothing half-written.

Each case is a row of CASES: what is prepared, the command line, and what the message must say.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from monosem_tui.cli import output
from monosem_tui.cli.main import run as monosem
from store.files.atomic import write_json
from store.files.sealed_hdf5 import SEAL_BYTES
from tests.patience import PATIENCE
from tests.sample_run import build_sample

SMALL = ("--tokens", "2k", "--batch", "64", "--d-sae", "32", "--k", "4", "--index-tokens", "1k", "--device", "cpu")


@dataclass(frozen=True)
class Place:
    """Folders of a case."""

    folder: Path
    model: Path
    """A run with a tiny language model of 2 layers and width 16."""
    text: Path
    """A corpus without faults."""
    run: Path
    """A good run."""

    @property
    def out(self) -> Path:
        """The folder that the command writes to."""
        return self.folder / "runs" / "out"


Arguments = Callable[[Place], list[str]]


def train(*flags: str, model: str = "", data: str = "") -> Arguments:
    """A small training with one thing wrong; in flags, {folder} is the case's folder."""

    def arguments(place: Place) -> list[str]:
        filled = [flag.format(folder=place.folder) for flag in flags]
        text = data.format(folder=place.folder) or str(place.text)
        named = model.format(folder=place.folder) or str(place.model)
        return ["train", "--model", named, "--data", text, "--out", str(place.out), *SMALL, *filled]

    return arguments


def lm(data: str, *flags: str) -> Arguments:
    """A small language model to be trained."""
    return lambda place: ["lm", "--data", data.format(folder=place.folder), "--out", str(place.out), *flags]


def extract(*flags: str) -> Arguments:
    """A small extraction."""
    return lambda place: [
        *("extract", "--model", str(place.model), "--data", str(place.text), "--out", str(place.out)),
        *("--tokens", "1k", *flags),
    ]


def on(command: str, *more: str) -> Arguments:
    """A reading command on the file or run that was prepared at {folder}/it."""
    return lambda place: [command, str(place.folder / "it"), *more]


def nothing(place: Place) -> None:
    """No preparation is needed."""


def write(name: str, content: bytes) -> Callable[[Place], None]:
    """A file in the case's folder."""
    return lambda place: _written(place.folder / name, content)


def _written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def empty_model_folder(place: Place) -> None:
    """A folder that is not a model."""
    (place.folder / "model").mkdir()


def pickled_model(place: Place) -> None:
    """A model with pickled weights only."""
    shutil.copytree(place.model / "model", place.folder / "model")
    (place.folder / "model" / "model.safetensors").rename(place.folder / "model" / "pytorch_model.bin")


def finished_run(place: Place) -> None:
    """A run that was trained already."""
    assert monosem(train("--no-index")(place)) == 0


def sample(place: Place) -> None:
    """A good run at {folder}/it."""
    shutil.copytree(place.run, place.folder / "it")


def lm_run(place: Place) -> None:
    """A run at {folder}/it that holds a language model and nothing else."""
    shutil.copytree(place.model, place.folder / "it")


def newer_store(place: Place) -> None:
    """A store of a schema from the future."""
    sample(place)
    path = place.folder / "it" / "features.h5"
    content = path.read_bytes()
    head = content[:SEAL_BYTES].replace(b"schema 2 ", b"schema 9 ")
    path.write_bytes(head + content[SEAL_BYTES:])


def truncated_store(place: Place) -> None:
    """A store of which the copy broke off."""
    sample(place)
    path = place.folder / "it" / "features.h5"
    path.write_bytes(path.read_bytes()[:-1000])


def no_hdf5(place: Place) -> None:
    """Something else by the name of a store."""
    sample(place)
    (place.folder / "it" / "features.h5").write_bytes(b"PK\x03\x04 not at all" * 100)


def newer_run(place: Place) -> None:
    """A run.json of a schema from the future."""
    sample(place)
    path = place.folder / "it" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 9}))


def odd_evaluation(place: Place) -> None:
    """A trained run whose run.json has an evaluation without figures."""
    finished_run(place)
    path = place.out / "run.json"
    write_json(path, json.loads(path.read_text()) | {"evaluation": {"l0": []}})


def damaged_sae(place: Place) -> None:
    """A trained run whose weights were cut off."""
    finished_run(place)
    place.out.rename(place.folder / "it")
    path = place.folder / "it" / "sae.h5"
    path.write_bytes(path.read_bytes()[:-10])


def array(name: str, values: np.ndarray) -> Callable[[Place], None]:
    """An .npy file in the case's folder."""
    return lambda place: np.save(place.folder / name, values, allow_pickle=True)


def on_array(name: str, *flags: str) -> Arguments:
    """A small training on an array in the case's folder."""
    small = ("--tokens", "2k", "--batch", "64", "--d-sae", "32", "--k", "4", "--device", "cpu")
    return lambda place: [
        *("train", "--activations", str(place.folder / name), "--out", str(place.out), *small, *flags)
    ]


NPY = b"\x93NUMPY\x01\x00d\x00"
"""Head of an .npy file with a header of 100 bytes."""
ODD_SHAPE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 16)}"
ROWS = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)


def rows_with_nan(place: Place) -> None:
    """One value of row 123 is missing."""
    rows = ROWS.copy()
    rows[123, 5] = np.nan
    np.save(place.folder / "a.npy", rows)


def truncated_array(place: Place) -> None:
    """An .npy file of which the copy broke off."""
    np.save(place.folder / "a.npy", ROWS)
    path = place.folder / "a.npy"
    path.write_bytes(path.read_bytes()[:-100])


def two_datasets(place: Place) -> None:
    """An HDF5 file in which two datasets could be meant."""
    with h5py.File(place.folder / "a.h5", "w") as file:
        file["early"], file["late"], file["step"] = ROWS, ROWS, np.arange(400)


def run_on_array(place: Place) -> None:
    """A run at {folder}/it that was trained on an array, and another array of another width."""
    np.save(place.folder / "a.npy", ROWS)
    assert monosem(on_array("a.npy")(place)) == 0
    place.out.rename(place.folder / "it")
    np.save(place.folder / "b.npy", ROWS[:, :15])


def eval_on(name: str) -> Arguments:
    """The run at {folder}/it measured on an array."""
    return lambda place: ["eval", str(place.folder / "it"), "--activations", str(place.folder / name)]


def endless(name: str, device: str = "") -> Callable[[Place], None]:
    """A fifo that nobody writes to, or a link to a device that never ends."""

    def prepare(place: Place) -> None:
        sample(place)
        if device:
            (place.folder / name).symlink_to(device)
        else:
            os.mkfifo(place.folder / name)

    return prepare


def negative_array(place: Place) -> None:
    """An .npy file that claims fewer rows than none."""
    array("a.npy", ROWS)(place)
    path = place.folder / "a.npy"
    path.write_bytes(path.read_bytes().replace(b"(400, 16)", b"(-40, 16)"))


def nested_config(value: str) -> tuple[Callable[[Place], None], Arguments, str]:
    """A file of flags with a value that Python's reader gives up on."""
    return write("a.toml", f"tokens = {value}".encode()), train("--config", "{folder}/a.toml"), "a.toml"


IRREGULAR = "is not a"
ENDLESS: dict[str, tuple[str, Arguments]] = {
    **{name: (name, train(data=f"{{folder}}/{name}")) for name in ("x.txt", "x.jsonl", "x.jsonl.zst", "x.parquet")},
    **{name: (name, on_array(name)) for name in ("x.npy", "x.h5", "x.safetensors")},
    "config": ("x.toml", train("--config", "{folder}/x.toml")),
    "recipe": ("x.json", lambda place: on("generate", "--recipe", str(place.folder / "x.json"))(place)),
    "labels": ("x.tsv", lambda place: on("find", "--labels", str(place.folder / "x.tsv"))(place)),
    "imported notes": ("x.csv", lambda place: on("label", "--import", str(place.folder / "x.csv"))(place)),
}
NUMBERS: dict[str, Arguments] = {
    "tokens of 400 digits": train("--tokens", "9" * 400),
    "seed of 65 bits": train("--seed", str(2**64)),
    "text before of 64 bits": on("show", "3", "--before", str(2**63)),
    "text after of 64 bits": on("show", "3", "--after", str(2**63)),
    "width of 67 bits": on("show", "3", "--width", "9" * 20),
    "columns without end": on("show", "3", "--width", "1000000"),
    "top-p that is no number": on("generate", "--prompt", "a", "--top-p", "nan"),
    "rate that is infinite": train("--lr", "inf"),
}
LATIN = "caf\udce9"
"""Letters in latin-1, as the command line gives them."""
FOREIGN: dict[str, Arguments] = {
    "filter": on("show", "--filter", f"token:{LATIN}"),
    "pattern": on("find", LATIN),
    "prompt": on("generate", "--prompt", LATIN),
    "label": on("label", "3", LATIN),
    "tag": on("label", "3", "--tag", LATIN),
    "count": train("--tokens", LATIN),
}
LONG = "x" * 5_000

CASES: dict[str, tuple[Callable[[Place], None], Arguments, str]] = {
    "missing corpus": (nothing, train(data="{folder}/none.txt"), "none.txt"),
    "glob without a match": (nothing, train(data="{folder}/*.jsonl"), "*.jsonl"),
    "empty corpus": (write("a.txt", b" \n\n "), train(data="{folder}/a.txt"), "a.txt"),
    "non-UTF-8": (write("a.txt", b"fine\n\nna\xefve"), train(data="{folder}/a.txt"), "UTF-8"),
    "jsonl without the field": (write("a.jsonl", b'{"body": "x"}\n'), train(data="{folder}/a.jsonl"), "body"),
    "broken jsonl": (write("a.jsonl", b'{"text": "x"}\n{"te'), train(data="{folder}/a.jsonl"), "a.jsonl"),
    "unknown file type": (write("a.pdf", b"%PDF"), train(data="{folder}/a.pdf"), "a.pdf"),
    "unknown model": (nothing, train(model="nobody/nothing"), "nobody/nothing"),
    "folder without a model": (empty_model_folder, train(model="{folder}/model"), "model"),
    "pickled weights": (pickled_model, train(model="{folder}/model"), "safetensors"),
    "layer out of range": (nothing, train("--layer", "7"), "layer"),
    "unknown site": (nothing, train("--site", "resid_past"), "resid_past"),
    "unknown module path": (nothing, train("--site", "transformer.h.0.mpl"), "transformer.h.0.mpl"),
    "k above d_sae": (nothing, train("--k", "33"), "k must lie"),
    "unknown architecture": (nothing, train("--arch", "spline"), "spline"),
    "context beyond the model": (nothing, train("--context", "64"), "64"),
    "batch above tokens": (nothing, train("--batch", "4k"), "--batch"),
    "device that is not there": (nothing, train("--device", "cuda:7"), "cuda"),
    "no number": (nothing, train("--tokens", "many"), "many"),
    "run that holds a model only": (
        lm_run,
        lambda place: [*train(data="{folder}/none.txt")(place), "--out", str(place.folder / "it")],
        "none.txt",
    ),
    "lm without a corpus": (nothing, lm("{folder}/none.txt"), "none.txt"),
    "lm on an empty corpus": (write("a.txt", b"\n"), lm("{folder}/a.txt"), "a.txt"),
    "lm with odd heads": (nothing, lm("stdlib", "--heads", "3"), "3 heads"),
    "lm twice": (lm_run, lambda place: ["lm", "--out", str(place.folder / "it")], "--resume"),
    "extract at an unknown site": (nothing, extract("--site", "resid_past"), "resid_past"),
    "extract from broken jsonl": (
        write("a.jsonl", b'{"te'),
        lambda place: [*extract()(place), "--data", str(place.folder / "a.jsonl")],
        "a.jsonl",
    ),
    "nothing to resume": (nothing, lambda place: ["train", "--resume", "--out", str(place.out)], "nothing to resume"),
    "existing run": (finished_run, train(), "--resume"),
    "resumed otherwise": (finished_run, train("--resume", "--k", "5"), "--k"),
    "newer store": (newer_store, on("show", "0"), "schema version 9"),
    "newer store in the app": (newer_store, on("tui"), ""),
    "newer run": (newer_run, on("show"), "schema version 9"),
    "truncated store": (truncated_store, on("show", "0"), "truncated"),
    "no HDF5": (no_hdf5, on("show", "0"), "not a monosem file"),
    "odd evaluation": (odd_evaluation, lambda place: ["train", "--resume", "--out", str(place.out)], "makes no sense"),
    "damaged weights": (damaged_sae, on("eval"), "truncated"),
    "no such feature": (sample, on("show", "480"), "480"),
    "no such run": (nothing, on("show", "0"), "it"),
    "read-only folder": (nothing, lambda place: [*train()(place), "--out", "/sys/monosem/run"], "/sys/monosem"),
    "array that is not there": (nothing, on_array("none.npy"), "none.npy"),
    "array of one dimension": (array("a.npy", ROWS[0]), on_array("a.npy"), "[16]"),
    "array of integers": (array("a.npy", np.ones((40, 4), int)), on_array("a.npy"), "int64"),
    "pickled array": (array("a.npy", np.array([[{}]])), on_array("a.npy"), "a.npy"),
    "archive of arrays": (write("a.npy", b"PK\x03\x04" + bytes(100)), on_array("a.npy"), "a.npy"),
    "empty array": (array("a.npy", ROWS[:0]), on_array("a.npy"), "empty"),
    "empty file of an array": (write("a.npy", b""), on_array("a.npy"), "a.npy"),
    "array with NaN": (rows_with_nan, on_array("a.npy"), "row 123"),
    "array beyond float32": (array("a.npy", np.full((40, 4), 1e300)), on_array("a.npy"), "row 0"),
    "array with a header that never ends": (write("a.npy", NPY + b"[" * 100), on_array("a.npy"), "a.npy"),
    "array of an odd shape": (write("a.npy", NPY + ODD_SHAPE.ljust(99) + b"\n"), on_array("a.npy"), "a.npy"),
    "truncated array": (truncated_array, on_array("a.npy"), "a.npy"),
    "no safetensors": (write("a.safetensors", b"\x08" + bytes(40)), on_array("a.safetensors"), "a.safetensors"),
    "two datasets": (two_datasets, on_array("a.h5"), "early [400, 16], late [400, 16]"),
    "missing dataset": (two_datasets, on_array("a.h5:middle"), "middle"),
    "dataset of one dimension": (two_datasets, on_array("a.h5:step"), "[400]"),
    "array and a model": (array("a.npy", ROWS), on_array("a.npy", "--model", "gpt2"), "--model"),
    "second index of a run on an array": (run_on_array, on("index"), "has an index already"),
    "text to index a run on an array over": (run_on_array, on("index", "--overwrite", "--data", "stdlib"), "--data"),
    "inspection of a run on an array": (run_on_array, on("inspect", "--text", "a"), "no language model"),
    "text for a run on an array": (run_on_array, on("eval", "--data", "stdlib"), "--data"),
    "array of another width": (run_on_array, eval_on("b.npy"), "15"),
    "folder instead of an array": (run_on_array, eval_on("it"), "not an array"),
    **{f"fifo as {name}": (endless(path), argued, IRREGULAR) for name, (path, argued) in ENDLESS.items()},
    **{f"endless {name}": (endless(path, "/dev/zero"), argued, IRREGULAR) for name, (path, argued) in ENDLESS.items()},
    **{name: (sample, argued, "") for name, argued in NUMBERS.items()},
    **{f"{name} that is not UTF-8": (sample, argued, "") for name, argued in FOREIGN.items()},
    "array with fewer rows than none": (negative_array, on_array("a.npy"), "a.npy"),
    "config of lists in lists": nested_config("[" * 5_000),
    "config with a number of 5 000 digits": nested_config("1" * 5_000),
    "config with a long hexadecimal number": nested_config("0x" + "f" * 5_000),
    "recipe with half a character": (
        lambda place: (sample(place), write("r.json", b'{"recipe": 1, "prompt": "\\ud800"}')(place))[0],
        lambda place: on("generate", "--recipe", str(place.folder / "r.json"))(place),
        "prompt",
    ),
    "name that no file can have": (nothing, lambda place: ["show", LONG], ""),
    "output that no file can be": (sample, on("show", "3", "--output", LONG), ""),
    "import of a folder without end": (nothing, lambda place: ["import", "/proc/self"], "/proc"),
    "a file where the run should be": (
        write("file", b""),
        lambda place: [*train()(place), "--out", str(place.folder / "file" / "run")],
        "file",
    ),
}


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sample(tmp_path_factory.mktemp("good") / "it").run.path


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path, good_run: Path) -> Place:
    """A folder, a model, a corpus and a run."""
    (tmp_path / "runs").mkdir()
    return Place(tmp_path, tiny_lm, tiny_text, good_run)


SLOW = pytest.mark.slow
"""Cases like those that `make test` tries; tests/engine tries more moments of work, without a process each."""
LIKE_OTHERS = {f"{kind} {name}" for kind in ("fifo as", "endless") for name in ENDLESS} - {
    *("fifo as x.txt", "fifo as x.npy", "fifo as config", "endless x.jsonl", "endless labels"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW) if name in LIKE_OTHERS else name for name in CASES])
def test_bad_input(name: str, place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    prepare, arguments, said = CASES[name]
    prepare(place)
    before = _contents(place.folder)
    capfd.readouterr()
    code = monosem(arguments(place))
    captured = capfd.readouterr()
    lines = captured.err.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("monosem: "))
    assert code == 2
    assert captured.out == ""
    assert len(lines[first:]) <= 2, captured.err
    assert said in "\n".join(lines[first:])
    assert "Traceback" not in captured.err
    assert _contents(place.folder) == before


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder except the lock of a run."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


ENTRY = "from monosem_tui.entry import main; main()"
INTERRUPTED = """
import os, signal
from monosem_tui.cli import output
told = output.narrate
def narrate(text):
    told(text)
    if {moment!r} in text:
        os.kill(os.getpid(), signal.SIGINT)
output.narrate = narrate
"""
"""Ctrl-C right after a line of progress."""


def _process(code: str, arguments: list[str], limit: int = 0) -> subprocess.CompletedProcess[str]:
    """A process of its own, its files limited to `limit` bytes as on a disk that is full."""

    def full_disk() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=full_disk if limit else None,
    )


def _complaint(stderr: str) -> list[str]:
    lines = stderr.splitlines()
    assert "Traceback" not in stderr
    return lines[next(i for i, line in enumerate(lines) if line.startswith("monosem: ")) :]


@pytest.mark.parametrize("limit", [pytest.param(300, marks=SLOW), 40_000, pytest.param(100_000, marks=SLOW)])
def test_no_space_left(limit: int, place: Place) -> None:
    found = _process(ENTRY, train("--d-sae", "512")(place), limit)
    complaint = _complaint(found.stderr)
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    assert len(complaint) == 2
    assert "would exceed the size allowed for a file" in complaint[0]
    assert "--resume" in complaint[1]
    assert not list(place.folder.rglob("*.tmp-*"))
    assert not (place.out / "features.h5").exists()
    assert monosem(train("--d-sae", "512", "--resume")(place)) == 0
    assert (place.out / "features.h5").is_file()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("documents separated", marks=SLOW),
        pytest.param("training: 0 of", marks=SLOW),
        pytest.param("reconstruction: 0 of", marks=SLOW),
        pytest.param("indexing: 0 of", marks=SLOW),
        pytest.param("merging", marks=SLOW),
    ],
)
def test_interrupted_then_resumed(moment: str, place: Place) -> None:
    found = _process(INTERRUPTED.format(moment=moment) + ENTRY, train()(place))
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    assert _complaint(found.stderr) == ["monosem: stopped; run the same command with --resume to go on"]
    assert monosem(train("--resume")(place)) == 0
    assert (place.out / "features.h5").is_file()
    assert not list(place.out.rglob("*.tmp-*"))


def test_interrupted_while_merging_then_resumed(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a process of its own, which takes longer to start than the training."""
    told = output.narrate

    def narrate(text: str) -> None:
        told(text)
        if "merging" in text:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(output, "narrate", narrate)
        assert monosem(train()(place)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert _complaint(said.err) == ["monosem: stopped; run the same command with --resume to go on"]
    assert monosem(train("--resume")(place)) == 0
    assert (place.out / "features.h5").is_file()
    assert not list(place.out.rglob("*.tmp-*"))
