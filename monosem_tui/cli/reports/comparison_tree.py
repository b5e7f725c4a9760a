"""Output of `monosem compare --tree`: which features of smaller dictionaries become which of larger ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.feature import read_notes
from monosem_tui.cli.sources import FoundSource
from monosem_tui.draw.numbers import count, share
from monosem_tui.model.feature_card import feature_name
from store.comparison.figures import Comparison
from store.comparison.splitting_tree import LEAST_R, SplitFeature, SplittingTree, splitting_tree
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes
from store.settings.compare import CompareSettings

if TYPE_CHECKING:
    from engine.commands.compare import ComparedSource

BRANCH, DEEPER = "└", "─"


def report_tree(
    compared: Sequence[ComparedSource],
    sources: Sequence[FoundSource],
    settings: CompareSettings,
    *,
    top: int,
    json: bool,
) -> None:
    """Compare each dictionary with the next larger one, and print the tree.

    Raises:
        MonosemError: there is only one, an index is missing or unfinished, or two of them share no text.
    """
    if len(compared) < 2 or any(one.neurons for one in compared):
        raise MonosemError("a tree needs two dictionaries", "Name two runs: `monosem compare SMALL LARGE --tree`.")
    with ExitStack() as stack:
        stores = [stack.enter_context(FeatureStore.open(one.path)) for one in compared]
        order = sorted(range(len(stores)), key=lambda number: stores[number].d_sae)
        chain = [_compared([compared[i] for i in step], settings) for step in pairwise(order)]
        tree = splitting_tree(chain)
        if json:
            output.emit_json(_json(tree))
            return
        _summary(tree, chain)
        known = [(stores[number], read_notes(sources[number].place)) for number in order]
        _table(tree, known, top)


def _compared(both: Sequence[ComparedSource], settings: CompareSettings) -> Comparison:
    from engine.commands.compare import compare_runs

    (found,) = compare_runs(both, settings.changed(baselines=False), ConsoleProgress())
    output.narrate(f"kept in {found.kept}")
    return found.comparison


def _summary(tree: SplittingTree, chain: Sequence[Comparison]) -> None:
    for number, (small, large) in enumerate(pairwise(tree.names)):
        told = chain[number].summary.sides
        judged = max(told, key=lambda side: side.features).judged
        below = judged - len(tree.parentless[number])
        output.emit_text(
            f"{count(below)} of {count(judged)} judged features of {large} hang below one of {small} (r ≥ {LEAST_R})"
        )
    output.emit_text(
        f"{count(tree.childless)} of {count(len(tree.roots))} judged features of {tree.names[0]} become none"
    )


def _table(tree: SplittingTree, known: Sequence[tuple[FeatureStore, dict[int, FeatureNotes]]], top: int) -> None:
    rows = []
    for root in tree.roots[:top]:
        store, notes = known[0]
        rows.append([str(root.feature), feature_name(store, notes, root.feature), "", "", "", ""])
        for depth, branch in _walk(root.children, 1):
            name = feature_name(*known[depth], branch.feature)
            mutual = "yes" if branch.mutual else ""
            figures = f"{branch.r:.3f}", share(branch.within), share(branch.covers), mutual
            start = f"{BRANCH}{DEEPER * (depth - 1)} "
            rows.append([f"{start}{branch.feature}", f"{start}{name}", *figures])
    if not rows:
        return
    output.emit_text("")
    columns = [output.Column("feature"), output.Column("fires on", shrinks=True)]
    output.emit_table([*columns, *output.right("r", "within", "covers"), output.Column("mutual")], rows)


def _walk(branches: Sequence[SplitFeature], depth: int) -> Iterator[tuple[int, SplitFeature]]:
    """Yield branches with their depth, each before those below it."""
    for branch in branches:
        yield depth, branch
        yield from _walk(branch.children, depth + 1)


def _json(tree: SplittingTree) -> dict[str, Any]:
    return {
        "runs": list(tree.names),
        "least_r": LEAST_R,
        "roots": [{"feature": root.feature, "children": _branches(root.children)} for root in tree.roots],
        "parentless": [list(features) for features in tree.parentless],
    }


def _branches(branches: Sequence[SplitFeature]) -> list[dict[str, Any]]:
    return [
        {
            "feature": branch.feature,
            "r": branch.r,
            "within": branch.within,
            "covers": branch.covers,
            "mutual": branch.mutual,
            "children": _branches(branch.children),
        }
        for branch in branches
    ]
