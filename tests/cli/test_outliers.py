"""Outliers as people see them: in evaluations, in Health, and in answers of `monosem find`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.main import run
from monosem_tui.cli.reports.eval import figures
from monosem_tui.model.open_run import open_run
from monosem_tui.model.run_health import figures as health_figures
from tests.sample_run import build_sample
from tests.store.index.test_outliers import PLACES, marked
from tests.store.raw import build_store, random_raw

MEASURED: dict[str, Any] = {
    **{"explained_variance": 0.956, "l0": 3.0, "alive": 470, "dead": 10, "d_sae": 480, "tokens": 20000},
    **{"ce_clean": None, "data": "text", "split": "all", "explained_variance_ordinary": 0.688},
    **{"explained_variance_standardised": 0.51, "outlier_tokens": 6},
    "density_log10_histogram": {"edges": [-2.0, -1.0, 0.0], "counts": [1, 2]},
    "variance_shares": {
        **{"tokens": 20000, "few": 6, "few_share": 0.7, "dimension": 400, "dimension_share": 0.94, "width": 640}
    },
}
NOTES = ["6 of 20000 tokens (0.03%) hold 70% of the variance", "dimension 400 holds 94% of the variance"]


def test_an_evaluation_with_and_without_them() -> None:
    lines = figures(MEASURED)
    more = " " * 20
    assert lines[0] == "explained variance  0.9560"
    assert lines[1] == f"{more}0.6880 without 6 outlier tokens, 0.5100 as a mean over dimensions"
    assert lines[-2:] == [f"note                {note}" for note in NOTES]
    plain = {name: value for name, value in MEASURED.items() if name not in ("outlier_tokens", "variance_shares")}
    assert figures(plain)[1] == f"{more}0.5100 as a mean over dimensions"
    older = {name: value for name, value in plain.items() if not name.endswith(("ordinary", "standardised"))}
    assert figures(older)[1].startswith("L0")


def test_health(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run")
    with sample.run.locked():
        sample.run.update(evaluation=MEASURED)
    opened = open_run(sample.run.path)
    found = health_figures(opened)
    opened.store.close()
    assert found[:3] == ["470 of 480 features alive on 20 000 tokens", "EV 0.956", "L0 3.0"]
    assert {"EV 0.688 without 6 outlier tokens", "EV 0.510 (mean over dimensions)", *NOTES} <= set(found)


@pytest.mark.parametrize("ordinary", [False, True])
def test_find_says_whether_they_count(ordinary: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(build_store(tmp_path, marked(random_raw(3, n_contexts=16), PLACES), 5, merged=True).features)
    flags = ["--tokens", *["--ordinary"] * ordinary]
    assert run(["find", place, "", *flags]) == 0
    said = capsys.readouterr().out.splitlines()[1]
    assert said == f"4 outlier tokens {'are left out' if ordinary else 'count like others: --ordinary leaves them out'}"
    assert run(["find", place, "", *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["outlier_tokens"], found["ordinary"]) == (4, ordinary)
    assert found["counted_tokens"] - found["scored_tokens"] == (len(PLACES) if ordinary else 0)
