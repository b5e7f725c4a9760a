"""Output of `monosem map`: how far places can be trusted, the clusters with their names, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import count, duration, fixed
from monosem_tui.model import map_colours
from monosem_tui.model.map_colours import Colouring
from monosem_tui.model.map_names import LISTED, cluster_title, shown_level
from monosem_tui.model.map_points import map_points
from store.files.errors import MonosemError
from store.files.output_file import check_output, write_output
from store.index.reader import FeatureStore
from store.map.feature_map import FeatureMap
from store.notes.explanations import Explanations
from store.notes.note_file import Notes, notes_path
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.rules.kind_file import KeptKinds
from store.settings.map import MapSettings

if TYPE_CHECKING:
    from engine.commands.map import Mapped

COLOURS = ("cluster", "kind", "density", "max", "label", "tag", "plain")


def report(
    place: Place,
    asked: MapSettings,
    *,
    svg: Path | None,
    color: str,
    filter: str | None,
    overwrite: bool,
    json: bool,
) -> None:
    """Make a map, print what it holds, and draw it.

    Raises:
        MonosemError: as `map_features` does, there is no such colour, the filter cannot be read, or the picture cannot
            be written.
    """
    if color not in COLOURS:
        raise MonosemError(f"a map has no colours by {color!r}", f"By {', '.join(COLOURS)}.")
    if svg is None and filter is not None:
        raise MonosemError("--filter lights features up in a picture", "Give --svg FILE too.")
    parse_filter(filter or "")
    if svg is not None:
        check_output(svg, overwrite=overwrite)
    from engine.commands.map import map_features

    found = map_features(place.path, asked, ConsoleProgress())
    if svg is not None:
        _draw(place, found, svg, color, filter, overwrite=overwrite)
    if json:
        output.emit_json(_json(found, svg))
    else:
        _figures(found)


def _figures(found: Mapped) -> None:
    told, level = found.map.summary, shown_level(found.map)
    sample = "" if told.trusted_on == len(found.map.feature_N) else f" (of {count(told.trusted_on)} of them)"
    output.emit_text(
        f"{count(len(found.map.feature_N))} of {count(told.features)} features, "
        f"trustworthiness {fixed(told.trustworthiness)}{sample}; clusters, from coarse to fine: "
        f"{', '.join(count(len(size_C)) for size_C in found.map.sizes)}"
    )
    output.emit_text("")
    size_C, middle_C2 = found.map.sizes[level], found.map.middles[level]
    rows = [
        [
            str(cluster),
            count(int(size_C[cluster])),
            cluster_title(found.map.names[level][cluster], most=6) or "–",
            f"{middle_C2[cluster, 0]:.1f} {middle_C2[cluster, 1]:.1f}",
        ]
        for cluster in np.argsort(-size_C, kind="stable")[:LISTED].tolist()
    ]
    columns = [output.Column("cluster", ">"), output.Column("features", ">")]
    output.emit_table([*columns, output.Column("name", shrinks=True), output.Column("middle")], rows)
    what = "laid out" if found.laid_out else "its places were known, its names are new"
    output.narrate(f"{what} in {duration(found.seconds)}; kept in {found.kept}")


def _draw(place: Place, found: Mapped, svg: Path, color: str, filter: str | None, *, overwrite: bool) -> None:
    from monosem_tui.export.map_svg import map_svg

    name = found.kept.stem
    with FeatureStore.open(place.path) as store:
        notes, explanations = Notes(notes_path(place.path)).load(), Explanations.load(place.path)
        lit_F: NDArray[np.bool_] | None = None
        if filter is not None:
            lit_F = np.zeros(store.d_sae, bool)
            source = FilterSource(store, notes, explanations)
            lit_F[parse_filter(filter).keep(source, np.arange(store.d_sae, dtype=np.int64))] = True
        colouring = _colouring(color, store, notes, explanations, found.map)
    by = "decoder direction" if found.map.summary.by == "decoder" else "the contexts they fire in"
    title = f"{place.name}: features by {by}" + (f", lit up: {filter}" if filter else "")
    write_output(svg, map_svg(title, map_points(name, found.map), colouring, lit_F), overwrite=overwrite)
    output.narrate(f"written to {svg}")


def _colouring(
    color: str, store: FeatureStore, notes: dict[int, Any], explanations: Explanations, found: FeatureMap
) -> Colouring:
    """Return the colours by their name.

    Raises:
        MonosemError: kinds were not measured.
    """
    if color == "kind":
        kinds = KeptKinds(store).present()
        if kinds is None:
            raise MonosemError("the kinds of features were not measured", "Measure them: monosem explain RUN.")
        return map_colours.by_kind(kinds)
    made = {
        "cluster": lambda: map_colours.by_cluster(found, shown_level(found)),
        "density": lambda: map_colours.by_density(store.columns),
        "max": lambda: map_colours.by_max(store.columns),
        "label": lambda: map_colours.by_note(notes, explanations.features, store.d_sae),
        "tag": lambda: map_colours.by_tag(notes, store.d_sae),
        "plain": lambda: map_colours.plain(store.d_sae),
    }
    return made[color]()


def _json(found: Mapped, svg: Path | None) -> dict[str, Any]:
    told, drawn = found.map.summary, found.map
    return {
        "name": found.kept.stem,
        "file": str(found.kept),
        "layout": told.layout,
        "by": told.by,
        "neighbours": told.neighbours,
        "min_dist": told.min_dist,
        "epochs": told.epochs,
        "seed": told.seed,
        "versions": told.versions,
        "features": told.features,
        "placed": len(drawn.feature_N),
        "trustworthiness": told.trustworthiness,
        "trusted_on": told.trusted_on,
        "laid_out": found.laid_out,
        "seconds": found.seconds,
        "svg": None if svg is None else str(svg),
        "clusters": [
            {
                "level": level,
                "cluster": cluster,
                "features": int(size),
                "words": list(drawn.names[level][cluster]),
                "x": float(drawn.middles[level][cluster, 0]),
                "y": float(drawn.middles[level][cluster, 1]),
            }
            for level, size_C in enumerate(drawn.sizes)
            for cluster, size in enumerate(size_C.tolist())
        ],
        "places": [
            {"feature": int(feature), "x": float(x), "y": float(y), "clusters": clusters}
            for feature, (x, y), clusters in zip(
                drawn.feature_N.tolist(), drawn.place_N2.tolist(), drawn.cluster_LN.T.tolist(), strict=True
            )
        ],
    }
