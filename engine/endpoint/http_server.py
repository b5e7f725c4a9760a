"""Any OpenAI-style server: llama.cpp's, vLLM, Ollama, LM Studio, and those that are paid for.

Certificates are verified, redirects are not followed, and no proxy is used, so the key goes to the host that was named
and to no other. The key never appears in an error: a server's own message is shown without it. Full servers (429) and
those in trouble (5xx, a broken connection, no answer in time) are asked again, after the time that they ask for or
after one that doubles, drawn at random so that callers do not come back together.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from engine.endpoint.chat import OPTIONAL, Answer, ChatRequest, request_body
from engine.endpoint.server_reply import StrangeReply, read_reply, server_message
from store.files.errors import MonosemError, WorkFailed

LARGEST_REPLY = 8 << 20
"""Bytes of a reply that are read."""
TRIES = 6
"""Calls about one request, at most."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second call at most, doubled for each one after it; a server may ask for the longest at most."""
CONNECT = 10.0
"""Seconds in which a server takes a connection."""
LOCAL = ("localhost", "127.0.0.1", "::1")
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_TROUBLE = (OSError, http.client.HTTPException, StrangeReply)


@dataclass(frozen=True)
class Address:
    """The address of a server's chat completions."""

    secure: bool
    host: str
    port: int | None
    path: str
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `http://HOST:PORT/v1`, the base that servers state; `/chat/completions` may be left out, `/v1` too.

        Raises:
            MonosemError: it is no such address.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = None, None, None
        is_plain = url.isascii() and url.isprintable() and " " not in url
        if parts is None or not host or parts.scheme not in ("http", "https") or not is_plain:
            shown = "".join(letter for letter in url[:80] if letter.isprintable())
            raise MonosemError(
                f"{shown} is not the address of a server", "Write http://127.0.0.1:8080/v1, for example."
            )
        if parts.username is not None or parts.password is not None:
            raise MonosemError("the address has a password in it", "Give the key in the environment; see `key_name`.")
        path = parts.path.rstrip("/") or "/v1"
        path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
        return cls(parts.scheme == "https", host, port, path, parts.query)

    def __str__(self) -> str:
        """The base, without the query, which may hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"http{'s' * self.secure}://{host}{port}{self.path.removesuffix('/chat/completions')}"

    @property
    def target(self) -> str:
        """Path and query of a call."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def in_clear(self) -> bool:
        """Whether what is sent crosses a network unencrypted."""
        return not self.secure and self.host not in LOCAL


class _Refused(Exception):
    """A reply with an error's status that may be followed by a better one."""

    def __init__(self, status: int, message: str, after: float | None) -> None:
        super().__init__(f"status {status}" + (f": {message}" if message else ""))
        self.after = after


class HttpServer:
    """A model of an OpenAI-style server."""

    def __init__(
        self,
        address: Address,
        model: str,
        *,
        key: str = "",
        key_name: str = "",
        parallel: int = 4,
        patience: float = 120,
    ) -> None:
        """Speak to a server.

        Args:
            address: of the server.
            model: the name that it has there; may be empty for servers with only one.
            key: sent as a bearer token; empty for none.
            key_name: the environment variable of the key, for errors.
            parallel: calls at a time.
            patience: seconds in which a call must be answered, from the first byte sent to the last one read.

        Raises:
            MonosemError: the key cannot be one.
        """
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise MonosemError(f"${key_name} has characters that no key has", "Set it without spaces and line ends.")
        self.address, self.model, self.parallel = address, model, parallel
        self._key, self._key_name, self._patience = key, key_name, patience
        self._stopped, self._has_answered = threading.Event(), False
        self._open: set[http.client.HTTPConnection] = set()
        self._left_out: frozenset[str] = frozenset()
        """Fields of requests that the server does not take."""
        self._context = ssl.create_default_context() if address.secure else None

    @property
    def name(self) -> str:
        """Base of the address, and model."""
        return f"{self.address} {self.model}"

    def stop(self, *, at_once: bool = False) -> None:
        """Let calls that wait before another try give up; calls under way end with their answers, unless `at_once`."""
        self._stopped.set()
        for connection in list(self._open) if at_once else ():
            _cut(connection)

    def complete(self, request: ChatRequest) -> Answer:
        """Return the answer to a request, asking again where that may help.

        Raises:
            MonosemError: key, model or request are refused.
            WorkFailed: the server is not there, or does not answer.
        """
        for number in range(1, TRIES + 1):
            try:
                answer = self._call(request)
            except (*_TROUBLE, _Refused) as error:
                if number == TRIES or self._stopped.is_set() or not self._may_return(error):
                    raise self._failed(error, number) from None
                self._wait(error, number)
            else:
                self._has_answered = True
                return answer
        raise AssertionError("unreachable")

    def _may_return(self, error: Exception) -> bool:
        """Return whether another call may fare better: a server that never answered and is not there will not come."""
        if isinstance(error, ssl.SSLCertVerificationError | socket.gaierror):
            return False
        return self._has_answered or not isinstance(error, ConnectionRefusedError)

    def _wait(self, error: Exception, number: int) -> None:
        asked = error.after if isinstance(error, _Refused) else None
        drawn = random.uniform(0.5, 1.0) * min(FIRST_WAIT * 2 ** (number - 1), LONGEST_WAIT)
        if asked is not None and asked > LONGEST_WAIT:
            raise WorkFailed(
                f"{self.address} asks to be left alone for {asked:.0f} s", "Run it again then: answers so far are kept."
            )
        self._stopped.wait(drawn if asked is None else asked + random.uniform(0, min(1.0, 0.1 * asked + 0.05)))

    def _call(self, request: ChatRequest) -> Answer:
        left_out = self._left_out
        body = json.dumps(request_body(request, self.model, left_out)).encode()
        with self._connected() as connection:
            headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "monosem"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            connection.request("POST", self.address.target, body, headers)
            response = connection.getresponse()
            content = response.read(LARGEST_REPLY + 1)
        if response.status in (400, 422) and (unknown := _named_field(content, left_out)):
            self._left_out |= {unknown}
            return self._call(request)
        if response.status != 200:
            raise self._refusal(response, content)
        if len(content) > LARGEST_REPLY:
            raise StrangeReply(f"the reply has more than {LARGEST_REPLY >> 20} MiB")
        return read_reply(content, request)

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        """Yield a connection that is cut when patience ends, also where bytes keep dripping in."""
        where, limit = (self.address.host, self.address.port), min(CONNECT, self._patience)
        connection = (
            http.client.HTTPConnection(*where, timeout=limit)
            if self._context is None
            else http.client.HTTPSConnection(*where, timeout=limit, context=self._context)
        )
        late = threading.Event()

        def cut() -> None:
            late.set()
            _cut(connection)

        timer = threading.Timer(self._patience, cut)
        timer.daemon = True
        try:
            connection.connect()
            self._open.add(connection)
            connection.sock.settimeout(self._patience + 1)
            timer.start()
            yield connection
        except _TROUBLE as error:
            raise TimeoutError if late.is_set() else error from None
        finally:
            timer.cancel()
            self._open.discard(connection)
            connection.close()
        if late.is_set():
            raise TimeoutError

    def _refusal(self, response: http.client.HTTPResponse, content: bytes) -> Exception:
        status, message = response.status, self._without_key(server_message(content))
        said = f": {message}" if message else ""
        if status in _AGAIN:
            return _Refused(status, message, _seconds(response.headers.get("Retry-After", "")))
        if status in (401, 403):
            had = f"the key in ${self._key_name}" if self._key else "a call without a key"
            return MonosemError(f"{self.address} refuses {had} (status {status}){said}", self._key_advice)
        if 300 <= status < 400:
            return MonosemError(f"{self.address} has moved (status {status})", "Give its new address.")
        advice = "Is this the base of an OpenAI-style server, and `model` one of its models?" if status == 404 else ""
        return MonosemError(f"{self.address} refuses the call (status {status}){said}", advice)

    @property
    def _key_advice(self) -> str:
        return f"The key is read from ${self._key_name}." if self._key_name else ""

    def _without_key(self, message: str) -> str:
        """Return a server's message without the key, parts of which some servers repeat."""
        if not self._key:
            return message
        for size in range(len(self._key), 7, -1):
            for start in range(len(self._key) - size + 1):
                message = message.replace(self._key[start : start + size], "…")
        return message

    def _failed(self, error: Exception, tries: int) -> MonosemError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return MonosemError(f"the certificate of {self.address} is not valid: {error.verify_message}")
        if isinstance(error, socket.gaierror | ConnectionRefusedError):
            reason = "there is no such host" if isinstance(error, socket.gaierror) else "nothing listens there"
            return WorkFailed(f"there is no server at {self.address}: {reason}", "Start it, or correct the address.")
        if isinstance(error, TimeoutError):
            reason = f"no answer within {self._patience:g} s"
        elif isinstance(error, _Refused | StrangeReply):
            reason = str(error)
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or "the connection broke off"
        return WorkFailed(
            f"{self.address} did not answer in {tries} tries: {reason}",
            "Run it again later: answers so far are kept, and nothing is asked twice.",
        )


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a connection that another thread is reading from."""
    if (open_socket := connection.sock) is not None:
        with suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)


def _named_field(content: bytes, left_out: frozenset[str]) -> str:
    """Return the field of a request that a server's refusal names and that can be left out; empty if there is none."""
    message = server_message(content)
    return next((name for name in OPTIONAL if name in message and name not in left_out), "")


def _seconds(text: str) -> float | None:
    """Return the seconds of a header Retry-After: a number, or a date; None where there is neither."""
    with suppress(ValueError):
        seconds = float(text)
        return max(0.0, seconds) if seconds < 1e9 else None
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None
