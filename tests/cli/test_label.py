"""`monosem label`: what is said is in notes.jsonl, what is in notes.jsonl is shown, and files go out and in exactly."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.main import run
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes, Notes
from tests.cli.test_output import HARMFUL, HOSTILE
from tests.sample_run import Sample


@pytest.fixture
def place(sample: Sample, tmp_path: Path) -> Path:
    """A run to write to."""
    return Path(shutil.copytree(sample.run.path, tmp_path / "stories", ignore=shutil.ignore_patterns("notes.jsonl")))


@pytest.fixture
def said(place: Path) -> Notes:
    return Notes(place / "notes.jsonl")


def label(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert run(["label", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(label(capsys, *arguments, "--json")[0])


def test_each_kind(place: Path, said: Notes, capsys: pytest.CaptureFixture[str]) -> None:
    label(capsys, place, 3, "water, boats", "--bookmark", "--tag", "place", "--tag", "#to check", "--comment", "why?")
    assert said.load() == {3: FeatureNotes("water, boats", True, "why?", ["place", "to-check"])}
    label(capsys, place, 3, "--untag", "place", "--no-bookmark")
    assert said.load() == {3: FeatureNotes("water, boats", False, "why?", ["to-check"])}
    label(capsys, place, 3, "", "--comment", "")
    assert said.load() == {3: FeatureNotes(tags=["to-check"])}
    label(capsys, place, "--", 4, "-x")
    assert said.load()[4].label == "-x"


def test_listing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = label(capsys, place)
    assert out == ""
    assert "no notes" in err
    label(capsys, place, 12, "speech")
    label(capsys, place, 3, "water", "--bookmark", "--tag", "place", "--comment", "two\nlines")
    label(capsys, place, 7, "gone")
    label(capsys, place, 7, "")
    out, err = label(capsys, place)
    assert [line.split() for line in out.splitlines()] == [
        ["id", "★", "label", "tags", "comment"],
        ["3", "★", "water", "#place", "two", "lines"],
        ["12", "speech"],
    ]
    assert err == ""
    water = {"feature": 3, "label": "water", "bookmark": True, "comment": "two\nlines", "tags": ["place"]}
    assert as_json(capsys, place)[0] == water
    assert [entry["feature"] for entry in as_json(capsys, place)] == [3, 12]
    assert as_json(capsys, place, 3) == water
    assert label(capsys, place, 7) == ("", "nothing is said about feature 7\n")


def test_hostile_text_is_stored_as_it_is_and_shown_harmless(
    place: Path, said: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = label(capsys, place, 3, HOSTILE, "--comment", HOSTILE, "--tag", HOSTILE)
    out += "".join(label(capsys, place))
    assert not HARMFUL.search(out)
    assert (said.load()[3].label, said.load()[3].comment) == (HOSTILE, HOSTILE)
    assert as_json(capsys, place, 3)["label"] == HOSTILE


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_out_and_in(place: Path, said: Notes, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label(capsys, place, 3, "=HYPERLINK(1)", "--tag", "place", "--bookmark")
    label(capsys, place, 4, "two\r\nlines, “é”", "--comment", HOSTILE)
    before, path = said.load(), tmp_path / f"notes{suffix}"
    assert "notes on 2 features exported" in label(capsys, place, "--export", path)[1]
    said.path.unlink()
    assert "2 of them changed here" in label(capsys, place, "--import", path)[1]
    assert said.load() == before
    label(capsys, place, 3, "mine")
    label(capsys, place, 4, "--comment", "mine")
    _, err = label(capsys, place, "--import", path)
    assert "0 of them changed" in err
    assert "1 label that the file has otherwise stayed (3)" in err
    assert "1 comment that the file has otherwise stayed (4)" in err
    assert said.load()[3].label == "mine"
    kept = [{"feature": 3, "name": "label"}, {"feature": 4, "name": "comment"}]
    assert as_json(capsys, place, "--import", path) == {"read": 2, "changed": [], "kept": kept}
    label(capsys, place, "--import", path, "--overwrite")
    assert said.load() == before


def test_a_file_for_another_run_is_refused_whole(
    place: Path, said: Notes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("feature,label\n1,fits\n48,does not\n")
    _, err = label(capsys, place, "--import", path, code=2)
    assert "notes.csv, line 3: stories has no feature 48" in err.replace("\n", "")
    assert said.load() == {}


def test_damaged_lines_are_told(place: Path, said: Notes, capsys: pytest.CaptureFixture[str]) -> None:
    label(capsys, place, 1, "x")
    with said.path.open("ab") as stream:
        stream.write(b'gar\x1bbage\n{"torn')
    label(capsys, place, 2, "y")
    out, err = label(capsys, place)
    assert "(line 2, 3)" in err
    assert len(out.splitlines()) == 3
    assert b'gar\x1bbage\n{"torn\n' in said.path.read_bytes()


def test_a_store_copied_home_has_notes_of_its_own(
    place: Path, said: Notes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label(capsys, place / "features.h5", 3, "in the run")
    assert said.load()[3].label == "in the run"
    home = Path(shutil.copy(place / "features.h5", tmp_path / "home.h5"))
    assert as_json(capsys, home) == []
    label(capsys, home, 3, "at home")
    assert Notes(tmp_path / "home.notes.jsonl").load() == {3: FeatureNotes("at home")}
    assert run(["show", str(home), "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "at home"
    assert "no feature 48" in label(capsys, home, 48, "x", code=2)[1]
    folder = tmp_path / "alone"
    folder.mkdir()
    shutil.copy(place / "features.h5", folder)
    shutil.copy(place / "notes.jsonl", folder)  # the two files a person would copy
    assert as_json(capsys, folder / "features.h5")[0]["label"] == "in the run"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["48", "x"], "no feature 48"),
        (["--tag", "x"], "which feature?"),
        (["--comment", ""], "which feature?"),
        (["1", "--tag", " # "], "not a tag"),
        (["1", "--export", "a.csv"], "all notes of a run"),
        (["--export", "a.txt"], "neither .csv nor .json"),
        (["--export", "a.csv", "--import", "a.csv"], "Import first"),
        (["--import", "none.csv"], "none.csv: No such file"),
        (["1", "x", "--overwrite"], "--overwrite goes with --import"),
        (["1", "x" * 65_537], "65537 characters"),
    ],
)
def test_wrong_use(place: Path, said: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in place.iterdir())
    out, err = label(capsys, place, *arguments, code=2)
    assert out == ""
    assert said in err
    assert len(err.splitlines()) <= 2
    assert not [path for path in place.iterdir() if path.name not in before and path.stat().st_size]


def test_a_folder_that_may_not_be_written_to(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("store.notes.line_file.open_regular", denied)
    _, err = label(capsys, place, 3, "x", code=2)
    assert err.splitlines()[0].endswith("notes.jsonl: Read-only file system")
    assert len(err.splitlines()) == 2


def test_an_export_overwrites_exports_and_else_only_when_asked(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label(capsys, place, 3, "water")
    path = tmp_path / "it.csv"
    label(capsys, place, "--export", path)
    label(capsys, place, "--export", path)
    whole = path.read_bytes()
    path.write_text("keep")
    assert "--overwrite replaces it" in label(capsys, place, "--export", path, code=2)[1]
    assert path.read_text() == "keep"
    label(capsys, place, "--export", path, "--overwrite")
    assert path.read_bytes() == whole
    missing = tmp_path / "nope" / "it.csv"
    assert f"there is no folder {missing.parent}" in label(capsys, place, "--export", missing, code=2)[1]
    assert not missing.parent.exists()


def test_explanations_of_neuronpedia_stand_beside_labels(
    place: Path, said: Notes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "batch-0.jsonl.gz"
    label(capsys, place, 3, "mine")
    row = {"modelId": "m", "layer": "2-res", "typeName": "np_max-act", "explanationModelName": "gpt"}
    rows = [row | {"index": str(i), "description": f"boats {i}", "embedding": [0.5]} for i in (3, 12)]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    _, err = label(capsys, place, "--import", path)
    assert "2 explanations by gpt read, 2 of them new here" in err.replace("\n", " ")
    present = Explanations.load(place)
    assert [one.text for one in present.of(3)] == ["boats 3"]
    assert said.load()[3].label == "mine"
    assert as_json(capsys, place, "--import", path) == {"read": 2, "changed": [], "authors": ["gpt"]}
    before = present.path.read_bytes()
    path.write_bytes(gzip.compress(json.dumps(row | {"index": 48, "description": "x"}).encode()))
    _, err = label(capsys, place, "--import", path, code=2)
    assert "has no feature 48" in err
    assert present.path.read_bytes() == before
