"""Neuronpedia's batches against the dense truth, a real batch's fields, and SAEDashboard's own classes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monosem_tui.cli.main import run
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.export.index_export import write_dictionary
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.run.weights import load_sae
from tests.patience import PATIENCE
from tests.sample_run import BOS, VOCAB, Sample
from tests.shared_data import shared_path

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("MONOSEM_DASHBOARD", ROOT / ".venv-dashboard")) / "bin" / "python"


@pytest.fixture(scope="module")
def out(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batches of the sample's export."""
    folder = tmp_path_factory.mktemp("batches") / "out"
    assert run(["export", str(sample.run.path), "--to", "neuronpedia", "--out", str(folder)]) == 0
    return folder


def features(out: Path) -> list[dict[str, Any]]:
    """All of them, in order."""
    batches = [json.loads((out / f"batch-{number}.json").read_text()) for number in range(len(list(out.iterdir())))]
    return [feature for batch in batches for feature in batch["features"]]


def test_all_features_are_there_in_batches(out: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == ["batch-0.json", "batch-1.json"]
    batch = json.loads((out / "batch-1.json").read_text())
    assert (batch["model_id"], batch["layer"], batch["sae_set"]) == ("sample", 2, "stories")
    assert [feature["feature_index"] for feature in features(out)] == list(range(150))


def test_numbers_are_those_of_the_dense_truth(out: Path, sample: Sample) -> None:
    for feature, found in enumerate(features(out)):
        acts = sample.dense_NF[:, feature]
        assert found["frac_nonzero"] == pytest.approx((acts > 0).sum() / sample.counted_N.sum())
        assert sum(found["freq_hist_data_bar_heights"]) == (acts > 0).sum()
        if not acts.any():
            assert found["activations"] == found["freq_hist_data_bar_values"] == []
            continue
        width = acts.max() / 50
        assert found["freq_hist_data_bar_values"] == pytest.approx(width * (np.arange(50) + 0.5), rel=1e-3)
        assert [a["bin_contains"] for a in found["activations"]].count(-1.0) == min(20, len(firing(sample, feature)))
        for example in found["activations"]:
            if example["bin_contains"] == -1:
                assert example["bin_max"] == pytest.approx(acts.max(), rel=1e-4)
                continue
            inside = (acts > 0) & (acts >= example["bin_min"]) & (acts < example["bin_max"])
            # Bounds are rounded to five digits, so that one activation may fall on the other side of each.
            tokens = example["bin_contains"] * sample.counted_N.sum()
            assert tokens == pytest.approx(inside.sum(), abs=2.1)


def firing(sample: Sample, feature: int) -> set[int]:
    """Contexts in which a feature fires."""
    return set((np.flatnonzero(sample.dense_NF[:, feature]) // 32).tolist())


def test_an_example_is_a_stretch_of_the_text_and_no_more(out: Path, sample: Sample) -> None:
    strings = [token.decode(errors="replace") for token in VOCAB]
    for feature, found in enumerate(features(out)[:20]):
        for example in found["activations"]:
            peak, values = example["qualifying_token_index"], example["values"]
            assert len(values) == len(example["tokens"])
            assert values[peak] == pytest.approx(max(values) if example["bin_min"] < 0 else values[peak])
            assert strings[BOS] not in example["tokens"]
            contexts = sample.token_N.reshape(60, 32)[:, 1:]
            same = [n for n, row in enumerate(contexts) if [strings[t] for t in row] == example["tokens"]]
            assert any(
                values == pytest.approx(sample.dense_NF[n * 32 + 1 : n * 32 + 32, feature], rel=1e-4) for n in same
            )


def test_the_largest_coordinates_of_a_decoder_row(out: Path, sample: Sample) -> None:
    rows_FD = load_sae(sample.run.sae).tensors["W_dec"]
    for row_D, found in zip(rows_FD, features(out), strict=True):
        best = np.argsort(-row_D)[:3]
        assert found["neuron_alignment_indices"] == best.tolist()
        assert found["neuron_alignment_l1"] == pytest.approx(np.abs(row_D[best]) / np.abs(row_D).sum(), rel=1e-3)


def test_an_autoencoder_without_a_layer_is_refused(sample: Sample, tmp_path: Path) -> None:
    with FeatureStore.open(sample.run.path) as store:
        store.spec = replace(store.spec, layer=None, site="model.embed")
        with pytest.raises(MonosemError, match=r"reads model\.embed, and Neuronpedia files features by the number"):
            write_dictionary(store, {}, "stories", "neuronpedia", tmp_path / "out", ConsoleProgress(live=False))
    assert not list(tmp_path.iterdir())


def test_the_fields_are_those_of_a_real_batch(out: Path) -> None:
    real = json.loads(shared_path("formats/neuronpedia_batch.json").read_text())
    ours = json.loads((out / "batch-0.json").read_text())
    assert real.keys() <= ours.keys()
    assert real["features"][0].keys() <= ours["features"][0].keys()
    attributed = {"dfa_values", "dfa_maxValue", "dfa_targetIndex"}
    assert real["features"][0]["activations"][0].keys() - attributed == ours["features"][0]["activations"][0].keys()


@pytest.mark.slow
def test_saedashboards_own_classes_take_them(out: Path) -> None:
    if not PYTHON.is_file():
        pytest.skip(f"needs SAEDashboard: {PYTHON} is missing (make bench installs it)")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, "-W", "ignore", Path(__file__).parent / "peer_loads.py", out],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert [n for n, _ in counts] == [128, 22]
    assert sum(n for _, n in counts) == sum(len(feature["activations"]) for feature in features(out))


def test_a_store_copied_home_is_enough(sample: Sample, tmp_path: Path) -> None:
    home = tmp_path / "home.h5"
    home.write_bytes(sample.run.features.read_bytes())
    assert run(["export", str(home), "--to", "neuronpedia", "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "batch-0.json").read_text())["sae_set"] == "home.h5"
    assert not RunFolder(tmp_path).exists()
