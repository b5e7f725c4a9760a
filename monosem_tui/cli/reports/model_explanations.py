"""Output of `monosem explain --by URL` and `--by hf:FOLDER`: what a language model says, and how well it holds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.explain import figures_line, with_interval
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import compact, count
from monosem_tui.draw.safe_text import printable
from monosem_tui.export.explanation_json import explained_json
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations, ExplanationScores, Figure
from store.settings.model_author import AuthorSettings

if TYPE_CHECKING:
    from engine.commands.explain import ModelReport, PlannedCalls

LISTED = 20
"""Features whose explanations are printed in full."""


def report(place: Place, features: Sequence[int], by: str, asked: AuthorSettings, *, again: bool, json: bool) -> None:
    """Have features explained by a model, and print its explanations, their scores and what they cost.

    Raises:
        MonosemError: a setting is wrong, or the model cannot be asked any more.
        KeyboardInterrupt: stopped on request.
    """
    from engine.commands.explain import ModelReport, author_of, explain_by_model

    found = ModelReport(author_of(by, asked))
    try:
        explain_by_model(place.path, features, by, asked, ConsoleProgress(), found, again=again)
    except (MonosemError, KeyboardInterrupt):
        if found.explained:
            output.narrate(f"{count(len(found.explained))} features were explained before; their explanations are kept")
        raise
    standing = Explanations.load(place.path)
    if json:
        output.emit_json([{"feature": one} | explained_json(one, None, standing) for one in features])
    elif len(features) <= LISTED:
        for feature in features:
            for one in standing.of(feature):
                if one.author == found.author:
                    _emit(one)
    for sentence in found.unexplained:
        output.narrate(sentence)
    by_author = standing.by(found.author)
    _narrate_summary(found, [by_author[feature] for feature in features if feature in by_author])


def plan(place: Place, features: Sequence[int], asked: AuthorSettings, *, json: bool) -> None:
    """Print how many calls, tokens and how much money explaining features takes; nothing is asked.

    Raises:
        MonosemError: the price cannot be read.
    """
    from engine.commands.explain import plan_calls

    with FeatureStore.open(place.path) as store:
        planned = plan_calls(store, features, asked)
    if json:
        output.emit_json(_plan_json(planned))
        return
    use, most = planned.estimate.use, planned.estimate.most
    output.emit_text(f"{count(planned.features)} features, about {count(planned.estimate.calls)} calls")
    output.emit_text(
        f"about {compact(use.prompt)} tokens of prompts and {compact(use.answer)} of answers; "
        f"at most {compact(most.prompt)} and {compact(most.answer)}"
    )
    if planned.money is None or planned.most_money is None:
        output.emit_text("money: give --price IN,OUT per million tokens")
    else:
        output.emit_text(f"about {planned.money:.4g} in the currency of --price; at most {planned.most_money:.4g}")


def _plan_json(planned: PlannedCalls) -> dict[str, int | float | None]:
    return {
        "features": planned.features,
        "calls": planned.estimate.calls,
        "prompt_tokens": planned.estimate.use.prompt,
        "answer_tokens": planned.estimate.use.answer,
        "most_prompt_tokens": planned.estimate.most.prompt,
        "most_answer_tokens": planned.estimate.most.answer,
        "money": planned.money,
        "most_money": planned.most_money,
    }


def _emit(one: Explanation) -> None:
    output.emit_text("\n    ".join([f"{one.feature}  {printable(one.text)}", *judged_lines(one.scores)]))
    if one.pattern is not None:
        which = "last token of " if one.last else ""
        output.emit_text(f"    {which}/{printable(one.pattern)}/  {figures_line(one.scores, one.threshold)}")
    output.emit_text(f"    {printable(one.made_from)}")


def judged_lines(scores: ExplanationScores) -> tuple[str, str]:
    """Return `detection 0.93 .88–.97 (random 0.99, same token 0.83)` and `fuzzing 0.90 .81–.97  control …`."""
    kinds = {
        "random": scores.detection_random,
        "same token": scores.detection_same_token,
        "neighbour": scores.detection_neighbour,
    }
    apart = ", ".join(f"{name} {one.value:.2f}" for name, one in kinds.items() if one is not None)
    control = f"  control {with_interval(scores.control)}" if scores.control else ""
    return (
        f"detection {with_interval(scores.detection)}" + (f" ({apart})" if apart else ""),
        f"fuzzing {with_interval(scores.fuzzing)}{control}",
    )


def _narrate_summary(found: ModelReport, standing: Sequence[Explanation]) -> None:
    account = found.account
    kept = f", {count(found.kept)} of them before" if found.kept else ""
    parts = []
    for name in ("detection", "fuzzing", "f1"):
        values = _values([getattr(one.scores, name) for one in standing])
        title = "F1 of patterns" if name == "f1" else name
        parts += [f"median {title} {median(values):.2f}"] if values else []
    controls = _values([one.scores.control for one in standing])
    if controls:
        mean = sum(controls) / len(controls)
        parts.append(f"detection by another feature's explanation {mean:.2f} (mean of {len(controls)})")
    output.narrate(f"{count(len(standing))} features explained by {printable(found.author)}{kept}")
    if parts:
        output.narrate("; ".join(parts))
    about = "" if account.use.counted else "about "
    tokens = f"{about}{compact(account.use.prompt)} + {compact(account.use.answer)} tokens"
    spent = f", for {account.money:.4f}" if account.price else ""
    output.narrate(f"{count(account.calls)} calls, {tokens}{spent}; {count(account.reused)} answers were known")


def _values(figures: Sequence[Figure | None]) -> list[float]:
    return [one.value for one in figures if one is not None]
