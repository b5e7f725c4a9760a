"""`monosem explain --by URL` from outside: what it prints, what it refuses, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.endpoint import http_server
from monosem_tui.cli.main import run
from store.notes.explanations import Explanations
from store.settings.model_author import KEY_NAME
from tests.engine.endpoint.chat_server import ChatServer, Said, chat_server
from tests.engine.explainer.planted_store import Oracle, PlantedText, planted_run

FEW = ["--texts", "8", "--patience", "5", "--model", "oracle"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedText]:
    made, text = planted_run(tmp_path_factory.mktemp("planted") / "run", documents=200)
    return made.path, text


@pytest.fixture
def place(planted: tuple[Path, PlantedText], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(KEY_NAME, raising=False)
    monkeypatch.setattr(http_server, "FIRST_WAIT", 0.01)
    return Path(shutil.copytree(planted[0], tmp_path / "run"))


@pytest.fixture
def server(planted: tuple[Path, PlantedText]) -> Iterator[ChatServer]:
    with chat_server(Oracle(planted[1])) as served:
        yield served


def explain(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert run(["explain", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_text(place: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = explain(capsys, place, 0, 6, "--by", server.url, *FEW)
    lines = out.splitlines()
    assert lines[0] == "0  concept 0, because"
    assert lines[1].startswith("    detection 1.00 1.00–1.00 (random 1.00")
    assert lines[2].startswith("    fuzzing 1.00 1.00–1.00  control 0.")
    assert lines[3].startswith(("    /\\bbecause\\b/  F1 1.00 ", "    /\\bbecause\\b/  F1 0.9"))
    assert lines[4].startswith("    made from ") and "(AUROC)" in lines[4]
    assert lines[5] == "6  concept 6, list" and len(lines) == 9
    assert "2 features explained by oracle\n" in err and "median detection 1.00; median fuzzing 1.00" in err
    assert "detection by another feature's explanation 0." in err and "(mean of 2)" in err
    assert f"{len(server.asked)} calls, " in err and " 0 answers were known" in err
    again, err = explain(capsys, place, 0, 6, "--by", server.url, *FEW)
    assert again == out and "2 of them before" in err and "0 calls" in err


def test_json_has_all_authors(place: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    explain(capsys, place, 0)
    found = json.loads(explain(capsys, place, 0, "--by", server.url, "--json", *FEW)[0])
    assert [one["author"] for one in found[0]["explanations"]] == ["rules", "oracle"] or len(
        found[0]["explanations"]
    ) == 2
    (mine,) = [one for one in found[0]["explanations"] if one["author"] == "oracle"]
    assert mine["pattern"] == "\\bbecause\\b" and mine["detection"] == 1.0 and mine["ci"]["detection"] == [1.0, 1.0]


def test_a_dry_run_counts_and_asks_nothing(place: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    common: list[object] = [place, "--all", "--by", server.url, "--dry-run", *FEW]
    out, _ = explain(capsys, *common, "--price", "0.15,0.60")
    assert out.splitlines()[0].startswith("11 features, about ") and "in the currency of --price; at most" in out
    values = json.loads(explain(capsys, *common, "--json")[0])
    assert values["calls"] > 100 and values["money"] is None
    assert server.asked == [] and not (place / "explanations.jsonl").exists()


def test_hostile_answers_are_harmless(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def hostile(body: dict[str, Any]) -> Said:
        return Said("EXPLANATION: \x1b[31m[red]boats[/red]\u202e\x07 <b>x</b>\nPATTERN: \x1b[2J")

    with chat_server(hostile) as server:
        out, err = explain(capsys, place, 0, "--by", server.url, *FEW)
    assert "[31m[red]boats[/red] <b>x</b>" in out
    assert not any((ord(letter) < 32 and letter != "\n") or letter == "\u202e" for letter in out + err)


def bad(server: ChatServer) -> list[tuple[list[str], int, str]]:
    url = ["--by", server.url]
    return [
        (["0", "--by", "http://127.0.0.1:9"], 1, "there is no server at http://127.0.0.1:9/v1: nothing listens there"),
        (["0", "--by", "nobody"], 2, "there is no author nobody"),
        (["0", "--by", "ftp://x"], 2, "ftp://x is not the address of a server"),
        (["0", "--by", "http://me:secret@x"], 2, "the address has a password in it"),
        (["0", "--by", "hf:/none/at/all"], 2, "/none/at/all"),
        (["99", *url], 2, "there is no feature 99"),
        ([*url], 2, "which features?"),
        (["0", *url, "--budget", "1"], 2, "--budget needs --price"),
        (["0", *url, "--budget", "0", "--price", "1,1"], 1, "the budget of 0 is used up: nothing was asked"),
        (["0", *url, "--price", "cheap"], 2, "--price is 'cheap'"),
        (["0", "--dry-run"], 2, "--dry-run is for models"),
    ]


@pytest.mark.parametrize("number", range(11))
def test_bad_input_is_two_lines_and_asks_nothing(
    number: int, place: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, said = bad(server)[number]
    before = sorted(path.name for path in place.iterdir())
    out, err = explain(capsys, place, *arguments, "--texts", "8", code=code)
    complaint = [line for line in err.splitlines() if "explaining" not in line]
    assert said in " ".join(err.split()) and len(complaint) <= 2 and "Traceback" not in err and "secret" not in err
    assert server.asked == [] and out == ""
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_wrong_key_is_named_by_its_variable(
    place: Path, server: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "right"
    monkeypatch.setenv(KEY_NAME, "sk-wrong-0123456789")
    _, err = explain(capsys, place, 0, "--by", server.url, *FEW, code=2)
    assert f"refuses the key in ${KEY_NAME} (status 401)" in " ".join(err.split()) and "sk-wrong" not in err
    assert not (place / "explanations.jsonl").exists()


def test_a_model_that_answers_nonsense(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server(lambda body: Said("purple monkey")) as server:
        out, err = explain(capsys, place, 0, 1, "--by", server.url, *FEW)
    assert out == "" and "feature 0: the answer is no explanation" in err and "0 features explained by oracle" in err
    assert Explanations.load(place).features == ()
