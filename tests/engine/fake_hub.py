"""A Hugging Face hub on this machine: as much of its protocol as fetching a model needs, serving folders."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Repositories by id; what was asked for is noted."""

    repositories: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    """Files that were sent, in order."""
    url: str = ""


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = urlsplit(self.path).path.removeprefix("/api/models").strip("/")
            owner, name, *rest = path.split("/")
            repository = f"{owner}/{name}"
            if repository in hub.gated:
                self._send(403, b"{}", body, {"X-Error-Code": "GatedRepo"})
            elif repository not in hub.repositories:
                self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})
            elif rest[0] == "resolve":
                self._send_file(hub.repositories[repository] / "/".join(rest[2:]), body)
            elif rest[0] == "tree":
                self._send(200, json.dumps(_tree(hub.repositories[repository])).encode(), body, {})
            else:
                self._send(200, json.dumps({"id": repository, "sha": REVISION}).encode(), body, {})

        def _send_file(self, path: Path, body: bool) -> None:
            if body:
                hub.fetched.append(path.name)
            self._send(200, path.read_bytes(), body, {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": REVISION})

        def _send(self, status: int, content: bytes, body: bool, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Tests read standard error."""

    return Handler


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def _tree(folder: Path) -> list[dict[str, object]]:
    return [
        {"type": "file", "path": str(file.relative_to(folder)), "size": file.stat().st_size, "oid": _etag(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """A hub on a free port of this machine."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
