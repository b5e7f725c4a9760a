"""`monosem explain --by URL` and `--by hf:FOLDER`: explanations that a language model writes, and that are tested."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.endpoint.account import Account, TokenPrice
from engine.endpoint.answer_cache import AnswerCache, cache_home
from engine.endpoint.chat import Endpoint
from engine.endpoint.http_server import Address, HttpServer
from engine.endpoint.question_queue import QuestionQueue
from engine.explainer.examination import CallEstimate, Examination, JudgeSizes
from engine.explainer.model_author import ModelAuthor
from engine.model.model_files import find_model
from engine.runtime.interrupt import stop_request
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import LONGEST_AUTHOR, RULES, Explanation, Explanations
from store.query.pattern_process import PatternScorer
from store.settings.model_author import AuthorSettings

LOCAL = "hf:"
SAMPLED = 12
"""Features whose calls are counted for an estimate."""


@dataclass
class ModelReport:
    """The result of explaining features by a model."""

    author: str
    explained: list[Explanation] = field(default_factory=list)
    """Explanations made now, in order of features; controlled ones with their control."""
    kept: int = 0
    """Features whose explanation by this author was there already, made in the same way."""
    unexplained: list[str] = field(default_factory=list)
    """A sentence for each feature without an explanation."""
    account: Account = field(default_factory=Account)


@dataclass(frozen=True)
class PlannedCalls:
    """The calls that explaining some features takes."""

    features: int
    estimate: CallEstimate
    money: float | None
    """About; None without a price."""
    most_money: float | None


def plan_calls(store: FeatureStore, features: Sequence[int], asked: AuthorSettings) -> PlannedCalls:
    """Return the calls, tokens and money that explaining features takes, without any call.

    Raises:
        MonosemError: the price is none, or there is no such feature.
    """
    price = None if asked.price is None else TokenPrice.parse(asked.price)
    step = max(1, len(features) // SAMPLED)
    estimate = Examination(store, sizes_of(asked)).calls(features[::step][:SAMPLED], among=len(features))
    about, most = (None, None) if price is None else (price.of(estimate.use), price.of(estimate.most))
    return PlannedCalls(len(features), estimate, about, most)


def explain_by_model(
    path: Path,
    features: Sequence[int],
    by: str,
    asked: AuthorSettings,
    progress: Progress,
    report: ModelReport,
    *,
    again: bool = False,
) -> None:
    """Explain features, test each explanation, and append it to explanations.jsonl as soon as it is made.

    `report` is filled on the way, so it is true of work that stops as well.

    Args:
        path: a run folder, or an index file.
        features: their numbers.
        by: the address of a server, or `hf:FOLDER`.
        asked: how.
        progress: receives reports.
        report: to fill; its author is that of `author_of`.
        again: make explanations again that are there already. Known answers are not asked for again.

    Raises:
        MonosemError: a setting is wrong, the model cannot be asked, or explanations cannot be written.
        KeyboardInterrupt: stopped on request; everything so far is kept.
    """
    report.account = Account(None if asked.price is None else TokenPrice.parse(asked.price), asked.budget)
    present = Explanations.load(path)
    cache = AnswerCache(cache_home())
    with FeatureStore.open(path) as store:
        for feature in features:
            store.check_feature(feature)
        endpoint = open_endpoint(by, asked, progress)
        with PatternScorer(path, store.n_tokens) as scorer, stop_request() as stop, cache.room():
            author = ModelAuthor(store, QuestionQueue(endpoint, cache, report.account, stop), scorer, sizes_of(asked))
            known = present.by(report.author)
            todo = [one for one in features if again or one not in known or known[one].key != author.key]
            report.kept = len(features) - len(todo)
            with progress.task("explaining", len(features), "features", report.kept) as task:
                for one in author.explanations(todo, report.author, task):
                    if isinstance(one, str):
                        report.unexplained.append(one)
                    else:
                        present.append([one])
                        report.explained.append(one)
            _control(author, present, report, features, progress)


def _control(
    author: ModelAuthor, present: Explanations, report: ModelReport, features: Sequence[int], progress: Progress
) -> None:
    """Judge some features by another one's explanation, where that is not done yet."""
    present.follow()
    standing = present.by(report.author)
    explained = [standing[one] for one in features if one in standing and standing[one].key == author.key]
    place = {one.feature: number for number, one in enumerate(report.explained)}
    chosen = author.controlled(explained)
    if all(one.scores.control is not None for one, _ in chosen):
        return
    with progress.task("judging by other features' explanations", len(chosen), "features") as task:
        for one in author.controls(chosen):
            if standing[one.feature] != one:
                present.append([one])
            if one.feature in place:
                report.explained[place[one.feature]] = one
            task.advance(1)


def author_of(by: str, asked: AuthorSettings) -> str:
    """Return the name under which a model's explanations stand: its own, or that of its server or folder.

    Raises:
        MonosemError: `by` is neither an address nor a folder's name.
    """
    if by.startswith(LOCAL):
        name = Path(by.removeprefix(LOCAL)).name
    else:
        address = Address.parse(by)
        name = asked.model or str(address)
    name = "".join(letter for letter in name if letter.isprintable()).strip()[:LONGEST_AUTHOR]
    if not name or name == RULES:
        raise MonosemError(f"{by[:80]!r} gives the author no name", "Name the model with `model`.")
    return name


def open_endpoint(by: str, asked: AuthorSettings, progress: Progress) -> Endpoint:
    """Return the model that is to be asked; a server is not called yet.

    Raises:
        MonosemError: the address or the key is none, or there is no such folder.
    """
    if by.startswith(LOCAL):
        find_model(by.removeprefix(LOCAL), progress)  # a missing folder is refused before torch is imported
        from engine.endpoint.local_model import LocalModel

        return LocalModel(by, asked.device, progress)
    address, key = Address.parse(by), os.environ.get(asked.key_name, "")
    if address.in_clear:
        progress.say(
            f"texts{' and the key' if key else ''} go to {address.host} unencrypted: its address begins with http:"
        )
    return HttpServer(
        address, asked.model, key=key, key_name=asked.key_name, parallel=asked.parallel, patience=asked.patience
    )


def sizes_of(asked: AuthorSettings) -> JudgeSizes:
    """Return the sizes of the tests."""
    half = asked.texts // 2
    return JudgeSizes(asked.texts, half, half, asked.controls, asked.reasoning, asked.seed)
