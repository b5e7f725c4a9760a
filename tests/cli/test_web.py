"""`monosem tui --web`: what it says without the extra, where it listens, and whom it answers."""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from monosem_tui.cli.main import run as monosem
from monosem_tui.terminal import web
from tests.cli.running import ENTRY, ROOT, clean_environment
from tests.patience import PATIENCE
from tests.sample_run import Sample

installed = pytest.mark.skipif(find_spec("textual_serve") is None, reason="needs the extra `web`")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((web.HOST, 0))
        return int(probe.getsockname()[1])


def test_without_the_extra_it_is_a_sentence(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    assert monosem(["tui", str(sample.run.path), "--web"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "monosem: --web needs textual-serve, which is not installed",
        "  pip install 'monosem[web]'",
    ]


def test_a_port_that_is_taken(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web, "find_spec", lambda name: object())
    with socket.socket() as other:
        other.bind((web.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        assert monosem(["tui", str(sample.run.path), "--web", "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}: " in capsys.readouterr().err


def test_what_is_asked_for_goes_on_to_each_page(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "a b"
    root.mkdir()
    served: list[tuple[list[str], int, str]] = []
    monkeypatch.setattr(web, "serve", lambda arguments, port, title: served.append((arguments, port, title)))
    place = str(sample.run.path)
    assert monosem(["tui", place, "--web", "--theme", "light", "--no-mouse", "--runs-dir", str(root)]) == 0
    assert served == [([place, "--runs-dir", str(root), "--theme", "light", "--no-mouse"], 8000, "monosem stories")]
    assert monosem(["tui", "no such run", "--web"]) == 2  # before anything is served


@pytest.fixture
def port(sample: Sample, tmp_path: Path) -> Iterator[int]:
    number = free_port()
    found = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = clean_environment(XDG_STATE_HOME=str(tmp_path), PYTHONPATH=found)
    words = [sys.executable, "-c", ENTRY, "tui", str(sample.run.path), "--web", "--port", str(number)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, cwd=ROOT, env=environment) as server:
        assert server.stderr is not None
        assert f"http://127.0.0.1:{number}".encode() in server.stderr.readline()
        yield number
        server.terminate()
        assert server.wait(timeout=PATIENCE) == 0, shlex.join(words)


def status(port: int, path: str, **headers: str) -> int:
    asked = http.client.HTTPConnection(web.HOST, port, timeout=PATIENCE)
    asked.request("GET", path, headers=headers)
    response = asked.getresponse()
    policy = response.headers.get("Content-Security-Policy", "")
    assert response.status != 200 or "default-src 'self'" in policy
    return response.status


@pytest.mark.slow
@installed
def test_only_this_machine_and_only_its_own_page(port: int) -> None:
    assert status(port, "/") == 200
    assert status(port, "/", Host="evil.example") == 403
    assert status(port, "/ws", Origin="http://evil.example") == 403
    addresses = {
        line.split()[1] for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    }
    listening = {address for address in addresses if int(address.rpartition(":")[2], 16) == port}
    assert {address.rpartition(":")[0] for address in listening} == {"0100007F"}
