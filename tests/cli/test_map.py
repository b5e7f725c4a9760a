"""`monosem map`: what is kept, printed and drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from monosem_tui.cli.main import run
from store.map.map_file import load_map
from store.notes.note_file import Notes, notes_path
from store.verify.run_check import verify_run
from tests.sample_run import Sample, build_sample


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return build_sample(tmp_path / "runs" / "sample", n_features=60)


def test_a_map_is_kept_printed_and_verified(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    before = sample.run.features.read_bytes()
    assert run(["map", str(sample.run.path)]) == 0
    printed = capsys.readouterr()
    assert "59 of 60 features, trustworthiness 0." in printed.out  # the last never fires
    assert "laid out in" in printed.err and "maps/graph.h5" in printed.err
    found = load_map(sample.run.path / "maps" / "graph.h5")
    assert found.feature_N.tolist() == list(range(59))
    assert (found.summary.neighbours, found.summary.min_dist, found.summary.epochs) == (15, 0.05, 500)
    assert sample.run.features.read_bytes() == before
    assert all(one.ok for one in verify_run(sample.run))


def test_a_map_is_the_same_to_the_bit_in_another_process_and_another_name(sample: Sample, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run(["map", str(sample.run.path), "--name", name, "--epochs", "50"]) == 0
    one, two = ((sample.run.path / "maps" / f"{name}.h5").read_bytes() for name in ("one", "two"))
    assert one == two


def test_json_has_the_promised_keys(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["map", str(sample.run.path), "--json", "--epochs", "20", "--layout", "pca"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"name", "file", "layout", "features", "placed", "trustworthiness", "trusted_on"} <= found.keys()
    assert found["name"] == "pca" and len(found["places"]) == found["placed"] == 59
    assert found["places"][3].keys() == {"feature", "x", "y", "clusters"}
    assert found["clusters"][0].keys() == {"level", "cluster", "features", "words", "x", "y"}
    assert sum(one["features"] for one in found["clusters"] if one["level"] == 0) == 59


def test_the_places_of_the_same_settings_stay_and_names_are_renewed(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["map", str(sample.run.path), "--epochs", "20"]) == 0
    kept = sample.run.path / "maps" / "graph.h5"
    first = load_map(kept)
    members = first.members(0, 0)
    notes = Notes(notes_path(sample.run.path))
    for feature in members.tolist():
        notes.set(feature, "tag", "fjord")
    capsys.readouterr()
    assert run(["map", str(sample.run.path), "--epochs", "20"]) == 0
    assert "its places were known" in capsys.readouterr().err
    second = load_map(kept)
    np.testing.assert_array_equal(first.place_N2, second.place_N2)
    assert second.names[0][0][0] == "#fjord"
    assert run(["map", str(sample.run.path), "--epochs", "21"]) == 0
    assert "laid out in" in capsys.readouterr().err


def test_a_picture_has_every_feature_and_lights_up_what_a_filter_passes(sample: Sample, tmp_path: Path) -> None:
    svg = tmp_path / "map.svg"
    asked = ["map", str(sample.run.path), "--epochs", "20", "--svg", str(svg)]
    assert run([*asked, "--color", "density", "--filter", "id<10"]) == 0
    drawn = svg.read_text()
    assert len(re.findall(r"M[\d.]+ [\d.]+h0", drawn)) == 59
    others = re.search(r'<path d="([^"]*)"[^>]*#d4d4d4', drawn)
    assert others is not None and others[1].count("M") == 49
    assert "id&lt;10" in drawn and "others" in drawn
    assert run([*asked, "--color", "max"]) == 2  # the file is there already
    assert run([*asked, "--color", "max", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--color", "taste", "--svg", "x.svg"], "no colours by"),
        (["--color", "kind", "--svg", "x.svg"], "kinds of features were not measured"),
        (["--filter", "id<3"], "--svg"),
        (["--filter", "idd<3", "--svg", "x.svg"], "no column idd"),
        (["--svg", "nowhere/x.svg"], "nowhere"),
        (["--min-dist", "9"], "2.9"),
        (["--neighbours", "1"], "neighbours"),
    ],
)
def test_wrong_use_is_refused(
    flags: list[str],
    why: str,
    sample: Sample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["map", str(sample.run.path), "--epochs", "5", *flags]) == 2
    said = capsys.readouterr().err
    assert why in said and "Traceback" not in said
    assert not (tmp_path / "x.svg").exists()


def test_a_linked_folder_of_maps_and_an_unfinished_index_are_refused(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (sample.run.path / "maps").symlink_to(tmp_path / "elsewhere")
    assert run(["map", str(sample.run.path)]) == 2
    assert "is a link" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())
    growing = build_sample(tmp_path / "runs" / "growing", merged=False)
    assert run(["map", str(growing.run.path)]) == 2
    assert "not a whole index" in capsys.readouterr().err
