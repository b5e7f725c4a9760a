"""`monosem show RUN --filter EXPR --sort KEY`: features that pass a filter, a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from monosem_tui.cli import output
from monosem_tui.cli.reports.feature import narrate_unfinished, read_notes
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import fit, printable, width
from monosem_tui.draw.spans import Role, Span, line
from monosem_tui.export.explanation_json import explained_json
from monosem_tui.export.feature_json import figures_json
from monosem_tui.model.feature_card import top_token
from monosem_tui.model.feature_explanations import best_explanation
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.feature_order import SORT_KEYS, Ids, SortKey, sort_by
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.rules.kind_file import KeptKinds

MATCH = "match"
TOKEN = 24
"""Most cells of a top token."""


@dataclass(frozen=True)
class FeatureQuery:
    """Features that pass a filter, in order."""

    ids: Ids
    strength_F: NDArray[Any] | None
    """The filter's measure per feature: share of its activation on a token, logit effect, or cosine."""


def report(place: Place, expression: str, sort: str | None, *, top: int, width: int, json: bool) -> None:
    """Print the first `top` features that pass, for `width` columns.

    Raises:
        MonosemError: the filter or the key cannot be read, or there is no index, or it is damaged.
    """
    parse_filter(expression)  # before anything is opened, so that a typing error is reported at once
    with FeatureStore.open(place.path) as store:
        notes = read_notes(place)
        explanations = Explanations.load(place.path)
        found = chosen(FilterSource(store, notes, explanations), expression, sort)
        if json:
            output.emit_json(_json(store, notes, explanations, found, expression, top))
            return
        narrate_unfinished(store)
        _lines(store, notes, explanations, found, top, width)
        output.narrate(f"{count(min(top, len(found.ids)))} of {count(len(found.ids))} features that pass")


def chosen(source: FilterSource, expression: str, sort: str | None) -> FeatureQuery:
    """Return the features that pass, sorted by the filter's measure, else by their maximum.

    Raises:
        MonosemError: the filter or the key cannot be read.
    """
    wanted = parse_filter(expression)
    strength_F = wanted.strength(source)
    turned, key = (True, sort[1:]) if sort and sort.startswith("-") else (False, sort)
    key = key or (MATCH if strength_F is not None else "max")
    if key != MATCH and key not in SORT_KEYS:
        raise MonosemError(f"there is no sort key {key}", f"Keys are {', '.join((*SORT_KEYS, MATCH))}.")
    ids = wanted.keep(source, np.arange(source.store.d_sae, dtype=np.int64))
    if key != MATCH:
        descending = (key != "id") ^ turned
        return FeatureQuery(source.sort(ids, cast(SortKey, key), descending=descending), strength_F)
    if strength_F is None:
        raise MonosemError("this filter measures nothing to sort by", "token:, promotes:, kind: and like: do.")
    return FeatureQuery(sort_by(strength_F, source.columns, ids, descending=not turned), strength_F)


def _lines(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    explanations: Explanations,
    found: FeatureQuery,
    top: int,
    cells: int,
) -> None:
    columns, ids = store.columns, found.ids[:top].tolist()
    tokens = {i: top_token(store, i) for i in ids}
    digits = max([4, *(len(str(i)) for i in ids)])
    widest = min(TOKEN, max([8, *(width(token) for token in tokens.values())]))
    measured = f"  {MATCH:>6}" if found.strength_F is not None else ""
    head = f"{'id':>{digits}}  density     max    mean{measured}  {fit('fires on', widest)}"
    rows = [line(Span(f"{head}  label", Role.DIM))]
    for i in ids:
        numbers = (
            f"{i:>{digits}}  {share(float(columns.density_F[i])):>7}  {activation(float(columns.max_F[i])):>6}"
            f"  {activation(float(columns.mean_F[i])):>6}"
        )
        if found.strength_F is not None:
            numbers += f"  {float(found.strength_F[i]):>6.3f}"
        note = notes.get(i, FeatureNotes())
        said = [
            printable(note.label) or _suggested(explanations, i),
            "★" if note.bookmark else "",
            *(f"#{printable(tag)}" for tag in note.tags),
        ]
        text = f"{numbers}  {fit(tokens[i], widest)}  {' '.join(part for part in said if part)}"
        rows.append(line(fit(text, max(cells, width(numbers))).rstrip()))
    output.emit_lines(rows)


def _suggested(explanations: Explanations, feature: int) -> str:
    """Return the best explanation behind its author, so that it is not taken for a label; empty where there is none."""
    best = best_explanation(explanations, feature)
    return f"{printable(best.author)}: {printable(best.text)}" if best else ""


def _json(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    explanations: Explanations,
    found: FeatureQuery,
    expression: str,
    top: int,
) -> dict[str, Any]:
    columns, ids, kinds = store.columns, found.ids[:top], KeptKinds(store).sound()
    tokens = [store.vocabulary.strings([t])[0] if t >= 0 else None for t in columns.top_token_F[ids].tolist()]
    features = []
    for i, token in zip(ids.tolist(), tokens, strict=True):
        note = notes.get(i, FeatureNotes())
        features.append(
            {
                "feature": i,
                "label": note.label,
                "bookmark": note.bookmark,
                "tags": note.tags,
                "comment": note.comment,
                **explained_json(i, kinds, explanations),
                **figures_json(store, i),
                "norm": float(columns.decoder_norm_F[i]),
                "top_token": token,
                "match": None if found.strength_F is None else float(found.strength_F[i]),
            }
        )
    return {
        "filter": expression,
        "passed": len(found.ids),
        "d_sae": store.d_sae,
        "contexts": store.n_contexts,
        "planned_contexts": store.plan.n_contexts,
        "features": features,
    }
