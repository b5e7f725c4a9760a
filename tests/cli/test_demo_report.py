"""The demo's report without a terminal: figures, then ten features with their strongest places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monosem_tui.cli.reports.summary import DEMO_EXAMPLES, DEMO_FEATURES, report_demo
from monosem_tui.draw.token_text import display_token
from store.index.reader import FeatureStore
from tests.sample_run import Sample


def test_features_stand_with_their_strongest_places(
    sample: Sample, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    record = sample.run.record()
    measured = {
        **{"explained_variance": 0.75, "l0": 3.0, "alive": 470, "dead": 10, "d_sae": 480, "tokens": 1234},
        **{"ce_clean": 1.0, "ce_sae": 1.1, "ce_zero": 3.0, "ce_mean": 2.0},
        **{"ce_recovered_zero": 0.95, "ce_recovered_mean": 0.9, "data": "text", "split": "heldout"},
        "density_log10_histogram": {"edges": [-2.0, -1.0, 0.0], "counts": [1, 2]},
    }
    monkeypatch.setattr(type(sample.run), "record", lambda _: replace(record, evaluation=measured))
    report_demo(sample.run)
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("id"))
    assert lines[0].startswith(str(sample.run.path))
    assert any("explained variance  0.7500" in line for line in lines[:head])
    assert any("470 of 480 (97.9 %)" in line for line in lines[:head])
    assert lines[-1] == f"browse it with: monosem tui {sample.run.path}"
    rows = lines[head + 1 : -2]
    numbered = [row for row in rows if row[:4].strip().isdigit()]
    assert len(numbered) == DEMO_FEATURES
    assert len(rows) == DEMO_FEATURES * DEMO_EXAMPLES
    with FeatureStore.open(sample.run.path) as store:
        for place in range(0, len(rows), DEMO_EXAMPLES):
            feature = int(rows[place].split()[0])
            strongest = np.sort(sample.dense_NF[:, feature])[::-1][0]
            assert f"‹{strongest:.1f}›" in rows[place]
            first = display_token(store.vocabulary.token(int(store.logits(feature).top.id[0])))
            assert rows[place + 1].startswith(f"  promotes {first}")
