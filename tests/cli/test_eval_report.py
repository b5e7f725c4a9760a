"""The printed figures of an evaluation: digits by their standard errors, and which ablation is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.reports.eval import figures, stored_figures
from monosem_tui.draw.numbers import with_error
from store.files.errors import MonosemError
from store.run.folder import RunFolder, RunRecord

FIRST: dict[str, Any] = {
    **{"explained_variance": 0.75, "l0": 3.0, "alive": 470, "dead": 10, "d_sae": 480, "tokens": 1234},
    **{"ce_clean": 1.0, "ce_sae": 1.1, "ce_zero": 3.0, "ce_mean": 2.0},
    **{"ce_recovered_zero": 0.95, "ce_recovered_mean": 0.9, "data": "text", "split": "heldout"},
    "density_log10_histogram": {"edges": [-2.0, -1.0, 0.0], "counts": [1, 2]},
}
"""An evaluation of the first version."""
LATER: dict[str, Any] = {
    **{"fvu": 0.25, "cosine": 0.9, "norm_ratio": 0.8, "detectable_density": 3 / 1234, "ce_tokens": 2048},
    **{"ce_clean_se": 0.021, "delta_ce": 0.1004, "delta_ce_se": 0.0012, "kl": 0.0871, "kl_se": 0.0023},
    "documents": "a.txt: no <|endoftext|> found, so documents are separated by blank lines",
    **{"held_out": "texts", "duplicates": 3},
    **{"ln_vocab": 2.5, "ce_unigram": 2.4, "ce_unigram_se": 0.04, "ce_recovered_saelens": 0.93},
}


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (3.4123, 0.0213, "3.41 ± 0.02"),
        (3.4123, 0.0096, "3.412 ± 0.010"),
        (0.99412, 0.00031, "0.9941 ± 0.0003"),
        (12.3, 4.0, "12 ± 4"),
        (3.4123, None, "3.412"),
        (3.4123, 0.0, "3.412"),
        (3.4123, float("nan"), "3.412"),
    ],
)
def test_no_digit_that_the_error_does_not_allow(value: float, error: float | None, text: str) -> None:
    assert with_error(value, error) == text


def test_an_evaluation_of_the_first_version_is_still_printed() -> None:
    text = "\n".join(figures(FIRST))
    assert "CE, nats per token  1.000 clean, 1.100 with reconstructions\n" in text
    assert "None" not in text
    assert "KL" not in text


def test_every_ablation_says_which_it_is() -> None:
    text = "\n".join(figures(FIRST | LATER))
    for said in (
        "1.00 ± 0.02 clean, 1.100 with reconstructions\n",
        "ΔCE 0.100 ± 0.001, KL 0.087 ± 0.002, on 2 048 tokens",
        "3.000 with zeros, 2.000 with the mean (BOS kept)",
        "2.500 by a uniform guess, 2.40 ± 0.04 by frequencies",
        "0.9500 of zero-ablation (BOS kept)",
        "0.9000 of mean-ablation (BOS kept)",
        "0.9300 as SAELens counts (zeros at BOS too)",
        "zeros do worse than a uniform guess",
        "the rest are dead, or rarer than 2.4e-03",
        "0.2500 unexplained (FVU)",
        "text                a.txt: no <|endoftext|> found, so documents are separated by blank lines",
        "every 20th text is held out, 3 copies of training documents left out",
    ):
        assert said in text
    assert max(map(len, text.splitlines())) <= 100
    assert "uniform guess, which" not in "\n".join(figures(FIRST | LATER | {"ln_vocab": 3.5}))


def test_without_a_model_there_is_no_ce() -> None:
    text = "\n".join(figures(FIRST | LATER | {"ce_clean": None}))
    assert "CE" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"l0": "many"},
        {"alive": [1]},
        {"tokens": {}},
        {"d_sae": 0},
        {"ce_clean": "x"},
        {"density_log10_histogram": 5},
        {"density_log10_histogram": {"edges": [], "counts": []}},
        {"density_log10_histogram": {"edges": [-1.0, 0.0], "counts": ["x"]}},
    ],
)
def test_a_stored_evaluation_that_makes_no_sense_is_one_line(changes: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.create(RunRecord(evaluation=FIRST))
    assert stored_figures(run) == figures(FIRST)
    run.update(evaluation=FIRST | changes)
    with pytest.raises(MonosemError, match="its evaluation makes no sense"):
        stored_figures(run)
    run.update(evaluation={})
    assert stored_figures(run) == []
