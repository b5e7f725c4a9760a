"""Every reading command on a run whose texts try to take over the terminal: plain, and with colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from monosem_tui.cli.main import run as monosem
from store.notes.note_file import Notes
from store.run.folder import RunFolder
from tests.cli.live_runs import live_run
from tests.cli.test_output import HARMFUL, SGR
from tests.hostile_run import ALL, LONG, MARK, PAYLOADS, build_hostile
from tests.sample_run import Sample

READING = [
    ["show", "RUN"],
    *(
        ["show", "RUN", feature, "--width", width]
        for feature, width in map(str.split, ("0 60", "1 200", "16 200", "20 60"))
    ),
    *(["show", "RUN", "0", "--format", form] for form in ("text", "markdown", "html", "json")),
    ["show", "RUN", "--filter", "density>0", "--sort", "-max"],
    ["find", "RUN", MARK],
    ["find", "RUN", "--feature", "0"],
    ["label", "RUN"],
    ["label", "RUN", "3", ALL],
    ["runs", "--runs-dir", "ROOT"],
    ["verify", "RUN"],
]


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = live_run(tmp_path_factory.mktemp("live") / "run")
    notes = Notes(run.notes)
    for feature in range(40):
        notes.set(feature, "label", (*PAYLOADS, *LONG)[feature % len(PAYLOADS)])
    return run


def assert_harmless(capsys: pytest.CaptureFixture[str], arguments: list[str], colours: str) -> str:
    assert monosem(arguments) in (0, 1), arguments
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert not HARMFUL.search(SGR.sub("", text) if colours else text), arguments
        assert not any(MARK in found or "6;666" in found for found in SGR.findall(text))
    return captured.out


@pytest.mark.parametrize("colours", ["", "1"], ids=["plain", "coloured"])
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading(
    arguments: list[str],
    colours: str,
    evil: Sample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", colours)
    run = evil.run.path
    if arguments[0] == "label" and len(arguments) > 2:
        run = Path(shutil.copytree(run, tmp_path / run.name))
    named = {"RUN": str(run), "ROOT": str(run.parent)}
    assert assert_harmless(capsys, [named.get(word, word) for word in arguments], colours)


@pytest.mark.parametrize("colours", ["", "1"], ids=["plain", "coloured"])
def test_a_model_at_work(
    live: RunFolder, colours: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", colours)
    text = ALL.replace("\x00", "")
    assert_harmless(capsys, ["inspect", str(live.path), "--text", text], colours)
    writing = ["generate", str(live.path), "--prompt", text, "--max-new", "8", "--clamp", "3=max*40"]
    assert_harmless(capsys, writing, colours)
