"""A model whose residual stream is S times as large and which says the same gets the same dictionary, times S.

What writes into the stream is multiplied by S, the eps of the norms by S². For powers of two all is the same to the
bit; for others activations are the same within one step of a float16, and rounding moves few of the features' places.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from safetensors.torch import load_file, save_file

from engine import evaluate, find, generate, index, inspect
from store.index.reader import FeatureStore
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.query.examples import sections
from store.query.histogram import activation_histogram
from store.run.folder import RunFolder
from store.run.weights import load_sae, save_sae
from tests.engine.trainings import Place

WRITERS = ("wte.weight", "wpe.weight", "attn.c_proj.weight", "attn.c_proj.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")
IN_UNITS = ("b_enc", "b_dec", "b_in", "threshold", "b_mag")
"""Weights that are S times as large; the others are the same."""


def scaled_model(source: Path, target: Path, s: float) -> Path:
    """A GPT-2 whose stream is `s` times that of `source`."""
    shutil.copytree(source, target)
    config = json.loads((source / "config.json").read_text())
    config |= {"tie_word_embeddings": False, "layer_norm_epsilon": config["layer_norm_epsilon"] * s * s}
    (target / "config.json").write_text(json.dumps(config))
    weights = load_file(source / "model.safetensors")
    weights.setdefault("lm_head.weight", weights["transformer.wte.weight"].clone())
    out = {name: (value * s if name.endswith(WRITERS) else value).contiguous() for name, value in weights.items()}
    assert sum(name.endswith(WRITERS) for name in weights) > 2
    save_file(out, target / "model.safetensors", metadata={"format": "pt"})
    return target


def times(tensors: Mapping[str, Any], s: float) -> dict[str, Any]:
    """Weights for a stream `s` times as large."""
    return {name: values * np.float32(s if name in IN_UNITS else 1) for name, values in tensors.items()}


@dataclass(frozen=True)
class Seen:
    """What a user sees of a run, activations divided by S."""

    weights: dict[str, Any]
    token: list[Any]
    """Places of every feature, the strongest first."""
    act: list[Any]
    columns: list[Any]
    examples: list[Any]
    counts: list[Any]
    found: list[Any]
    texts: list[str]
    figures: dict[str, Any]
    inspected: list[Any]
    exponents: bool
    """Whether stored activations have units other than 1."""


def trained(place: Place, s: float, **settings: Any) -> RunFolder:
    """A training on the model times `s`, with its index and evaluation."""
    model = place.folder / f"model {s}"
    if not model.exists():
        scaled_model(Path(place.model) / "model", model, s)
    wanted = place.settings(index=True, index_tokens=2000, eval_tokens=500, **settings) | {"model": str(model)}
    return place.train(f"run {s}", **wanted)


def seen(run: RunFolder, s: float) -> Seen:
    """Show, find, inspect, generate and evaluate."""
    with FeatureStore.open(run.path) as store:
        alive = np.flatnonzero(store.columns.count_F > 3).tolist()
        postings = [store.postings(feature) for feature in alive]
        examples = [
            [(e.start, e.peak, (e.act_T / s).tolist()) for one in sections(store, f) for e in one.examples]
            for f in alive
        ]
        columns = [store.columns.count_F, store.columns.max_F / s, store.columns.mean_F / s, store.columns.top_token_F]
        columns += [store.quantiles(f).value / s for f in alive]
        counts = [activation_histogram(store, f).counts for f in alive]
        exponents = bool((store.unit_F != 1).any())
    recipe = Recipe(
        prompt="once upon",
        clamps=(f"{alive[0]}=max*4", f"{alive[-1]}=*2"),
        sampling=Sampling(max_new=8, temperature=0.0),
    )
    results = find(run.path, "the").results
    made = generate(run.path, recipe)[0]
    figures = asdict(evaluate(run.path))
    scaled = {"mse": s * s}
    return Seen(
        weights=times(load_sae(run.sae).tensors, 1 / s),
        token=[one.token for one in postings],
        act=[one.act / s for one in postings],
        columns=columns,
        examples=examples,
        counts=counts,
        found=[(r.choice.feature, r.choice.threshold / s, r.tally, r.auroc) for r in results],
        texts=[made.base, made.clamped],
        figures={key: value / scaled[key] if key in scaled else value for key, value in figures.items()},
        inspected=[[(f.feature, f.activation / s) for f in token.features] for token in inspect(run.path, "the cat")],
        exponents=exponents,
    )


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


LARGE, SMALL = 2.0**20, 2.0**-20
SETTINGS: dict[str, dict[str, Any]] = {
    "topk": {},
    "gated": {},
    "batchtopk": {},
    "matryoshka": {},
    "jumprelu": {},
    "relu": {},
    "l1-norm": {},
    "transcoder": {"site": "resid_pre", "site_out": "resid_post"},
}
SLOW = [*SETTINGS][1:]


@pytest.mark.parametrize("name", ["topk", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_powers_of_two_change_no_bit(place: Place, name: str) -> None:
    settings = SETTINGS[name] | {"arch": "topk" if name == "transcoder" else name}
    first = 8.0  # without exponents, values below 2⁻¹⁴ have fewer bits
    one = seen(trained(place, first, **settings), first)
    for s in (LARGE, SMALL):
        other = seen(trained(place, s, **settings), s)
        assert (one.exponents, other.exponents) == (False, True)
        for key, value in one.weights.items():
            assert_array_equal(other.weights[key], value, err_msg=key)
        for key in ("token", "act", "columns", "counts"):
            for mine, theirs in zip(getattr(one, key), getattr(other, key), strict=True):
                assert_array_equal(theirs, mine, err_msg=key)
        for key in ("examples", "found", "texts"):
            assert getattr(other, key) == getattr(one, key)
        assert_equal(other.figures, one.figures)
        assert other.inspected == one.inspected


@pytest.mark.parametrize("s", [1e-6, *(pytest.param(s, marks=pytest.mark.slow) for s in (1e6, 0.3))])
def test_other_factors_change_one_step_of_a_float16(place: Place, s: float) -> None:
    """Trainings that round differently part slowly, so all factors get the same dictionary."""
    run = trained(place, 1.0)
    one, weights = seen(run, 1.0), load_sae(run.sae)
    run = trained(place, s)
    assert abs(evaluate(run.path).explained_variance - one.figures["explained_variance"]) < 0.05
    save_sae(run.sae, replace(weights, tensors=times(weights.tensors, s)))
    index(run.path, overwrite=True)
    other = seen(run, s)
    assert other.exponents == (s != 0.3)
    for mine, theirs in zip(one.columns, other.columns, strict=True):
        assert_allclose(theirs, mine, rtol=2**-10)
    for mine, theirs in zip(one.token, other.token, strict=True):
        assert len(set(mine[:20].tolist()) & set(theirs[:20].tolist())) >= min(len(mine), 20) - 1
    for name, value in one.figures.items():
        if isinstance(value, float):
            assert_allclose(other.figures[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    assert other.texts == one.texts
