"""A run's features as a table, one row per feature, in CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monosem_tui.export.explanation_json import kind_json
from monosem_tui.export.feature_json import figures_json
from store.files.atomic import atomic_path
from store.index.columns import QUANTILES
from store.index.reader import FeatureStore
from store.notes.exchange import FORMULA
from store.notes.explanations import Explanation, Explanations
from store.notes.note_file import FeatureNotes
from store.rules.kind_file import KeptKinds

LISTED = 5
"""Tokens and neighbours listed per feature."""
AT_ONCE = 4096
"""Rows per Parquet group."""

Row = dict[str, Any]


def rows(store: FeatureStore, notes: dict[int, FeatureNotes]) -> Iterator[Row]:
    """Yield per feature its figures, label, explanation, kind, promoted and suppressed tokens, and nearest features."""
    columns, words = store.columns, store.vocabulary
    explanations, kinds = Explanations.load(store.path), KeptKinds(store).sound()
    for feature in range(store.d_sae):
        said = notes.get(feature, FeatureNotes())
        logits, near = store.logits(feature), store.neighbours(feature)
        top_token = int(columns.top_token_F[feature])
        act = store.quantiles(feature).value.tolist() or [None] * len(QUANTILES)
        yield {
            "feature": feature,
            "label": said.label,
            "bookmark": said.bookmark,
            "tags": " ".join(said.tags),
            **_explained(explanations.of(feature)),
            **kind_json(feature, kinds),
            **figures_json(store, feature),
            **{f"q{round(100 * q):02d}": value for q, value in zip(QUANTILES, act, strict=True)},
            "decoder_norm": float(columns.decoder_norm_F[feature]),
            "top_token": words.strings([top_token])[0] if top_token >= 0 else "",
            "promotes": words.strings(logits.top.id[:LISTED].tolist()),
            "suppresses": words.strings(logits.bottom.id[:LISTED].tolist()),
            "neighbours": [int(one) for one in near.id[:LISTED]],
        }


def _explained(found: Sequence[Explanation]) -> Row:
    """Return the best explanation: its words, author, rule and F1."""
    best = found[0] if found else None
    return {
        "explanation": best.text if best else "",
        "explained_by": best.author if best else "",
        "rule": (best.rule if best else "") or "",
        "explanation_f1": best.scores.f1.value if best and best.scores.f1 else None,
    }


def write_csv(store: FeatureStore, notes: dict[int, FeatureNotes], path: Path) -> Path:
    """Write features.csv (UTF-8); lists are joined by spaces.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for row in rows(store, notes):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return path


def write_parquet(store: FeatureStore, notes: dict[int, FeatureNotes], path: Path) -> Path:
    """Write features.parquet, with list columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    many = {"promotes": pa.string(), "suppresses": pa.string(), "neighbours": pa.int64()}
    texts = ("label", "tags", "explanation", "explained_by", "rule", "kind", "top_token")
    whole = ("feature", "n_active")
    found = rows(store, notes)
    first = next(found)
    kinds = {name: pa.list_(many[name]) if name in many else pa.float64() for name in first}
    kinds |= {name: pa.string() for name in texts} | {name: pa.int64() for name in whole} | {"bookmark": pa.bool_()}
    schema = pa.schema(list(kinds.items()))
    group = [first]
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for row in found:
            group.append(row)
            if len(group) == AT_ONCE:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(str(one) for one in value)
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
