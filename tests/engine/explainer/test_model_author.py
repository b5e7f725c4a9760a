"""The whole way from an index to tested explanations, with an oracle that knows the planted truth as the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.endpoint import http_server
from engine.endpoint.account import Account, BudgetReached, TokenPrice
from engine.endpoint.answer_cache import AnswerCache
from engine.endpoint.http_server import Address, HttpServer
from engine.endpoint.question_queue import QuestionQueue
from engine.explainer.examination import Examination, JudgeSizes
from engine.explainer.model_author import ModelAuthor
from engine.runtime.interrupt import StopRequest
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations, Figure
from store.query.pattern_process import PatternScorer
from tests.engine.endpoint.chat_server import Body, ChatServer, Fault, Said, chat_server
from tests.engine.explainer.planted_store import NAMES, Oracle, PlantedText, planted_run
from tests.patience import PATIENCE

ALL = tuple(range(len(NAMES)))
SOME = (0, 5, 6)
SIZES = JudgeSizes(firing=12, silent=6, fuzzed=6, controls=len(NAMES))


@dataclass(frozen=True)
class World:
    path: Path
    text: PlantedText


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("planted") / "run"
    run, text = planted_run(folder)
    return World(run.path, text)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "FIRST_WAIT", 0.02)


@contextmanager
def author_of(
    world: World, server: ChatServer, cache: Path, account: Account | None = None, stop: StopRequest | None = None
) -> Iterator[ModelAuthor]:
    endpoint = HttpServer(Address.parse(server.url), "oracle", parallel=2, patience=5)
    queue = QuestionQueue(endpoint, AnswerCache(cache), account or Account(), stop or StopRequest())
    with FeatureStore.open(world.path) as store, PatternScorer(world.path, store.n_tokens) as scorer:
        yield ModelAuthor(store, queue, scorer, SIZES)


def explained(
    world: World, server: ChatServer, cache: Path, features: Sequence[int] = ALL, *, control: bool = False
) -> dict[int, Explanation]:
    with author_of(world, server, cache) as author, Silent().task("", None, "") as task:
        found = {one.feature: one for one in author.explanations(features, "oracle", task) if not isinstance(one, str)}
        return (
            {one.feature: one for one in author.controls(author.controlled(list(found.values())))} if control else found
        )


def value(figure: Figure | None) -> float:
    assert figure is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    return figure.value


def test_an_oracle_finds_the_planted_concepts_and_its_scores_say_so(world: World, tmp_path: Path) -> None:
    """Detection and fuzzing are high; another feature's explanation scores a half; patterns are exact."""
    with chat_server(Oracle(world.text)) as server:
        found = explained(world, server, tmp_path, control=True)
        calls = len(server.asked)
    assert {feature: one.text for feature, one in found.items()} == {
        feature: f"concept {feature}, {name}" for feature, name in enumerate(NAMES)
    }
    for one in found.values():
        assert value(one.scores.detection) >= 0.95, one
        assert value(one.scores.detection_random) >= 0.95
        assert one.scores.fuzzing is None or value(one.scores.fuzzing) >= 0.9, one
        assert "(AUROC)" in one.made_from
    assert sum(one.scores.fuzzing is not None for one in found.values()) >= len(NAMES) - 1
    controls = [value(one.scores.control) for one in found.values()]
    assert np.mean(controls) == pytest.approx(0.5, abs=0.05), controls
    for feature in range(5):  # words, whose pattern the oracle knows
        assert value(found[feature].scores.f1) >= 0.9
        assert found[feature].pattern == rf"\b{NAMES[feature]}\b"
    assert found[5].pattern is None and found[5].scores.f1 is None
    assert calls > 0


def test_a_noisy_oracle_scores_in_between_and_words_give_balanced_accuracy(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text, wrong=0.25, patterns={}), gives_logprobs=False) as server:
        found = explained(world, server, tmp_path, SOME)
    detection = [value(one.scores.detection) for one in found.values()]
    assert 0.65 <= np.mean(detection) <= 0.85
    assert all("(balanced accuracy)" in one.made_from for one in found.values())


def test_reasoning_no_use_and_passing_faults_change_nothing(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text)) as server:
        plain = explained(world, server, tmp_path / "plain", (0, 5))
    faults = [Fault(429, (("Retry-After", "0.05"),)), Fault(500), Fault(200, body=b"<html>"), Fault(200, breaks=True)]
    thinking = Oracle(world.text, prefix="<think>yes or no? PATTERN: no EXPLANATION: wrong</think>\n")
    with chat_server(thinking, states_use=False, gives_logprobs=False, faults=faults) as server:
        odd = explained(world, server, tmp_path / "odd", (0, 5))
        assert server.faults == []
    for feature in (0, 5):
        assert odd[feature].text == plain[feature].text and odd[feature].pattern == plain[feature].pattern
        assert odd[feature].scores.f1 == plain[feature].scores.f1
        assert value(odd[feature].scores.detection) >= 0.9


@pytest.mark.parametrize(
    "text", ["", "I am a language model.", "EXPLANATION:", "EXPLANATION: \x1b[2J\x07", "<think>EXPLANATION: never ends"]
)
def test_an_answer_that_is_no_explanation_is_one_line(world: World, tmp_path: Path, text: str) -> None:
    with chat_server(lambda body: Said(text)) as server, author_of(world, server, tmp_path) as author:
        with Silent().task("", None, "") as task:
            assert list(author.explanations((0, 1), "oracle", task)) == [
                f"feature {feature}: the answer is no explanation" for feature in (0, 1)
            ]
        assert len(server.asked) == 2


def test_a_judge_who_talks_nonsense_scores_a_half(world: World, tmp_path: Path) -> None:
    oracle = Oracle(world.text)

    def answer(body: Body) -> Said:
        return oracle(body) if "EXPLANATION" in body["messages"][0]["content"] else Said("purple monkey dishwasher")

    with chat_server(answer) as server:
        (one,) = explained(world, server, tmp_path, (0,)).values()
    for figure in (one.scores.detection, one.scores.fuzzing):
        assert figure is not None
        assert (figure.low, figure.value, figure.high) == pytest.approx((0.5, 0.5, 0.5))
    assert "of them not answered" in one.made_from and "AUROC" not in one.made_from


@pytest.mark.parametrize(
    ("pattern", "remark", "limit"),
    [
        ("(a+", "is not a regular expression", PATIENCE),
        ("zzzz", "matches nothing where the feature fires", PATIENCE),
        ("x" * 300, "too long", PATIENCE),
        (r"(\w+\s?)+zz", "takes too long to be matched", 1.0),
    ],
)
def test_a_bad_pattern_is_left_out_and_said(
    world: World, tmp_path: Path, pattern: str, remark: str, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.query.pattern_process.LIMIT_PER_TOKEN", 0.0)
    oracle = Oracle(world.text, patterns={name: pattern for name in NAMES})
    with chat_server(oracle) as server, author_of(world, server, tmp_path) as author:
        author._scorer._limit = limit
        with Silent().task("", None, "") as task:
            (one,) = author.explanations((0,), "oracle", task)
    assert isinstance(one, Explanation)
    assert remark in one.made_from and one.scores.f1 is None and one.scores.detection is not None


def test_work_that_stops_goes_on_for_nothing(world: World, tmp_path: Path) -> None:
    """A budget ends it; then everything is asked once, and a third time nothing."""
    price = TokenPrice(1.0, 1.0)
    with chat_server(Oracle(world.text, patterns={})) as server:
        account = Account(price, 0.01)
        found: list[Any] = []
        with (
            author_of(world, server, tmp_path, account) as author,
            Silent().task("", None, "") as task,
            pytest.raises(BudgetReached),
        ):
            found.extend(author.explanations(SOME, "oracle", task))
        assert 0 < account.money <= 0.01
        stopped = len(server.asked)
        whole = explained(world, server, tmp_path, SOME)
        assert len(whole) == len(SOME)
        requests = [hashlib.sha256(repr(body).encode()).digest() for body in server.asked]
        assert len(set(requests)) == len(requests) > stopped  # nothing was asked twice
        again = explained(world, server, tmp_path, SOME)
        assert len(server.asked) == len(requests)
    undated = [{f: {**vars(one), "date": 0} for f, one in some.items()} for some in (whole, again)]
    assert undated[0] == undated[1]


def test_an_estimate_comes_near_and_asks_nothing(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text, patterns={})) as server:
        account = Account()
        with author_of(world, server, tmp_path, account) as author:
            with FeatureStore.open(world.path) as store:
                estimate = Examination(store, SIZES).calls(SOME[:2], among=len(SOME))
            with Silent().task("", None, "") as task:
                one_by_one = [one for one in author.explanations(SOME, "oracle", task) if not isinstance(one, str)]
            list(author.controls(author.controlled(one_by_one)))
        assert estimate.calls == pytest.approx(len(server.asked), rel=0.15)
        sent = sum(len(turn["content"].encode()) for body in server.asked for turn in body["messages"])
    assert sent / 4 < estimate.use.prompt < 1.5 * sent / 4


def test_nobody_is_judged_on_what_the_explainer_saw(world: World, tmp_path: Path) -> None:
    """By documents, and word for word."""
    with chat_server(Oracle(world.text, patterns={})) as server:
        explained(world, server, tmp_path, (1, 6))
        asked = [[turn["content"] for turn in body["messages"]] for body in server.asked]
    shown, judged = set[str](), set[str]()
    for system, user in asked:
        for line in user.split("\n"):
            if "EXPLANATION" in system and line.startswith("- "):
                shown.add(Oracle(world.text)._plain(line[2:]))
            elif line.startswith("Text: "):
                judged.add(Oracle(world.text)._plain(line[6:]))
    assert shown and judged and not shown & judged


def test_a_key_changes_with_what_the_explanation_depends_on(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text, patterns={})) as server, author_of(world, server, tmp_path) as author:
        key = author.key
        author._sizes = JudgeSizes(firing=17)
        assert author.key != key


def test_explanations_are_stored_and_read_again(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text, patterns={})) as server:
        found = explained(world, server, tmp_path / "cache", (0, 6), control=True)
    file = Explanations(tmp_path / "explanations.jsonl")
    file.append(found.values())
    file.follow()
    assert {feature: file.of(feature)[0] for feature in (0, 6)} == found


def test_an_unknown_feature_is_refused(world: World, tmp_path: Path) -> None:
    with chat_server(Oracle(world.text, patterns={})) as server, author_of(world, server, tmp_path) as author:
        with Silent().task("", None, "") as task, pytest.raises(MonosemError, match="there is no feature 99"):
            list(author.explanations((99,), "oracle", task))
        assert server.asked == []
