"""Answers of real HTTP servers on this machine, most of which misbehave; and the line that each fault gives."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from engine.endpoint import http_server
from engine.endpoint.chat import ChatRequest, chat
from engine.endpoint.http_server import Address, HttpServer
from store.files.errors import MonosemError, WorkFailed
from tests.engine.endpoint.chat_server import Body, ChatServer, Fault, Said, chat_server

REQUEST = ChatRequest(chat("Answer yes or no.", "Is this a text?"), 8, logprobs=True)
KEY = "sk-secret-0123456789abcdef"


def echo(body: Body) -> Said:
    return Said("yes", 0.9)


def asked(server: ChatServer, **settings: Any) -> HttpServer:
    return HttpServer(Address.parse(server.url), "oracle", **settings)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "FIRST_WAIT", 0.02)


def test_an_answer_with_its_tokens_and_use() -> None:
    with chat_server(echo) as server:
        answer = asked(server).complete(REQUEST)
    assert answer.text == "yes"
    assert (answer.use.prompt, answer.use.answer, answer.use.counted) == (8, 1, True)
    assert {one.text: one.logprob for one in answer.tokens[0].likeliest}["yes"] == pytest.approx(-0.10536, abs=1e-4)
    (body,) = server.asked
    assert body["messages"] == [
        {"role": "system", "content": "Answer yes or no."},
        {"role": "user", "content": "Is this a text?"},
    ]
    assert (body["model"], body["temperature"], body["max_tokens"], body["top_logprobs"]) == ("oracle", 0, 8, 5)


def test_a_server_without_use_and_logprobs() -> None:
    with chat_server(echo, states_use=False, gives_logprobs=False) as server:
        answer = asked(server).complete(REQUEST)
    assert answer.tokens == () and not answer.use.counted and answer.use.prompt > 0


FAULTS = {
    "full": Fault(429, (("Retry-After", "0.2"),)),
    "trouble": Fault(500, body=b"<html>Internal Server Error</html>"),
    "not JSON": Fault(200, body=b"no JSON at all"),
    "another shape": Fault(200, body=b'{"choices": [{"text": 3}]}'),
    "no choices": Fault(200, body=b'{"choices": []}'),
    "half a reply": Fault(200, body=b'{"choices": [{"message": {"content": "yes"}}]}', breaks=True),
    "a list of a list": Fault(200, body=b"[" * 100_000),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_passes_is_asked_about_again(name: str) -> None:
    with chat_server(echo, faults=[FAULTS[name]]) as server:
        began = time.monotonic()
        assert asked(server).complete(REQUEST).text == "yes"
        assert len(server.asked) == 2
        if name == "full":
            assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("fault", [Fault(hangs=True), Fault(drips=True)], ids=["hangs", "drips"])
def test_a_connection_that_hangs_is_cut(fault: Fault) -> None:
    with chat_server(echo, faults=[fault]) as server:
        assert asked(server, patience=0.3).complete(REQUEST).text == "yes"
    with chat_server(echo, faults=[fault] * 6) as server, pytest.raises(WorkFailed, match=r"no answer within 0\.1 s"):
        asked(server, patience=0.1).complete(REQUEST)


def test_a_fault_that_stays_is_one_line() -> None:
    with chat_server(
        echo, faults=[Fault(503, body=b'{"error": {"message": "over\\nloaded \\u001b[31m"}}')] * 6
    ) as server:
        with pytest.raises(WorkFailed) as caught:
            asked(server).complete(REQUEST)
        assert len(server.asked) == 6
    assert caught.value.what.endswith("did not answer in 6 tries: status 503: over loaded [31m")


def test_a_server_that_asks_for_hours_is_left_alone() -> None:
    full = Fault(429, (("Retry-After", "7200"),))
    with chat_server(echo, faults=[full]) as server, pytest.raises(WorkFailed, match="left alone for 7200 s"):
        asked(server).complete(REQUEST)


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", "nan", "1e400", ""])
def test_strange_times_to_wait_are_survived(after: str) -> None:
    with chat_server(echo, faults=[Fault(429, (("Retry-After", after),))]) as server:
        assert asked(server).complete(REQUEST).text == "yes"


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(WorkFailed, match=f"there is no server at http://127.0.0.1:{port}/v1: nothing listens there"):
        HttpServer(Address.parse(f"http://127.0.0.1:{port}"), "m").complete(REQUEST)


def test_the_key_is_sent_and_never_shown() -> None:
    with chat_server(echo, key=KEY) as server:
        assert asked(server, key=KEY, key_name="SOME_KEY").complete(REQUEST).text == "yes"
        assert server.keys == [f"Bearer {KEY}"]
        wrong = KEY[::-1]
        with pytest.raises(MonosemError) as caught:
            asked(server, key=wrong, key_name="SOME_KEY").complete(REQUEST)
        assert len(server.asked) == 2  # a wrong key does not become right
        shown = str(caught.value)
        assert "refuses the key in $SOME_KEY (status 401)" in shown and wrong[:8] not in shown
        with pytest.raises(MonosemError, match="refuses a call without a key"):
            asked(server).complete(REQUEST)
        with pytest.raises(MonosemError, match="characters that no key has") as caught:
            asked(server, key="two\nlines", key_name="SOME_KEY")
        assert "two" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with chat_server(echo) as other:
        moved = Fault(307, (("Location", other.url + "/v1/chat/completions"),))
        with chat_server(echo, faults=[moved]) as server, pytest.raises(MonosemError, match="has moved"):
            asked(server, key=KEY, key_name="K").complete(REQUEST)
        assert other.asked == []


def test_fields_that_a_server_refuses_are_left_out_from_then_on() -> None:
    with chat_server(echo, refuses=("max_tokens", "temperature", "logprobs")) as server:
        model = asked(server)
        assert model.complete(REQUEST).text == "yes"
        assert len(server.asked) == 4
        assert model.complete(REQUEST).text == "yes"
    assert len(server.asked) == 5
    assert server.asked[-1].keys() == {"model", "messages", "max_completion_tokens", "seed", "stream"}


def test_another_refusal_is_one_line() -> None:
    body = json.dumps({"error": {"message": "no model of that name " + "x" * 1000}}).encode()
    with chat_server(echo, faults=[Fault(404, body=body)]) as server, pytest.raises(MonosemError) as caught:
        asked(server).complete(REQUEST)
    assert (
        "refuses the call (status 404): no model of that name xxx" in caught.value.what and len(caught.value.what) < 300
    )


@pytest.mark.parametrize(
    ("url", "shown", "target"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1", "/v1/chat/completions"),
        ("https://api.x.com/v1/", "https://api.x.com/v1", "/v1/chat/completions"),
        ("https://api.x.com/v1/chat/completions", "https://api.x.com/v1", "/v1/chat/completions"),
        ("https://x.com/deep/v2?api-key=secret", "https://x.com/deep/v2", "/deep/v2/chat/completions?api-key=secret"),
        ("http://[::1]:9/v1", "http://[::1]:9/v1", "/v1/chat/completions"),
    ],
)
def test_addresses(url: str, shown: str, target: str) -> None:
    address = Address.parse(url)
    assert (str(address), address.target) == (shown, target)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://x", "http://", "http://x:99999999", "http://[::1", "http://a b", "http://é"]
)
def test_no_addresses(url: str) -> None:
    with pytest.raises(MonosemError, match="is not the address of a server"):
        HttpServer(Address.parse(url), "m").complete(REQUEST)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(MonosemError) as caught:
        Address.parse("https://me:hunter2@x.com/v1")
    assert "hunter2" not in str(caught.value)


def test_only_what_leaves_the_machine_unencrypted_is_in_clear() -> None:
    urls = {"http://localhost:1": False, "http://127.0.0.1": False, "https://x.com": False, "http://10.0.0.7": True}
    assert {url: Address.parse(url).in_clear for url in urls} == urls


def test_certificates_are_verified() -> None:
    import ssl

    model = HttpServer(Address.parse("https://127.0.0.1:1"), "m")
    context = model._context
    assert context is not None and context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
