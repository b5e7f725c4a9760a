"""Transcoders from text to a run: what is measured, what is refused, and what a features.h5 of one holds.

Shapes: N counted tokens, D = d_in, O = d_out, T positions of a context.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.evaluation.quality import evaluate
from engine.indexing.logit_effects import logit_effects
from engine.jobs.subject import Subject
from engine.model.language_model import load_model
from engine.model.sites import resolve_site
from engine.runtime.progress import Silent
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, load_sae
from store.settings.subject import SubjectSettings
from tests.engine.by_hand import run_by_hand
from tests.engine.evaluation.test_quality import losses
from tests.engine.small import tiny_subject
from tests.engine.trained import contexts_of, double, in_double
from tests.engine.trainings import Place

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


def random_transcoder(subject: Subject, *, skip: bool = False) -> SaeWeights:
    site, target = subject.sites()
    rng, d_sae = np.random.default_rng(1), 40
    shapes = {
        "W_enc": (site.d_in, d_sae),
        "b_enc": (d_sae,),
        "W_dec": (d_sae, target.d_in),
        "b_dec": (target.d_in,),
        "b_in": (site.d_in,),
    }
    if skip:
        shapes["W_skip"] = (target.d_in, site.d_in)
    spec = SaeSpec(arch="topk", d_in=site.d_in, d_out=target.d_in, d_sae=d_sae, k=5, site=site.name, skip=skip)
    return SaeWeights(spec, {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()})


CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("llama", {"site": "mlp_in", "site_out": "mlp_out"}),
    ("gpt2", {"site": "mlp_in", "site_out": "mlp_out", "layer": 1}),
    ("llama", {"site": "mlp_act", "site_out": "resid_post", "layer_out": 1}),
    ("gemma2", {"site": "resid_pre", "site_out": "resid_mid", "layer_out": 1}),
)


@pytest.mark.parametrize(
    ("family", "settings", "skip"),
    [
        pytest.param(*case, skip, marks=[] if skip == bool(number % 2) else [pytest.mark.slow])
        for number, case in enumerate(CASES)
        for skip in (False, True)
    ],
)
def test_every_figure(family: str, settings: dict[str, Any], skip: bool) -> None:
    """Each context by itself in float64: what is read stays, what is explained is replaced."""
    subject = tiny_subject(family, **({"layer": 0} | settings))
    weights = random_transcoder(subject, skip=skip)
    w = {name: values.astype(np.float64) for name, values in weights.tensors.items()}
    lm, (read, explained) = double(subject.lm), ((site.name, site.layer or 0) for site in subject.sites())

    def transcoded(x_ND: np.ndarray) -> np.ndarray:
        pre_NF = (x_ND - w["b_in"]) @ w["W_enc"] + w["b_enc"]
        kept_NF = np.argsort(np.argsort(-pre_NF, axis=1), axis=1) < 5
        out_NO: np.ndarray = np.maximum(pre_NF, 0) * kept_NF @ w["W_dec"] + w["b_dec"]
        return out_NO + x_ND @ w["W_skip"].T if skip else out_NO

    contexts = contexts_of(subject, "all")
    y_NO, guess_NO, ce = [], [], {name: [] for name in ("clean", "sae", "zero", "mean")}
    for one in contexts:
        with in_double():
            seen, _ = run_by_hand(lm, torch.from_numpy(one.tokens_BT).long())
        counted_T = one.counted_BT[0]
        y_NO.append(seen[explained][0].numpy()[counted_T])
        guess_NO.append(transcoded(seen[read][0].numpy()[counted_T]))
    mean_O = np.concatenate(y_NO).mean(0)
    for one, guess in zip(contexts, guess_NO, strict=True):
        others = {"clean": None, "sae": guess, "zero": 0 * guess, "mean": np.broadcast_to(mean_O, guess.shape).copy()}
        for name, rows in others.items():

            def change(acts_BTO: torch.Tensor, rows: Any = rows, mask: Any = one.counted_BT[0]) -> torch.Tensor:
                out = acts_BTO.clone()
                out[0, torch.from_numpy(mask)] = torch.from_numpy(rows)
                return out

            with in_double():
                tokens_BT = torch.from_numpy(one.tokens_BT).long()
                _, logits = run_by_hand(lm, tokens_BT, None if rows is None else explained, change)
            ce[name].append(losses(logits[0].numpy(), one.tokens_BT[0]))
    found = evaluate(subject, from_weights(weights, CPU), "all", 10**9, Silent())
    y, guess = np.concatenate(y_NO), np.concatenate(guess_NO)
    assert found.explained_variance == pytest.approx(1 - ((y - guess) ** 2).sum() / ((y - mean_O) ** 2).sum(), rel=1e-4)
    assert found.mse == pytest.approx(((y - guess) ** 2).mean(), rel=1e-4)
    for name, values in ce.items():
        assert getattr(found, f"ce_{name}") == pytest.approx(np.concatenate(values).mean(), rel=1e-4), name


def test_from_text_to_a_store(place: Place) -> None:
    settings = place.settings(site="mlp_in", site_out="mlp_out", index=True, index_tokens=2000, tokens=20_000)
    run = place.train("run", **settings)
    spec = run.record().spec
    assert spec.title() == "tiny mlp_in 1 → mlp_out 1 · topk 48 k4"
    assert (spec.site_out, spec.layer_out, spec.d_out) == ("mlp_out", 1, spec.d_in)
    assert run.record().evaluation["explained_variance"] > 0.3
    lm = load_model(place.model, device=CPU, dtype=torch.float32, progress=Silent())
    W_dec_FO = torch.from_numpy(load_sae(run.sae).tensors["W_dec"])
    expected = logit_effects(lm, resolve_site(lm, "mlp_out", 1), W_dec_FO)
    with FeatureStore.open(run.features) as store:
        for feature in (0, 17, 47):
            np.testing.assert_array_equal(store.logits(feature).top.id, expected.top_id_FT[feature])
        assert store.columns.count_F.sum() > 0
        assert store.spec == spec


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"site_out": "resid_post"}, "`site_out` is the site that is read"),
        ({"site_out": "resid_pre"}, "resid_pre 1 comes before resid_post 1"),
        ({"site_out": "mlp_out", "layer_out": 0}, "mlp_out 0 comes before resid_post 1"),
        ({"layer_out": 1}, "`layer_out` says where a transcoder's `site_out` is"),
        ({"site_out": "nonsense"}, "no site is called 'nonsense'"),
        ({"site": "mlp_in", "site_out": "mlp_out", "arch": "relu", "k": None}, "relu explains what it reads"),
    ],
)
def test_what_is_refused(place: Place, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MonosemError, match=complaint):
        place.train("run", **place.settings(**changes))
    assert not place.run("run").path.exists()


def test_shards_hold_one_site(place: Place) -> None:
    acts = place.extract("acts")
    with pytest.raises(MonosemError, match="holds one site, and a transcoder needs two at once"):
        place.train("run", activations=str(acts.path), site_out="mlp_out", k=4)


def test_a_layer_need_not_be_said_twice() -> None:
    subject = tiny_subject("llama", layer=1, site="mlp_in", site_out="mlp_out")
    assert [site.title for site in subject.sites()] == ["mlp_in 1", "mlp_out 1"]
    plain = subject.on(SubjectSettings(layer=1, site="mlp_in"))
    assert [site.title for site in plain.sites()] == ["mlp_in 1"]
    assert plain.target() == plain.site()
