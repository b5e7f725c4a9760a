"""The tables of a study, as text: titles of columns, rows, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monosem_tui.draw.numbers import compact, count, fixed, known, share
from monosem_tui.draw.safe_text import printable
from store.comparison.figures import LEVELS
from store.settings.feature_kinds import KINDS
from store.study.figures import CompletenessFigures, StudyFigures, StudyPair, StudyRun


@dataclass(frozen=True)
class Table:
    """A table of a report."""

    title: str
    note: str
    """Says in a sentence or two how its figures are measured."""
    columns: tuple[str, ...]
    """The first is text, the others are numbers."""
    rows: tuple[tuple[str, ...], ...]


def study_tables(figures: StudyFigures) -> list[Table]:
    """Return the tables that a study has figures for."""
    runs, pairs = figures.runs, figures.pairs
    found = [_quality(runs), _kinds(runs), _completeness(runs), _probes(runs), _universal(runs), _pairs(pairs)]
    return [table for table in [*found, _baselines(pairs)] if table.rows]


def _quality(runs: Sequence[StudyRun]) -> Table:
    rows = []
    for run in runs:
        rows.append(
            (
                printable(run.name),
                str(run.layer) if run.layer >= 0 else "–",
                printable(run.site),
                f"{run.arch} {run.d_sae} {run.sparsity}".strip(),
                known(run.tokens, compact, "–"),
                known(run.explained_variance, ".3f", "–"),
                known(run.explained_variance_ordinary, ".3f", "–"),
                known(run.l0, ".1f", "–"),
                "–" if run.alive is None else share(run.alive / run.d_sae),
                known(run.ce_recovered, ".3f", "–"),
                known(run.kl, ".3f", "–"),
            )
        )
    columns = ("run", "layer", "site", "dictionary", "tokens", "EV", "ordinary", "L0", "alive", "CE recovered", "KL")
    note = (
        "On text held out from the training: explained variance, the same without outlier tokens, active features per "
        "token, share of features that fire, cross-entropy recovered against zeros, and KL(clean ‖ reconstructed) in "
        "nats per token."
    )
    return Table("Quality", note, columns, tuple(rows))


def _kinds(runs: Sequence[StudyRun]) -> Table:
    rows = []
    for run in runs:
        judged = sum(run.kinds.values())
        if not judged:
            continue
        rules = run.rules
        rows.append(
            (
                printable(run.name),
                count(judged),
                *(share(run.kinds.get(kind, 0) / judged) for kind in KINDS),
                "–" if rules is None else count(rules.explained),
                "–" if rules is None else share(rules.share_f1_half),
                "–" if rules is None else share(rules.share_f1_high),
            )
        )
    note = (
        "Kinds by the share of a feature's variance that its token, the token before and its position explain. "
        "Explained: features that a rule was sought for, and the shares whose rule has F1 ≥ 0.5 and ≥ 0.8 on documents "
        "that it was not chosen on."
    )
    columns = ("run", "judged", *KINDS, "explained", "F1 ≥ 0.5", "F1 ≥ 0.8")
    return Table("Kinds of features, and rules that explain them", note, columns, tuple(rows))


def _completeness(runs: Sequence[StudyRun]) -> Table:
    rows = [
        (
            printable(run.name),
            printable(one.name),
            str(one.judged),
            _part(one.found, one),
            _part(one.found_by_several, one),
        )
        for run in runs
        for one in run.completeness
    ]
    note = (
        "Concepts that occur often enough to be judged, and the shares that one feature, and a set of up to five, "
        "detects with F1 ≥ 0.5 on documents that it was not chosen on."
    )
    return Table("Completeness", note, ("run", "list", "judged", "one feature", "up to five"), tuple(rows))


def _part(number: int, figures: CompletenessFigures) -> str:
    return share(number / figures.judged) if figures.judged else "–"


def _probes(runs: Sequence[StudyRun]) -> Table:
    probed = [(run, run.probes) for run in runs if run.probes is not None]
    rows = [(printable(run.name), *(f"{one:.3f}" for one in probes.accuracy)) for run, probes in probed]
    sizes = probed[0][1].sizes if probed else ()
    labels = ", ".join(printable(label) for label in probed[0][1].labels) if probed else ""
    note = (
        f"Balanced accuracy of telling each label ({labels}) from the others by the mean activations of its best "
        "features, chosen on half of the documents and judged on the other; 0.5 is chance."
    )
    columns = ("run", *(f"{size} feature{'s' * (size > 1)}" for size in sizes))
    return Table("Sparse probes", note, columns, tuple(rows))


def _universal(runs: Sequence[StudyRun]) -> Table:
    rows = []
    for run in runs:
        for one in run.universal:
            other = "its other seeds" if one.model == run.model else printable(one.model)
            rows.append((printable(run.name), other, count(one.judged), share(one.share), fixed(one.median_r)))
    note = (
        "Share of a run's judged features that have a partner with r ≥ 0.7 in any run of the other model with the same "
        "dictionary settings, at whatever layer; the best of them counts."
    )
    return Table("Universal features", note, ("run", "sought in", "judged", "share", "median r"), tuple(rows))


def _pairs(pairs: Sequence[StudyPair]) -> Table:
    rows = []
    for pair in pairs:
        for own, other in ((0, 1), (1, 0)):
            side = pair.summary.sides[own]
            names = (pair.first, pair.second)
            shifted = side.shifted
            rows.append(
                (
                    f"{printable(names[own])} in {printable(names[other])}",
                    count(side.judged),
                    fixed(side.found.median_r),
                    *(share(one) for one in side.found.share_r),
                    share(side.mutual),
                    "–" if pair.summary.pw_mcc is None else f"{pair.summary.pw_mcc:.3f}",
                    share(side.energy),
                    "–" if shifted is None else fixed(shifted.median_r),
                )
            )
    levels = tuple(f"r > {level:g}" for level in LEVELS)
    note = (
        "Runs that differ in one thing: in model or layer, in seed, or in the dictionary. "
        "Each judged feature of the first run with its best partner in the second: r over shared units of text, "
        "chosen on half of the documents and measured on the other. PW-MCC: mean |cosine| of decoders matched one to "
        "one, where they share a space. Energy: in features of r ≥ 0.7. By chance: with the second run's text shifted."
    )
    columns = ("pair", "judged", "median r", *levels, "mutual", "PW-MCC", "energy", "by chance")
    return Table("Pairs of runs", note, columns, tuple(rows))


def _baselines(pairs: Sequence[StudyPair]) -> Table:
    rows = []
    for pair in pairs:
        names = (pair.first, pair.second)
        for own, side in enumerate(pair.summary.sides):
            for one in side.baselines:
                what = _BASELINES[one.name].format(own=printable(names[own]), other=printable(names[1 - own]))
                rows.append((what, fixed(one.found.median_r), *(share(part) for part in one.found.share_r)))
    rows = list(dict.fromkeys(rows))
    note = "The same figures with a baseline in place of one of the runs, or of both."
    return Table("Baselines", note, ("pair", "median r", *(f"r > {level:g}" for level in LEVELS)), tuple(rows))


_BASELINES = {
    "random": "{own} in {other}:random",
    "seed": "{own} in {own}:seed",
    "features_neurons": "{own} in {other}:neurons",
    "neurons": "{own}:neurons in {other}:neurons",
}
