"""Whether a run's baselines are made, and of the text that the run's index is of now."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from store.files.sealed_hdf5 import read_seal
from store.index.merge_run import features_coverage
from store.index.neuron_file import neuron_path, neurons_of
from store.index.segment import IndexPlan
from store.run.feature_source import Baseline, baseline_folder
from store.run.folder import RunFolder

State = Literal["missing", "begun", "outdated", "made"]


def baseline_state(run: RunFolder, baseline: Baseline) -> State:
    """Return the state of a baseline: `outdated` where the run was indexed anew since, on another text.

    Raises:
        MonosemError: a file of it is damaged, or its folder is a link.
    """
    folder = baseline_folder(run, baseline)
    if baseline == "neurons":
        path = neuron_path(run)
        if not path.is_file():
            return "missing"
        return "made" if neurons_of(path) == read_seal(run.features).sha256 else "outdated"
    made = RunFolder(folder)
    found, own = features_coverage(made.features), features_coverage(run.features)
    if found is None:
        return "begun" if made.exists() else "missing"
    return "made" if own is not None and _text(found.plan) == _text(own.plan) else "outdated"


def _text(plan: IndexPlan) -> IndexPlan:
    """Return the part of a plan that says which text it is of, and in which contexts."""
    return replace(plan, sae_digest="", model_digest="", seed=0)
