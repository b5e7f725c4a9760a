"""map.html of the browser: all features as points, with what they are under the mouse; no request, no server.

Views are density against maximum, and the maps of the index that lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monosem_tui.draw.html_parts import head, isolated, style_of
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.export.assets import asset, script_json
from monosem_tui.model.feature_card import top_token
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.map_colours import NONE, by_cluster
from monosem_tui.model.map_names import clusters_in_sight, shown_level
from monosem_tui.model.map_points import MapPoints, density_points, map_points
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.map.map_file import load_map, map_names, map_path
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.rules.kind_file import index_digest
from store.rules.kinds import Kinds
from store.settings.feature_kinds import KINDS

PAGE = "map.html"
LONGEST = 160
"""Cells of a feature's text under the mouse."""


def write_map(
    store: FeatureStore,
    notes: Mapping[int, FeatureNotes],
    explanations: Explanations,
    kinds: Kinds | None,
    name: str,
    folder: Path,
) -> Path:
    """Write the page into the folder of the browser, and return its path."""
    path = folder / PAGE
    with path.open("w", encoding="utf-8") as file:
        for part in _page(store, notes, explanations, kinds, name):
            file.write(part + "\n")
    return path


def sound_maps(store: FeatureStore) -> list[MapPoints]:
    """Return the maps that lie beside an index and belong to it; damaged ones are left out."""
    found: list[MapPoints] = []
    if not store.merged:
        return found
    digest = index_digest(store.path)
    for name in map_names(store.path):
        try:
            drawn = load_map(map_path(store.path, name))
        except MonosemError:
            continue
        if drawn.summary.index_digest == digest and drawn.summary.features == store.d_sae:
            found.append(map_points(name, drawn))
    return found


def _page(
    store: FeatureStore,
    notes: Mapping[int, FeatureNotes],
    explanations: Explanations,
    kinds: Kinds | None,
    name: str,
) -> Iterator[str]:
    script = asset("map.js")
    yield from head(f"{printable(name)} · map", style_of(asset("map.css")), script)
    yield f"""<header><h1>{isolated(printable(name))}</h1> <a href="index.html">list</a>
<label>map <select id="view"></select></label> <label>colours <select id="colour"></select></label>
<input type="search" id="search" placeholder="number, label, explanation" aria-label="Light up" autocomplete="off">
<output id="said"></output> <span class="dim">wheel: zoom · drag: move · click: the feature's page · / search</span>
</header>
<noscript><p>The map needs JavaScript, the pages do not: <a href="index.html">list</a></p></noscript>
<div id="plane"><canvas></canvas><div id="card" hidden><b></b><span></span><br><small></small></div></div>
<div id="legend" class="dim"></div>"""
    yield f'<script type="application/json" id="map">{script_json(_data(store, notes, explanations, kinds))}</script>'
    yield f"<script>{script}</script>"
    yield "</html>"


def _data(
    store: FeatureStore, notes: Mapping[int, FeatureNotes], explanations: Explanations, kinds: Kinds | None
) -> dict[str, Any]:
    """Return what the script draws."""
    columns = store.columns
    kind_F = kinds.kind_F if kinds is not None else np.full(store.d_sae, NONE, np.int8)
    features = [
        [
            feature,
            _text(store, notes, explanations, feature),
            float(f"{columns.density_F[feature]:.3g}"),
            float(f"{columns.max_F[feature]:.4g}"),
            int(kind_F[feature]),
        ]
        for feature in range(store.d_sae)
    ]
    views = [_view(density_points(columns, store.plan.noun.many)), *map(_view, sound_maps(store))]
    return {"features": features, "kinds": list(KINDS) if kinds is not None else [], "views": views}


def _view(shown: MapPoints) -> dict[str, Any]:
    axes = None
    if shown.axes is not None:
        axes = {"x": shown.axes.x_title, "y": shown.axes.y_title, "log": shown.axes.log_y}
    named: Sequence[Any] = clusters_in_sight(shown.map, shown.bounds) if shown.map is not None else ()
    groups = []
    if shown.map is not None:
        groups = by_cluster(shown.map, shown_level(shown.map)).group_F.tolist()
    places = np.concatenate([shown.feature_N[:, None], np.round(shown.place_N2, 3)], axis=1)
    return {
        "title": f"map {printable(shown.name)}" if shown.name else "density and maximum",
        "axes": axes,
        "places": [[int(feature), x, y] for feature, x, y in places.tolist()],
        "groups": groups,
        "names": [[one.name, round(one.x, 3), round(one.y, 3)] for one in named],
    }


def _text(store: FeatureStore, notes: Mapping[int, FeatureNotes], explanations: Explanations, feature: int) -> str:
    """Return a feature's label, else its explanation, else the token it fires on most."""
    note = notes.get(feature)
    label = printable(note.label) if note is not None else ""
    return cut(label or suggestion(explanations, feature) or top_token(store, feature), LONGEST)
