"""sae.h5 and what it is for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, load_sae, save_sae
from tests.store.raw import weights

SPEC = SaeSpec(model="org/name", layer=None, site="h.0.mlp:input", arch="jumprelu", d_in=4, d_sae=9, l1=0.5)


def test_round_trip(tmp_path: Path) -> None:
    odd = np.array([np.nan, -0.0, np.inf, 1e-45], np.float32)
    made = SaeWeights(SPEC, weights(9).tensors | {"threshold": odd, "none": np.zeros((0, 4), np.float32)})
    save_sae(tmp_path / "sae.h5", made)
    found = load_sae(tmp_path / "sae.h5")
    assert found.spec == SPEC
    assert found.tensors.keys() == made.tensors.keys()
    for name, values in made.tensors.items():
        assert found.tensors[name].dtype == np.float32
        assert found.tensors[name].shape == values.shape
        assert found.tensors[name].tobytes() == values.tobytes()


def test_kept_in_float32(tmp_path: Path) -> None:
    wide = np.linspace(0, 1, 36).reshape(9, 4).T
    save_sae(tmp_path / "sae.h5", SaeWeights(SPEC, {"W_enc": wide}))
    np.testing.assert_array_equal(load_sae(tmp_path / "sae.h5").tensors["W_enc"], wide.astype(np.float32))


def test_weights_of_other_widths_than_the_spec_are_not_believed(tmp_path: Path) -> None:
    save_sae(tmp_path / "sae.h5", SaeWeights(SPEC, {"W_dec": np.zeros((9, 5))}))
    with pytest.raises(MonosemError, match=r"sae\.h5 is damaged: its weights are 5 wide along O where its spec says 4"):
        load_sae(tmp_path / "sae.h5")
    save_sae(tmp_path / "sae.h5", SaeWeights(SPEC, {"W_dec": np.zeros((9, 4)), "b_enc": np.zeros(8)}))
    with pytest.raises(MonosemError, match=r"W_dec has 9 values along F, not 8|b_enc has 8 values along F, not 9"):
        load_sae(tmp_path / "sae.h5")


def test_not_weights(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="does not exist"):
        load_sae(tmp_path / "sae.h5")


def test_a_spec_of_another_version() -> None:
    text = json.dumps(json.loads(SPEC.to_json()) | {"of a later version": 1})
    assert SaeSpec.from_json(text) == SPEC
    assert SaeSpec.from_json("{}") == SaeSpec()
    assert "\n" not in SPEC.to_json()


def test_title() -> None:
    spec = SaeSpec(model="/a/stories260K/", layer=2, site="resid_post", arch="topk", d_sae=1024, k=16)
    assert spec.title() == "stories260K resid_post 2 · topk 1 024 k16"
    assert SPEC.title() == "name h.0.mlp:input · jumprelu 9"
