"""Many questions: each asked once, several at a time, within a budget; and nothing lost when the work stops."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.endpoint import answer_cache, http_server
from engine.endpoint.account import Account, BudgetReached, TokenPrice
from engine.endpoint.answer_cache import AnswerCache, cache_home
from engine.endpoint.chat import ChatRequest, TokenUse, chat
from engine.endpoint.http_server import Address, HttpServer
from engine.endpoint.question_queue import QuestionQueue
from engine.runtime.interrupt import StopRequest
from store.files.errors import MonosemError
from tests.engine.endpoint.chat_server import Body, ChatServer, Fault, Said, chat_server

PRICE = TokenPrice(1.0, 2.0)


def parrot(body: Body) -> Said:
    return Said("it is " + body["messages"][-1]["content"], 0.5)


def requests(n: int, start: int = 0) -> list[ChatRequest]:
    return [ChatRequest(chat("Say it.", f"number {i}"), 9) for i in range(start, start + n)]


def texts(n: int) -> list[str]:
    return [f"it is number {i}" for i in range(n)]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(parrot) as served:
        yield served


def queue_of(
    server: ChatServer,
    folder: Path,
    account: Account | None = None,
    stop: StopRequest | None = None,
    parallel: int = 3,
) -> QuestionQueue:
    endpoint = HttpServer(Address.parse(server.url), "oracle", parallel=parallel, patience=20)
    return QuestionQueue(endpoint, AnswerCache(folder), account or Account(), stop or StopRequest())


def test_answers_come_in_order_each_asked_once_and_several_at_a_time(server: ChatServer, tmp_path: Path) -> None:
    server.seconds = 0.03
    queue = queue_of(server, tmp_path)
    asked = requests(9)
    assert [one.text for one in queue.answers([*asked, *asked])] == texts(9) * 2
    assert len(server.asked) == 9
    assert 2 <= server.most_at_once <= 3
    spent = Account()
    again = queue_of(server, tmp_path, spent).answers(asked)
    assert [one.text for one in again] == texts(9)
    assert len(server.asked) == 9 and (spent.calls, spent.reused) == (0, 9)


def test_an_answer_is_the_same_from_disk(server: ChatServer, tmp_path: Path) -> None:
    (request,) = [ChatRequest(one.turns, 9, logprobs=True) for one in requests(1)]
    first = queue_of(server, tmp_path).answers([request])
    assert first[0].tokens
    assert queue_of(server, tmp_path).answers([request]) == first
    assert len(server.asked) == 1


def test_another_question_or_another_model_is_asked(server: ChatServer, tmp_path: Path) -> None:
    (one,) = requests(1)
    queue_of(server, tmp_path).answers([one, ChatRequest(one.turns, 8), ChatRequest(one.turns, 9, seed=1)])
    assert len(server.asked) == 3
    endpoint = HttpServer(Address.parse(server.url), "another")
    QuestionQueue(endpoint, AnswerCache(tmp_path), Account(), StopRequest()).answers([one])
    assert len(server.asked) == 4


def test_files_hold_no_request_and_are_private(server: ChatServer, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    server.answer = lambda body: Said("fine")
    endpoint = HttpServer(Address.parse(server.url), "oracle", key="sk-12345678", key_name="K")
    queue = QuestionQueue(endpoint, AnswerCache(folder), Account(), StopRequest())
    with queue.cache.room():
        queue.answers([ChatRequest(chat("a", "corpus text"), 5)])
    (path,) = folder.rglob("*.json")
    assert "corpus" not in path.read_text() and "sk-" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0 and folder.stat().st_mode & 0o077 == 0
    assert [one.name for one in folder.iterdir()] == [path.parent.name]  # the ballast is gone


@pytest.mark.parametrize("content", [b"", b"{}", b"[[", b'{"request": "0", "answer": {"text": "x", "use": {}}}'])
def test_a_damaged_file_is_asked_again(content: bytes, server: ChatServer, tmp_path: Path) -> None:
    queue_of(server, tmp_path).answers(requests(1))
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(content)
    assert queue_of(server, tmp_path).answers(requests(1))[0].text == "it is number 0"
    assert len(server.asked) == 2


def test_trouble_keeps_what_was_answered(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "TRIES", 1)
    server.faults = [*[Fault(200, body=b'{"choices": [{"message": {"content": "it is number 0"}}]}')], Fault(500)]
    with pytest.raises(MonosemError, match="did not answer in 1 tries"):
        queue_of(server, tmp_path, parallel=1).answers(requests(5))
    assert len(server.asked) == 2
    assert [one.text for one in queue_of(server, tmp_path).answers(requests(5))] == texts(5)
    assert len(server.asked) == 6  # one was known


def test_stopping_lets_what_is_under_way_end(server: ChatServer, tmp_path: Path) -> None:
    stop, server.seconds = StopRequest(), 0.2
    threading.Timer(0.1, lambda: setattr(stop, "asked", True)).start()
    with pytest.raises(KeyboardInterrupt):
        queue_of(server, tmp_path, stop=stop).answers(requests(30))
    asked = len(server.asked)
    assert asked < 30
    assert len(list(tmp_path.rglob("*.json"))) == asked  # all that was asked is kept
    server.seconds = 0
    assert [one.text for one in queue_of(server, tmp_path).answers(requests(30))] == texts(30)
    assert len(server.asked) == 30


def test_a_second_interrupt_ends_calls_that_hang(server: ChatServer, tmp_path: Path) -> None:
    server.faults = [Fault(hangs=True)] * 20
    stop = StopRequest()
    queue = queue_of(server, tmp_path, stop=stop)

    def interrupt() -> None:
        raise KeyboardInterrupt

    class Interrupting(StopRequest):
        began = time.monotonic()

        @property
        def asked(self) -> bool:  # type: ignore[override]
            if time.monotonic() - self.began > 0.3:
                interrupt()
            return False

        @asked.setter
        def asked(self, value: bool) -> None: ...

    queue.stop = Interrupting()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        queue.answers(requests(3))
    assert time.monotonic() - began < 10  # its patience is 20


def test_a_budget_is_never_exceeded(server: ChatServer, tmp_path: Path) -> None:
    (one,) = requests(1)
    most = PRICE.most(one)
    account = Account(PRICE, 3.5 * most)
    with pytest.raises(BudgetReached, match=r"the budget of .* is used up: \d+ calls") as caught:
        queue_of(server, tmp_path, account).answers(requests(50))
    assert "larger `budget`" in caught.value.hint
    assert 3 < account.calls < 50 and account.money <= 3.5 * most
    assert account.money == pytest.approx(account.use.prompt * 1e-6 + account.use.answer * 2e-6)
    assert account.money + most > 3.5 * most  # one more might not have fitted
    before = len(server.asked)
    assert [one.text for one in queue_of(server, tmp_path).answers(requests(50))] == texts(50)
    assert len(server.asked) == 50 and before == account.calls


def test_a_server_that_counts_nothing_is_paid_as_if_it_were_the_most(server: ChatServer, tmp_path: Path) -> None:
    server.states_use = False
    (one,) = requests(1)
    account = Account(PRICE, 2.5 * PRICE.most(one))
    with pytest.raises(BudgetReached):
        queue_of(server, tmp_path, account).answers(requests(50))
    assert account.calls == 2 and not account.use.counted


def test_a_budget_of_nothing_asks_nothing_but_takes_what_is_known(server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(BudgetReached, match="nothing was asked"):
        queue_of(server, tmp_path, Account(PRICE, 0.0)).answers(requests(2))
    assert server.asked == []
    queue_of(server, tmp_path).answers(requests(2))
    assert [one.text for one in queue_of(server, tmp_path, Account(PRICE, 0.0)).answers(requests(2))] == texts(2)


def test_a_budget_without_a_price_is_refused() -> None:
    with pytest.raises(MonosemError, match="`budget` needs `price`"):
        Account(None, 1.0)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "-1,2", "nan,1", "inf,1"])
def test_prices_that_are_none(text: str) -> None:
    with pytest.raises(MonosemError, match="Write IN,OUT"):
        TokenPrice.parse(text)


def test_a_price() -> None:
    assert TokenPrice.parse("0.15, .6").of(TokenUse(2_000_000, 1_000_000)) == pytest.approx(0.9)


def test_a_full_disk_keeps_answers_under_way_and_asks_no_more(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space that was set aside is just enough for them."""
    server.seconds = 0.02
    folder, whole = tmp_path / "answers", AnswerCache._write

    def write(self: AnswerCache, digest: str, answer: answer_cache.Answer) -> None:
        if self._ballast.exists() and len(list(folder.rglob("*.json"))) >= 4:
            raise MonosemError("no space left while writing it")
        whole(self, digest, answer)

    monkeypatch.setattr(AnswerCache, "_write", write)
    queue = queue_of(server, folder)
    with pytest.raises(MonosemError, match="no space left") as caught, queue.cache.room():
        queue.answers(requests(40))
    assert "nothing is asked twice" in caught.value.hint
    assert 4 < len(server.asked) < 40
    assert len(list(folder.rglob("*.json"))) == len(server.asked)


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonosemError, match="cannot write"), AnswerCache(tmp_path / "file" / "answers").room():
        raise AssertionError("asked")


def test_where_answers_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_home() == Path("/somewhere/monosem/answers")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_home() == Path("/home/me/.cache/monosem/answers")
    assert os.environ["HOME"] == "/home/me"
