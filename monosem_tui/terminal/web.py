"""The app in a browser on this machine, through textual-serve: each page starts an app of its own."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from store.files.errors import MonosemError

if TYPE_CHECKING:
    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
"""The only address served, because there is no password. From elsewhere: `ssh -L 8000:127.0.0.1:8000 HOST`."""


def serve(arguments: Sequence[str], port: int, title: str) -> None:
    """Serve `monosem tui ARGUMENTS` on `HOST` until Ctrl-C.

    Raises:
        MonosemError: textual-serve is missing, or the port is taken.
    """
    if find_spec("textual_serve") is None:
        raise MonosemError("--web needs textual-serve, which is not installed", "pip install 'monosem[web]'")
    _require_free(port)
    from textual_serve.server import Server

    class Local(Server):  # type: ignore[misc]
        """A server that answers only its own pages and refers to no other server."""

        async def _make_app(self) -> Any:
            app = await super()._make_app()
            app.middlewares.append(_own_pages(port))
            return app

        def initialize_logging(self) -> None:
            """Log errors only: each page would be several lines."""
            logging.basicConfig(level=logging.WARNING, format="monosem: %(message)s")

        async def on_startup(self, _app: web.Application) -> None:
            sys.stderr.write(f"monosem in a browser: {self.public_url} (Ctrl-C ends it)\n")

    command = shlex.join([sys.executable, "-c", "from monosem_tui.entry import main; main()", "tui", *arguments])
    os.environ["COLORTERM"] = "truecolor"
    Local(command, host=HOST, port=port, title=title).serve()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise MonosemError(f"cannot listen on {HOST}:{port}: {error.strerror}", "--port takes another.") from error


def _own_pages(port: int) -> Any:
    """Refuse requests of other pages in the same browser, and forbid the page to request anything elsewhere.

    A browser lets any page open a WebSocket to this machine, but names that page's origin.
    """
    from aiohttp import web

    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    policy = f"default-src 'self' 'unsafe-inline' data:; connect-src {' '.join(f'ws://{h}' for h in sorted(hosts))}"

    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host not in hosts or (origin is not None and origin.removeprefix("http://") not in hosts):
            raise web.HTTPForbidden(text="monosem answers its own page only")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = policy
        return response

    return web.middleware(check)
