"""What SAELens' own runner trains on a real language model, saved its way, is called right by the self-check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.data.contexts import ContextBatch
from engine.formats.foreign_sae import Stated
from engine.formats.hook_names import site_of_hook
from engine.formats.registry import read
from engine.formats.self_check import ReadPlace, SiteActs, captured, checked, chosen, places_to_try
from engine.model.language_model import LanguageModel
from tests.engine.formats.stories import LAST, last_contexts, stories_lm, stories_tokens
from tests.engine.formats.test_peers import run_peer
from tests.patience import PATIENCE
from tests.shared_data import shared_path

pytestmark = pytest.mark.slow

HOOK, OTHER = "model.layers.2", "model.layers.0"
MEASURED = 25
"""Contexts to measure on."""
KINDS = ("standard", "jumprelu", "gated", "batchtopk", "matryoshka", "whitened")
UNFOLDED = ("unfolded_standard", "unfolded_whitened")


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The model they read."""
    return stories_lm()


@pytest.fixture(scope="module")
def contexts(lm: LanguageModel) -> ContextBatch:
    """Contexts that none was trained on."""
    return last_contexts(stories_tokens(lm), MEASURED)


@pytest.fixture(scope="module")
def places(lm: LanguageModel) -> list[ReadPlace]:
    """The place that all of them name, then all others."""
    return places_to_try(lm, ReadPlace(site_of_hook(lm, HOOK)))


@pytest.fixture(scope="module")
def rows(lm: LanguageModel, places: list[ReadPlace], contexts: ContextBatch) -> list[SiteActs]:
    """Activations of these places."""
    return captured(lm, places, iter([contexts]))


@pytest.fixture(scope="module")
def elsewhere(lm: LanguageModel, places: list[ReadPlace]) -> list[ReadPlace]:
    """Another layer, as if that were asked for, then all others."""
    return places_to_try(lm, ReadPlace(site_of_hook(lm, OTHER)), named=[replace(places[0], named=True)])


@pytest.fixture(scope="module")
def rows_elsewhere(lm: LanguageModel, elsewhere: list[ReadPlace], contexts: ContextBatch) -> list[SiteActs]:
    """Activations of these places."""
    return captured(lm, elsewhere, iter([contexts]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lm: LanguageModel, rows: list[SiteActs]) -> Path:
    """Folders as SAELens left them, and figures.json."""
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "contexts.npy", stories_tokens(lm)[:-LAST])
    np.save(folder / "activations.npy", chosen(rows[0]).numpy())
    model = shared_path("models/stories260K")
    arrays = folder / "contexts.npy", folder / "activations.npy"
    run_peer("peer_fits.py", str(model), HOOK, *arrays, folder, patience=10 * PATIENCE)
    return folder


@pytest.mark.parametrize("name", KINDS + UNFOLDED)
def test_a_training_of_saelens_is_called_right(
    lm: LanguageModel,
    places: list[ReadPlace],
    rows: list[SiteActs],
    elsewhere: list[ReadPlace],
    rows_elsewhere: list[SiteActs],
    trained: Path,
    name: str,
) -> None:
    figures = json.loads((trained / "figures.json").read_text())[name]
    foreign = read(trained / name)
    assert site_of_hook(lm, foreign.hook) == places[0].site
    found = checked(foreign, places, rows, "its last contexts", Stated(**figures))
    assert found.verdict == "agrees", found.text
    assert found.trials[0].explained_variance == pytest.approx(figures["explained_variance"], abs=1e-3)
    assert found.trials[0].l0 == pytest.approx(figures["l0"], rel=1e-3)
    assert checked(foreign, places, rows, "its last contexts", Stated()).verdict == "plausible"
    told = checked(foreign, elsewhere, rows_elsewhere, "its last contexts", Stated())
    assert told.verdict == "differs", told.text
    assert "resid_post 2" in told.text, told.text
