"""`monosem map`: features laid out in the plane, their clusters and names, kept beside the run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.feature_map.cluster_words import cluster_names, gather
from engine.feature_map.communities import communities
from engine.feature_map.context_profiles import context_profiles
from engine.feature_map.fuzzy_graph import fuzzy_graph
from engine.feature_map.layout import curve_of, lay_out, principal_components, start_of
from engine.feature_map.trustworthiness import trustworthiness
from engine.feature_map.umap_learn import need_umap, umap_places
from engine.runtime.progress import Progress
from engine.sae.neighbours import neighbours, tiles
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.map.feature_map import FeatureMap, MapSummary
from store.map.map_file import load_map, map_path, save_map
from store.notes.explanations import Explanations
from store.notes.note_file import Notes, notes_path
from store.rules.kind_file import index_digest, need_merged
from store.settings.map import MapSettings

FEWEST = 4
"""Features without which there is no map."""


@dataclass(frozen=True)
class Mapped:
    """A map that was made or renewed."""

    kept: Path
    """The file that keeps it."""
    map: FeatureMap
    laid_out: bool
    """Whether it was laid out now; else the places of the kept one stand, and only names are new."""
    seconds: float


@dataclass(frozen=True)
class _Places:
    """Features laid out."""

    feature_N: NDArray[np.int32]
    place_N2: NDArray[np.float32]
    cluster_LN: NDArray[np.int32]
    summary: MapSummary


def map_features(path: Path, settings: MapSettings, progress: Progress) -> Mapped:
    """Lay out the features of a run folder or index that fire and have a direction, name clusters, and keep the map.

    A kept map of the same name, index and settings keeps its places, which would be the same: its names are renewed.

    Raises:
        MonosemError: the index is not merged, too few features fire, umap-learn is asked for and missing, or the disk
            is full.
    """
    began = time.perf_counter()
    if settings.layout == "umap":
        need_umap()
    with FeatureStore.open(path) as store:
        need_merged(store)
        kept = map_path(path, settings.called)
        known = _kept(kept, store, settings)
        places = known or _laid_out(store, settings, progress)
        notes, explanations = Notes(notes_path(path)).load(), Explanations.load(path)
        evidence = gather(store, notes, explanations, places.feature_N, progress)
    names = cluster_names(places.cluster_LN, evidence)
    found = FeatureMap(places.summary, places.feature_N, places.place_N2, places.cluster_LN, names)
    save_map(kept, found)
    return Mapped(kept, found, known is None, time.perf_counter() - began)


def _kept(kept: Path, store: FeatureStore, settings: MapSettings) -> _Places | None:
    """Return the places of a kept map that would come out the same; None where there is none, or it is damaged."""
    if not kept.is_file():
        return None
    try:
        found = load_map(kept)
    except MonosemError:
        return None
    told = found.summary
    asked = _summary(store, settings, len(found.feature_N))
    if replace(told, trustworthiness=0.0, trusted_on=0, versions=asked.versions) != asked:
        return None
    if asked.versions.items() <= told.versions.items():
        return _Places(found.feature_N, found.place_N2, found.cluster_LN, told)
    return None


def _summary(store: FeatureStore, settings: MapSettings, placed: int) -> MapSummary:
    """Return what is known of a map before it is laid out."""
    return MapSummary(
        layout=settings.layout,
        neighbours=settings.neighbours,
        min_dist=settings.min_dist,
        epochs=settings.epochs_of(placed),
        seed=settings.seed,
        features=store.d_sae,
        trustworthiness=0.0,
        trusted_on=0,
        index_digest=index_digest(store.path),
        versions={"monosem": version("monosem")},
        by=settings.by,
    )


def _laid_out(store: FeatureStore, settings: MapSettings, progress: Progress) -> _Places:
    """Lay out the features of an index."""
    feature_N, rows_ND = _directions(store) if settings.by == "decoder" else context_profiles(store)
    if len(feature_N) < FEWEST:
        having = "have a direction" if settings.by == "decoder" else "do so in some contexts and not in all"
        raise MonosemError(f"{len(feature_N)} features fire and {having}, too few for a map")
    graph = _graph(rows_ND, settings, progress)
    summary = _summary(store, settings, len(feature_N))
    if settings.layout == "umap":
        progress.say("umap-learn is at work, which shows no progress")
        place_N2, made_by = umap_places(rows_ND, settings)
        summary = replace(summary, versions=summary.versions | made_by)
    elif settings.layout == "pca":
        place_N2 = principal_components(rows_ND)
    else:
        start_N2, curve = start_of(rows_ND, settings.seed), curve_of(settings.min_dist)
        place_N2 = lay_out(graph, start_N2, curve, summary.epochs, settings.seed, progress)
    progress.say("finding clusters, and how far places can be trusted")
    trusted, n_sampled = trustworthiness(rows_ND, place_N2)
    summary = replace(summary, trustworthiness=round(trusted, 6), trusted_on=n_sampled)
    return _Places(feature_N, place_N2, communities(graph), summary)


def _directions(store: FeatureStore) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the features that fire and have a direction, and those directions, of length 1."""
    columns = store.columns
    wanted_F = (columns.count_F > 0) & (columns.decoder_norm_F > 0)
    kept, start = [], 0
    for rows_ND in store.decoder_rows():
        kept.append(rows_ND[wanted_F[start : start + len(rows_ND)]])
        start += len(rows_ND)
    rows_ND = np.concatenate(kept)
    norm_N = np.linalg.norm(rows_ND, axis=1)
    directed_N = norm_N > 0
    rows_ND = rows_ND[directed_N] / norm_N[directed_N, None]
    return np.flatnonzero(wanted_F)[directed_N].astype(np.int32), rows_ND


def _graph(rows_ND: NDArray[np.float32], settings: MapSettings, progress: Progress) -> csr_matrix:
    with progress.task("comparing directions", tiles(len(rows_ND)), "tiles") as bar:
        near_NK, cosine_NK = neighbours(torch.from_numpy(rows_ND), settings.neighbours, advance=bar.advance)
    return fuzzy_graph(near_NK, cosine_NK)
