"""A headless Chromium to try pages in, spoken to through pipes (`--remote-debugging-pipe`): no port, no library."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome")
_KEYS = {"/": ("Slash", 191), "Enter": ("Enter", 13), "Escape": ("Escape", 27), "ArrowDown": ("ArrowDown", 40)}
# Chromium wants its pipes to be 3 and 4, which here are anything.
_LAUNCH = """
import fcntl, os, sys
r, w = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(r, 3), os.dup2(w, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium_path() -> str:
    """The browser; the test is skipped where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs a browser: chromium is not installed (Debian: apt install chromium)")
    return found


class Chromium:
    """One page. `trouble` gathers errors of its console, `asked` the addresses that it loaded."""

    def __init__(self, profile: Path) -> None:
        down, self._writing = os.pipe()
        self._reading, up = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        flags += ["--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(down), str(up), chromium_path(), *flags],
            pass_fds=(down, up),
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self._rest = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self._session = ""
        pages = self._call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._writing)
        os.close(self._reading)
        self._process.terminate()
        self._process.wait(PATIENCE)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until all of it has run."""
        with self.arriving():
            self._call("Page.navigate", url="about:blank")
        with self.arriving():
            self._call("Page.navigate", url=path.absolute().as_uri() + fragment)

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Wait for the page that what is done in the block leads to."""
        self._events.clear()
        yield
        deadline = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._take(deadline)

    def value(self, expression: str) -> Any:
        """Result of JavaScript, as JSON."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """One key, as from a keyboard."""
        code, number = _KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[0])))
        told: dict[str, Any] = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", **told)

    def write(self, text: str) -> None:
        """Text into what has the focus."""
        self._call("Input.insertText", text=text)

    def sized(self, width: int, height: int) -> None:
        """A window of this size; 0 by 0 for its usual one."""
        size: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def scripts(self, allowed: bool) -> None:
        """Whether pages may run any."""
        self._call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": parameters} | session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self._take(deadline)
            if said.get("id") == number:
                assert "error" not in said, (method, said["error"])
                return dict(said["result"])

    def _take(self, deadline: float) -> dict[str, Any]:
        """The next message; what it says of the page is noted."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._reading, 1 << 16) if ready else b""
            assert piece, "the browser is gone, or says nothing"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(line)
        if "method" in said:
            self._events.append(said)
            self._note(said["method"], said["params"])
        return said

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.trouble.append(json.dumps(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.trouble.append(json.dumps(told["args"]))
        elif method == "Log.entryAdded":
            self.trouble.append(told["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.trouble.append(f"dialog: {told['message']}")
        elif method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
