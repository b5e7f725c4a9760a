"""An OpenAI-style server on this machine that answers by a function, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """The answer of a judge: a text, or a probability of yes that log-probabilities tell."""

    text: str
    yes: float | None = None


@dataclass(frozen=True)
class Fault:
    """A way to misbehave once."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"{}"
    hangs: bool = False
    """Take the request and say nothing."""
    drips: bool = False
    """Send a byte now and then, for ever."""
    breaks: bool = False
    """Close the connection in the middle of the reply."""


@dataclass
class ChatServer:
    """The server, and what was asked of it."""

    answer: Callable[[Body], Said]
    faults: list[Fault] = field(default_factory=list)
    """Misbehaviour of the next calls, in order."""
    states_use: bool = True
    gives_logprobs: bool = True
    refuses: tuple[str, ...] = ()
    """Fields of a request that are an error here."""
    key: str = ""
    """The only key that is let in; empty lets everybody in."""
    asked: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    seconds: float = 0.0
    """Time that an answer takes."""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def one_call(self, body: Body) -> Iterator[Fault | None]:
        """Count a call and yield its fault."""
        with self._lock:
            self.asked.append(body)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            fault = self.faults.pop(0) if self.faults else None
        try:
            yield fault
        finally:
            with self._lock:
                self._now -= 1

    def reply(self, body: Body) -> Body:
        """Return the JSON of an answer."""
        said = self.answer(body)
        choice: Body = {"index": 0, "message": {"role": "assistant", "content": said.text}, "finish_reason": "stop"}
        words = said.text.split()
        if len(words) > body.get("max_tokens", body.get("max_completion_tokens", 10**9)):
            choice["finish_reason"] = "length"
            choice["message"]["content"] = " ".join(words[: body["max_tokens"]])
        if body.get("logprobs") and self.gives_logprobs and said.yes is not None:
            choice["logprobs"] = {"content": [_token(word, said.yes) for word in words]}
        reply: Body = {"object": "chat.completion", "choices": [choice]}
        if self.states_use:
            prompt = sum(len(one["content"].split()) for one in body["messages"])
            reply["usage"] = {"prompt_tokens": prompt, "completion_tokens": len(words)}
        return reply


def _token(word: str, yes: float) -> Body:
    from math import log

    likeliest = [("yes", yes), (" Yes", 0.0), ("no", 1 - yes)]
    top = [{"token": token, "logprob": log(max(p, 1e-9))} for token, p in likeliest]
    return {"token": word, "logprob": -0.1, "top_logprobs": top}


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.keys.append(self.headers.get("Authorization", ""))
            with server.one_call(body) as fault, suppress(OSError):
                self._answer(body, fault)

        def _answer(self, body: Body, fault: Fault | None) -> None:
            wrong = [name for name in server.refuses if name in body]
            if fault is not None and (fault.hangs or fault.drips):
                self._stall(fault)
            elif fault is not None:
                self._send(fault.status or 200, fault.body, dict(fault.headers), breaks=fault.breaks)
            elif not self.path.endswith("/v1/chat/completions"):
                self._send(404, b'{"error": "no such page"}')
            elif server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                given = self.headers.get("Authorization", "").removeprefix("Bearer ")
                message = f"Incorrect API key provided: {given[:12]}"
                self._send(401, json.dumps({"error": {"message": message}}).encode())
            elif wrong:
                self._send(400, json.dumps({"error": {"message": f"Unsupported parameter: '{wrong[0]}'"}}).encode())
            else:
                time.sleep(server.seconds)
                self._send(200, json.dumps(server.reply(body)).encode())

        def _stall(self, fault: Fault) -> None:
            while not server.closing.wait(0.05):
                if fault.drips:
                    self.wfile.write(b"H")
            self.close_connection = True

        def _send(
            self, status: int, content: bytes, headers: dict[str, str] | None = None, *, breaks: bool = False
        ) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if breaks else content)
            self.close_connection = self.close_connection or breaks

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def chat_server(answer: Callable[[Body], Said], **settings: Any) -> Iterator[ChatServer]:
    """A server that answers by `answer` until the block ends."""
    server = ChatServer(answer, **settings)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        listener.shutdown()
        listener.server_close()
