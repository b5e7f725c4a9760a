"""Explaining features by a model: the whole command but its printing, with an oracle behind a real server."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.commands.explain import ModelReport, author_of, explain_by_model, plan_calls
from engine.endpoint import http_server
from engine.endpoint.account import BudgetReached
from engine.endpoint.answer_cache import cache_home
from store.files.errors import MonosemError, WorkFailed
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations
from store.settings.model_author import KEY_NAME, AuthorSettings
from tests.engine.endpoint.chat_server import ChatServer, Fault, chat_server
from tests.engine.explainer.planted_store import Oracle, PlantedText, planted_run
from tests.engine.trainings import Spoken

SOME = (0, 6)
ASKED: dict[str, Any] = {"model": "oracle", "texts": 8, "parallel": 2, "patience": 5.0}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedText]:
    run, text = planted_run(tmp_path_factory.mktemp("planted") / "run", documents=200)
    return run.path, text


@pytest.fixture
def run(planted: tuple[Path, PlantedText], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(KEY_NAME, raising=False)
    monkeypatch.setattr(http_server, "FIRST_WAIT", 0.02)
    return Path(shutil.copytree(planted[0], tmp_path / "run"))


@pytest.fixture
def server(planted: tuple[Path, PlantedText]) -> Iterator[ChatServer]:
    with chat_server(Oracle(planted[1], patterns={})) as served:
        yield served


def explain(
    run: Path, server: ChatServer, features: Sequence[int] = SOME, progress: Spoken | None = None, **changes: Any
) -> ModelReport:
    report = ModelReport("oracle")
    asked = AuthorSettings(**(ASKED | changes))
    explain_by_model(run, features, server.url, asked, progress or Spoken(), report)
    return report


def standing(run: Path) -> dict[int, Explanation]:
    return Explanations.load(run).by("oracle")


def test_explanations_stand_in_the_run_and_are_not_made_again(run: Path, server: ChatServer) -> None:
    report = explain(run, server)
    assert [one.feature for one in report.explained] == list(SOME) and report.kept == 0
    found = standing(run)
    assert found == {one.feature: one for one in report.explained}
    assert all(one.scores.detection and one.scores.control for one in found.values())
    calls, before = len(server.asked), (run / "explanations.jsonl").read_bytes()
    assert report.account.calls == calls
    again = explain(run, server)
    assert (again.kept, again.explained, again.account.calls) == (2, [], 0)
    assert (run / "explanations.jsonl").read_bytes() == before
    more = explain(run, server, (*SOME, 5))
    assert [one.feature for one in more.explained] == [5] and more.kept == 2
    (run / "explanations.jsonl").unlink()
    asked = len(server.asked)
    free = explain(run, server)
    assert len(server.asked) == asked and free.account.reused > 0  # the answers were kept
    undated = [{**vars(one), "date": 0} for one in free.explained]
    assert undated == [{**vars(one), "date": 0} for one in report.explained]


def test_other_texts_are_another_explanation(run: Path, server: ChatServer) -> None:
    explain(run, server, (0,))
    key = standing(run)[0].key
    assert [one.feature for one in explain(run, server, (0,), seed=1).explained] == [0]
    assert standing(run)[0].key != key


def test_a_dead_feature_is_asked_nothing_about(run: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.explainer.excerpts import ExcerptSampler, ShownExcerpts

    monkeypatch.setattr(ExcerptSampler, "shown", lambda self, feature: ShownExcerpts((), (), (), ()))
    report = explain(run, server, (0,))
    assert server.asked == [] and not report.explained
    assert report.unexplained == ["feature 0: it does not fire in the half of the documents to explain it by"]


def test_the_key_is_that_of_the_named_variable_and_in_no_file(
    run: Path, server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    server.key = "sk-0123456789"
    heard = Spoken()
    with pytest.raises(MonosemError, match="refuses a call without a key"):
        explain(run, server, progress=heard)
    assert set(server.keys) == {""}
    monkeypatch.setenv("MY_KEY", server.key)
    explain(run, server, (0,), progress=heard, key_name="MY_KEY")
    monkeypatch.setenv(KEY_NAME, "sk-9999999999")
    with pytest.raises(MonosemError, match=rf"refuses the key in \${KEY_NAME}") as caught:
        explain(run, server, (5,))
    said = str(caught.value) + " ".join(heard.said)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".h5")
    assert "sk-" not in said and b"sk-0123456789" not in files and b"sk-9999" not in files


def test_no_server_is_one_line_and_leaves_nothing(run: Path, server: ChatServer) -> None:
    report = ModelReport("m")
    with pytest.raises(WorkFailed, match="there is no server at"):
        explain_by_model(run, SOME, "http://127.0.0.1:9", AuthorSettings(**ASKED), Spoken(), report)
    assert not (run / "explanations.jsonl").exists() and list(cache_home().iterdir()) == []


def test_a_budget_keeps_what_was_made_and_goes_on(run: Path, server: ChatServer) -> None:
    report = ModelReport("oracle")
    asked = AuthorSettings(**(ASKED | {"price": "1,1", "budget": 0.0}))
    with pytest.raises(BudgetReached, match="nothing was asked"):
        explain_by_model(run, SOME, server.url, asked, Spoken(), report)
    assert server.asked == []
    with pytest.raises(BudgetReached):
        explain(run, server, price="1,1", budget=0.003)
    whole = explain(run, server, price="1,1", budget=100.0)
    bodies = [repr(body) for body in server.asked]
    assert len(whole.explained) + whole.kept == 2 and len(set(bodies)) == len(bodies)


def test_an_interrupt_keeps_answers(run: Path, server: ChatServer) -> None:
    server.seconds = 0.05
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        explain(run, server)
    asked, server.seconds = len(server.asked), 0.0
    assert 0 < asked == len(list(cache_home().rglob("*.json")))
    assert len(explain(run, server).explained) == 2
    bodies = [repr(body) for body in server.asked]
    assert len(set(bodies)) == len(bodies) > asked


def test_a_full_disk_loses_no_answer(run: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """explanations.jsonl cannot be written: its explanations cost nothing the next time."""
    with monkeypatch.context() as patch:
        patch.setattr(Explanations, "append", lambda self, some: (_ for _ in ()).throw(MonosemError("no space left")))
        with pytest.raises(MonosemError, match="no space left"):
            explain(run, server)
    asked = len(server.asked)
    report = explain(run, server)
    assert len(report.explained) == 2 and report.account.reused > 0
    assert len({repr(body) for body in server.asked}) == len(server.asked) > asked


def test_a_server_that_hangs_for_good_is_one_line(run: Path, server: ChatServer) -> None:
    server.faults = [Fault(hangs=True)] * 20
    with pytest.raises(WorkFailed, match=r"did not answer in 6 tries: no answer within 0\.1 s"):
        explain(run, server, patience=0.1)


def test_the_plan_asks_nothing(run: Path) -> None:
    with FeatureStore.open(run) as store:
        plan = plan_calls(store, SOME, AuthorSettings(price="1,2", texts=8))
        without = plan_calls(store, SOME, AuthorSettings(texts=8))
    assert plan.money is not None and plan.most_money is not None and 0 < plan.money < plan.most_money
    assert plan.money == pytest.approx((plan.estimate.use.prompt + 2 * plan.estimate.use.answer) / 1e6)
    assert without.money is None and without.estimate == plan.estimate


def test_names() -> None:
    assert author_of("http://x:1/v1", AuthorSettings(model="gpt")) == "gpt"
    assert author_of("http://x:1/v1?k=secret", AuthorSettings()) == "http://x:1/v1"
    assert author_of("hf:/models/small", AuthorSettings()) == "small"
    for by, model in (("hf:", ""), ("http://x", "rules")):
        with pytest.raises(MonosemError, match="gives the author no name"):
            author_of(by, AuthorSettings(model=model))


def test_what_goes_over_a_network_in_clear_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.commands.explain import open_endpoint

    monkeypatch.setenv(KEY_NAME, "sk-1")
    heard = Spoken()
    for by in ("http://10.0.0.1/v1", "https://x.com", "http://127.0.0.1:1"):
        open_endpoint(by, AuthorSettings(), heard)
    assert heard.said == ["texts and the key go to 10.0.0.1 unencrypted: its address begins with http:"]
