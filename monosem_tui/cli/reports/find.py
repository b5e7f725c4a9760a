"""`monosem find RUN PATTERN` and `--labels FILE`: which features tell some tokens from the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports.detector_names import DetectorNames, names_of
from monosem_tui.cli.reports.feature import narrate_unfinished, read_notes
from monosem_tui.cli.run_lookup import Place
from monosem_tui.cli.sources import FoundSource
from monosem_tui.draw.numbers import activation, count, known
from monosem_tui.draw.safe_text import cut
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.query.detectors import NeuronDetectors, open_detectors
from store.query.find import FeatureScore, FindOptions, Found, Question, SetScore, UnevenHalves, find
from store.query.labels import apply_labels, label_questions, read_labels
from store.query.pattern_search import Inquiry, search_pattern
from store.query.scores import Interval, Tally

LABEL = 14
"""Cells for a label of the file at most."""
_SCORES = (
    output.Column("id", ">"),
    output.Column("fires on", shrinks=True),
    output.Column("from", ">"),
    output.Column("precision"),
    output.Column("recall"),
    output.Column("F1"),
    output.Column("AUROC", ">"),
)
_LABELS = (
    output.Column("label", shrinks=True),
    output.Column("tokens", ">"),
    output.Column("id", ">"),
    output.Column("precision", ">"),
    output.Column("recall", ">"),
    output.Column("F1"),
    output.Column("AUROC", ">"),
    output.Column("set's F1"),
)


def report_pattern(source: FoundSource, inquiry: Inquiry, *, json: bool) -> None:
    """Print the features or neurons that track a regular expression.

    Raises:
        MonosemError: it is not one, nothing matches, or there is no index.
    """
    with FeatureStore.open(source.place.path) as store, open_detectors(store, source.neurons) as neurons:
        names = names_of(source, store, neurons)
        found = _answer(store, inquiry, neurons)
        if json:
            asked = {
                "pattern": inquiry.pattern,
                "is_rule": inquiry.rule,
                "tokens": inquiry.tokens,
                "last": inquiry.last,
                "role": inquiry.role,
            }
            head = _head_json(store, inquiry.options, ordinary=inquiry.ordinary)
            output.emit_json({**asked, **head, **_found_json(found, names)})
            return
        narrate_unfinished(store)
        output.emit_text(_matched(store, inquiry, found))
        _emit_outliers(store, ordinary=inquiry.ordinary)
        output.emit_table(_SCORES, [_row(names, score) for score in found.results])
        _emit_set(found.union, names)
        output.emit_text(_caution(inquiry.options, names.what, "documents" if inquiry.rule else "contexts"))


def _matched(store: FeatureStore, inquiry: Inquiry, found: Found) -> str:
    """`12 of 3 400 tokens match the`; with a role, of the tokens of its turns."""
    noun = store.plan.noun.many
    if not inquiry.pattern:
        return f"{count(found.matched)} of {count(found.scored)} {noun} are {inquiry.role}'s"
    asked_N, whose = store.layout.counted_tokens(ordinary=inquiry.ordinary), ""
    if inquiry.role is not None:
        asked_N, whose = asked_N & store.layout.tokens_of(inquiry.role), f"{inquiry.role}'s "
    what = "are those of" if inquiry.rule else "end a match of" if inquiry.last else "match"
    return f"{count(found.matched)} of {count(int(asked_N.sum()))} {whose}{noun} {what} {inquiry.pattern}"


def report_labels(place: Place, file: str, options: FindOptions, *, ordinary: bool, json: bool) -> None:
    """Print, for each label of a file, the features that tell its text from that of the others.

    Raises:
        MonosemError: the file says nothing of the indexed corpus, or there is no index.
    """
    said = read_labels(file)
    with FeatureStore.open(place.path) as store:
        names = DetectorNames(store, read_notes(place), Explanations.load(place.path))
        labels = apply_labels(store, said)
        questions = label_questions(store, labels, ordinary=ordinary)
        answers = dict(_answers(store, questions, options))
        if json:
            head = {"labels_file": file, "found": labels.found, "missing": labels.missing}
            head |= _head_json(store, options, ordinary=ordinary)
            each = [{"label": name, **_found_json(found, names)} for name, found in answers.items()]
            output.emit_json({**head, "contradictions": labels.contradictions, "labels": each})
            return
        narrate_unfinished(store)
        output.emit_text(_coverage(labels.found, labels.missing, labels.contradictions))
        _emit_outliers(store, ordinary=ordinary)
        output.emit_table(_LABELS, [_label_row(name, found) for name, found in answers.items()])
        output.emit_text(_caution(options, names.what))


def _answers(store: FeatureStore, questions: list[Question], options: FindOptions) -> Iterator[tuple[str, Found]]:
    """Yield the answer of each label; report those that cannot be halved."""
    for question in questions:
        try:
            yield question.name, find(store, question, options)
        except UnevenHalves as error:
            output.narrate(f"left out: {error.what}")


def _answer(store: FeatureStore, inquiry: Inquiry, neurons: NeuronDetectors | None) -> Found:
    """Return the whole answer; a bar moves meanwhile."""
    reports, n_tokens, done = search_pattern(store, inquiry, detectors=neurons), store.n_tokens, 0
    with _bar("matching", n_tokens, "tokens") as advance:
        for report in reports:
            advance(round(report.matched * n_tokens) - done)
            done = round(report.matched * n_tokens)
            if done == n_tokens:
                break
    found, done = None, 0
    with _bar("reading activations", 100, "%") as advance:
        for report in reports:
            found = report.found
            assert found is not None
            advance(round(100 * found.done) - done)
            done = round(100 * found.done)
    assert found is not None
    return found


def _unseen(amount: int) -> None:
    """Ignore progress where there is no bar."""
    del amount


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Return a function that advances a bar on a terminal, and does nothing in a log: the work takes seconds."""
    if not output.is_screen(sys.stderr):
        yield _unseen
        return
    from monosem_tui.cli.progress import ConsoleProgress

    with ConsoleProgress(live=True).task(title, total, unit) as bar:
        yield bar.advance


def _caution(options: FindOptions, what: str, halved: str = "contexts") -> str:
    if options.held_out:
        return (
            f"Features and thresholds chosen on half of the {halved}, measured on the others;\nintervals are of 95 %."
        )
    return (
        f"Intervals are of 95 %, for a feature and threshold given beforehand: the best of\n"
        f"{what} looks better than it is. --held-out measures on other {halved}."
    )


def _coverage(found: int, missing: int, contradictions: int) -> str:
    said = f"{count(found)} of {count(found + missing)} labelled texts are in the index"
    return said + (f"; {count(contradictions)} with several labels left out" if contradictions else "")


def _row(names: DetectorNames, score: FeatureScore) -> list[str]:
    number, name = names.of(score.choice.feature)
    auroc = known(score.auroc, ".3f", "–")
    return [number, name, activation(names.threshold(score.choice)), *_figures(score.tally), auroc]


def _label_row(label: str, found: Found) -> list[str]:
    if not found.results:  # no feature fires on any of its tokens
        return [cut(output.one_line(label), LABEL), count(found.matched), *"––––––"]
    best = found.results[0]
    return [
        cut(output.one_line(label), LABEL),
        count(found.matched),
        str(best.choice.feature),
        f"{best.tally.precision:.2f}",
        f"{best.tally.recall:.2f}",
        _figures(best.tally)[2],
        known(best.auroc, ".3f", "–"),
        _figures(found.union.tally)[2] if found.union else "–",
    ]


def _emit_set(union: SetScore | None, names: DetectorNames) -> None:
    if union is None or len(union.choices) < 2:
        return
    precision, recall, f1 = _figures(union.tally)
    ids = " ".join(names.of(choice.feature)[0] for choice in union.choices)
    output.emit_text(f"together  {ids}")
    output.emit_text(f"          precision {precision}  recall {recall}  F1 {f1}")


def _figures(tally: Tally) -> tuple[str, str, str]:
    """`0.54 .51–.58` for precision and recall, `0.210 .19–.23` for F1."""
    return (
        f"{tally.precision:.2f} {_interval(tally.precision_ci)}",
        f"{tally.recall:.2f} {_interval(tally.recall_ci)}",
        f"{tally.f1:.3f} {_interval(tally.f1_ci)}",
    )


def _interval(interval: Interval) -> str:
    low, high = (f"{end:.2f}".removeprefix("0") for end in interval)
    return f"{low}–{high}"


def _emit_outliers(store: FeatureStore, *, ordinary: bool) -> None:
    """Say whether outliers count, where there are any."""
    if number := len(store.layout.outliers):
        what = "are left out" if ordinary else "count like others: --ordinary leaves them out"
        output.emit_text(f"{count(number)} outlier {store.plan.noun.many} {what}")


def _head_json(store: FeatureStore, options: FindOptions, *, ordinary: bool) -> dict[str, Any]:
    return {
        "outlier_tokens": len(store.layout.outliers),
        "ordinary": ordinary,
        "counted_tokens": store.n_counted,
        "complete": store.complete,
        "held_out": options.held_out,
        "by": options.by,
    }


def _found_json(found: Found, names: DetectorNames) -> dict[str, Any]:
    """Return the keys that programs rely on: add, never rename."""
    return {
        "matched_tokens": found.matched,
        "scored_tokens": found.scored,
        "measured_tokens": found.measured,
        "results": [_score_json(score, names) for score in found.results],
        "set": None if found.union is None else _set_json(found.union, names),
    }


def _score_json(score: FeatureScore, names: DetectorNames) -> dict[str, Any]:
    return {
        **names.json(score.choice.feature),
        **_tally_json(score.tally),
        "auroc": score.auroc,
        "threshold": names.threshold(score.choice),
        "n_active": score.n_active,
    }


def _set_json(union: SetScore, names: DetectorNames) -> dict[str, Any]:
    return {
        "features": [names.json(choice.feature)["feature"] for choice in union.choices],
        "thresholds": [names.threshold(choice) for choice in union.choices],
        **_tally_json(union.tally),
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "precision": tally.precision,
        "recall": tally.recall,
        "f1": tally.f1,
        "precision_ci": list(tally.precision_ci),
        "recall_ci": list(tally.recall_ci),
        "f1_ci": list(tally.f1_ci),
        "hits": tally.hits,
        "fired": tally.fired,
    }
