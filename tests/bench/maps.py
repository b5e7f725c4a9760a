"""Maps of features: time and trustworthiness of the layout beside umap-learn's, and what the screen takes.

Directions are planted: groups within groups, so that a layout has something to find. umap-learn is measured where it is
installed. Shapes: F features, D width of the decoder.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.feature_map.communities import communities
from engine.feature_map.fuzzy_graph import fuzzy_graph
from engine.feature_map.layout import curve_of, lay_out, principal_components, start_of
from engine.feature_map.trustworthiness import trustworthiness
from engine.feature_map.umap_learn import umap_places
from engine.runtime.progress import Silent
from engine.sae.neighbours import neighbours
from monosem_tui.model import map_colours
from monosem_tui.model.map_points import map_points
from monosem_tui.model.map_window import whole
from monosem_tui.pages.map_page import MapFrame, MapMarks, map_page
from monosem_tui.pages.map_picture import QUICK as FEW_BYTES
from monosem_tui.pages.map_picture import WHOLE, DotPicture
from store.map.feature_map import FeatureMap, MapSummary
from store.map.map_file import load_map, map_path, save_map
from store.rules.kind_file import index_digest
from store.settings.map import MapSettings
from tests.bench.big_store import build_big
from tests.bench.page import Table
from tests.bench.timing import grouped
from tests.tui.pty_bytes import PtyApp

Row = tuple[str, str, str]
SIZE = 200, 50
KEPT = 10.0
"""Seconds before the card follows: it stays out of what a step costs."""


@dataclass(frozen=True)
class Plan:
    """Sizes of the dictionaries that are laid out, of the map that is shown, and how often a step is made."""

    laid_out: tuple[tuple[int, int, str], ...]
    """Features, width, and the budget."""
    shown: int
    steps: int
    beside: int
    """Features up to which umap-learn is measured too."""


FULL = Plan(((4096, 640, "20 s"), (131_072, 768, "10 min")), 131_072, 20, 131_072)
QUICK = Plan(((512, 32, ""),), 2048, 2, 512)


def measure(plan: Plan = FULL) -> Table:
    """Measure all rows."""
    rows: list[Row] = []
    for features, width, budget in plan.laid_out:
        rows += layouts(features, width, budget, beside=features <= plan.beside)
    with tempfile.TemporaryDirectory() as folder:
        rows += screen(Path(folder), plan)
    notes = (
        "Trustworthiness of the 15 nearest places (of more than 5 000 features a fixed sample of 5 000 among each "
        "other). Directions: 60 groups of a few hundred groups each, with noise. The screen: a pseudo-terminal of "
        "200×50 with 256 colours.",
    )
    return Table(("what", "measured", "beside it, in the same run, or its budget"), rows, notes)


def planted(features: int, width: int) -> NDArray[np.float32]:
    """Return directions [F, D] of groups within groups."""
    rng = np.random.default_rng(0)
    coarse = rng.standard_normal((60, width), np.float32)
    groups = max(60, features // 40)
    fine = coarse[rng.integers(0, 60, groups)] + 1.2 * rng.standard_normal((groups, width), np.float32)
    rows_FD = fine[rng.integers(0, groups, features)]
    rows_FD += 2 * rng.standard_normal((features, width), np.float32)
    rows_FD /= np.linalg.norm(rows_FD, axis=1, keepdims=True)
    return rows_FD


def _timed(work: Callable[[], object]) -> tuple[object, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def layouts(features: int, width: int, budget: str, *, beside: bool) -> list[Row]:
    """Return the stages of a layout, and its trustworthiness beside umap-learn's and principal components'."""
    rows_FD, settings, what = planted(features, width), MapSettings(), f"{grouped(features)} × {width}"
    began = time.perf_counter()
    near, near_s = _timed(lambda: neighbours(torch.from_numpy(rows_FD), settings.neighbours))
    graph = fuzzy_graph(*near)  # type: ignore[misc]
    _, clusters_s = _timed(lambda: communities(graph))
    epochs = settings.epochs_of(features)
    start, curve = start_of(rows_FD, 0), curve_of(settings.min_dist)
    places, laid_s = _timed(lambda: lay_out(graph, start, curve, epochs, 0, Silent()))
    took = time.perf_counter() - began
    stages = f"neighbours {near_s:.1f} s, clusters {clusters_s:.1f} s, {epochs} epochs {laid_s:.1f} s"
    trusted = trustworthiness(rows_FD, places)[0]  # type: ignore[arg-type]
    linear = trustworthiness(rows_FD, principal_components(rows_FD))[0]
    other = "umap-learn is not installed"
    if beside and find_spec("umap") is not None:
        (umap, _), umap_s = _timed(lambda: umap_places(rows_FD, settings))  # type: ignore[misc]
        other = f"umap-learn {trustworthiness(rows_FD, umap)[0]:.3f} in {umap_s:.0f} s"
    return [
        (f"map of {what}, laid out", f"{took:.1f} s", f"budget {budget}; {stages}" if budget else stages),
        (f"its trustworthiness, {what}", f"{trusted:.3f}", f"{other}; principal components {linear:.3f}"),
    ]


def screen(folder: Path, plan: Plan) -> list[Row]:
    """Return what a map costs on the screen: reading it and its first picture, steps, bytes."""
    run = build_big(folder / "large", plan.shown, 100_000, 16).run
    path = map_path(run.path, "graph")
    save_map(path, _map_of(plan.shown, index_digest(run.features)))
    what = f"map of {grouped(plan.shown)} features"
    began = time.perf_counter()
    drawn = map_points("graph", load_map(path))
    assert drawn.map is not None
    colours = map_colours.by_cluster(drawn.map, 0)
    frame = MapFrame.of(SIZE[1] - 2, 100, axes=False)
    window = whole(drawn.bounds, frame.rows, frame.cells, equal=True)
    first = DotPicture(drawn, window, colours, None, 256, WHOLE)
    map_page("map", first, frame, MapMarks((0, 0)), focused=True)
    read_ms = 1e3 * (time.perf_counter() - began)
    works, all_of_it = [], window
    for step in range(plan.steps):
        window = window.zoomed(2, window.x, window.y) if step % 4 < 2 else window.moved(10, -20)
        window = window.kept_in(drawn.bounds) if step % 8 < 6 else all_of_it
        began = time.perf_counter()
        picture = replace(first, window=window, most=FEW_BYTES)
        map_page("map", picture, frame, MapMarks((9, 9)), focused=True)
        works.append(1e3 * (time.perf_counter() - began))
    p50, p95 = np.percentile(works, (50, 95))
    return [
        (f"{what}: read and drawn for the first time", f"{read_ms:.0f} ms", "budget 150 ms"),
        (f"{what}: work of a step (zoom, pan)", f"p50 {p50:.0f} ms, p95 {p95:.0f} ms", "budget 50 ms"),
        *_bytes(run.path, what),
    ]


def _bytes(run: Path, what: str) -> list[Row]:
    """Return bytes of steps while keys come, and with the whole picture and the card once they rest."""
    keys = {"zoom in": b"+", "half a picture down": b"\x04", "the crosshair": b"l", "zoom out": b"-"}
    rows = []
    for debounce, name, budget in ((KEPT, "a step", "budget 6 000"), (None, "a step, then rest", "")):
        with PtyApp(run, *SIZE, debounce=debounce, TERM="xterm-256color") as app:
            app.read_until(b"features")
            app.press(b"7", quiet=2.0)
            app.press(b"o", quiet=2.0)
            sent = {key: max(len(app.press(one, quiet=0.8)) for _ in range(3)) for key, one in keys.items()}
        told = ", ".join(f"{key} {grouped(n)}" for key, n in sent.items())
        rows.append((f"{what}: bytes of {name}, the most of three", told, budget))
    return rows


def _map_of(features: int, digest: str) -> FeatureMap:
    """Return a map whose features lie in groups of all sizes."""
    rng = np.random.default_rng(0)
    middles, sizes = rng.normal(size=(300, 2)) * 8, rng.pareto(1.2, 300) + 0.3
    group_F = rng.choice(300, features, p=sizes / sizes.sum())
    place_F2 = middles[group_F] + rng.standard_t(4, (features, 2)) * (0.15 + 0.1 * np.sqrt(sizes[group_F]))[:, None]
    _, fine_F = np.unique(group_F, return_inverse=True)
    names = [[[]], [[f"group {number}"] for number in range(int(fine_F.max()) + 1)]]
    summary = MapSummary("graph", 15, 0.05, 200, 0, features, 0.9, 5000, digest, {})
    cluster_LF = np.stack([np.zeros(features, np.int64), fine_F]).astype(np.int32)
    return FeatureMap(summary, np.arange(features, dtype=np.int32), place_F2.astype(np.float32), cluster_LF, names)
