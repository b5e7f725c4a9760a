"""A feature's page and the screen as files: what is in them, that text is never markup, and that no file is lost."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.cells import cell_len

from monosem_tui.cli.main import run as monosem
from monosem_tui.export.feature_html import as_html
from monosem_tui.export.feature_markdown import as_markdown, escaped
from monosem_tui.export.page_files import FORMS, file_name
from monosem_tui.model.context_borders import BORDER, Border
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.model.feature_document import read_document
from monosem_tui.model.open_run import OpenRun
from monosem_tui.screens.output_files import picture
from monosem_tui.terms.feature_page import FIRES_WITH, PROMOTES, SIMILAR, SUPPRESSES
from store.files.errors import MonosemError
from store.files.output_file import write_new
from store.notes.note_file import Notes
from store.settings.features import ExampleSettings
from tests.sample_run import Sample, build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import press, screen_text, settle, until

MARKUP = (
    "<script src=http://evil/x.js>alert(1)</script> ![x](http://evil/x) [red]**b** `c` | &amp; \x1b]0;PWNED\x07\u202e"
)


class Page(HTMLParser):
    """A page as a browser parses it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.heat: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag == "bdi" and attributes.get("title"):
            self.heat.append((data, str(attributes["title"])))


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    made = build_sample(tmp_path_factory.mktemp("runs") / "<b>run")
    notes = Notes(made.run.notes)
    for field in ("label", "comment"):
        notes.set(0, field, MARKUP)
    notes.set(0, "tags", ["<i>`a`", "#1"])
    notes.set(0, "bookmark", True)
    return made


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert monosem(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_html_asks_for_nothing_and_runs_nothing(marked: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    html = shown(capsys, str(marked.run.path), "0", "--format", "html")
    page = Page(html)
    known = (
        "html meta title style p bdi h1 h2 small span b div section table tr td svg rect header main aside input label"
    )
    assert {tag for tag, _ in page.tags} <= set(known.split())
    attributes = {name for _, found in page.tags for name in found}
    assert not attributes & {"src", "href", "style", "onload"}
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html
    assert "".join(page.text).count("<script src=http://evil/x.js>") == 3  # title, heading, comment
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html)


def test_html_colours_tokens_by_their_activation(marked: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    page = Page(shown(capsys, str(marked.run.path), "1", "--format", "html"))
    top = float(marked.dense_NF[:, 1].max())
    acts = [act for token, act in page.heat if token.strip() == "said"]
    assert acts
    assert max(map(float, acts)) == pytest.approx(top, abs=0.05)
    classes = [
        (found["class"], float(str(found["title"]))) for tag, found in page.tags if tag == "bdi" and "title" in found
    ]
    steps = [(int(str(name)[1]), act) for name, act in classes]
    order = sorted(steps, key=lambda pair: pair[1])
    assert [step for step, _ in order] == sorted(step for step, _ in steps)
    assert max(step for step, _ in steps) == 5


def test_markdown_is_never_markup(marked: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(marked.run.path), "0", "--format", "markdown")
    bare = re.sub(r"`[^`\n]*`|\\.|\*\*", "", text)  # code spans, escaped signs and our own bold left out
    assert not re.search(r"[<>\[\]*`&]", bare)
    rows = [line for line in bare.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {3}
    assert re.sub(r"\\(.)", r"\1", text.splitlines()[0]).startswith("# Feature 0: <script src=http://evil/x.js>")


@pytest.mark.parametrize("character", [chr(code) for code in range(33, 127) if not chr(code).isalnum()])
def test_what_markdown_may_escape_is_all_that_is(character: str) -> None:
    assert escaped(character) in (character, "\\" + character)


def test_files_head_sections_as_the_page_does_and_mark_the_borders_of_contexts(opened: OpenRun) -> None:
    document = read_document(opened.store, opened.notes, 0, ExampleSettings(), "sample")
    section = document.card.sections[0]
    tokens = ["one", "<|endoftext|>", " two", " three"]
    act_T, borders = np.array([0, 0, 2, 1], np.float32), (Border(1, instead=True), Border(4, instead=False))
    example = ShownExample(tokens, act_T, 2, 0, 0, borders=borders)
    card = replace(document.card, sections=[replace(section, examples=[example])])
    html, markdown = as_html(replace(document, card=card)), as_markdown(replace(document, card=card))
    for text in (html, markdown):
        assert "endoftext" not in text
        assert f"one{BORDER}" in text
        assert f"three{BORDER}" in text.replace("*", "")
    for term in (PROMOTES, SUPPRESSES, SIMILAR, FIRES_WITH):
        assert f"<h2>{term.title.capitalize()} <small>{term.phrase}" in html
        assert f"- **{term.title.capitalize()}** ({term.phrase})" in markdown


def test_markdown_holds_the_numbers(marked: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(marked.run.path), "1", "--format", "markdown")
    act_N = marked.dense_NF[:, 1]
    n = int((act_N > 0).sum())
    assert f"({n})" in text
    assert f"**said**‹{act_N.max():.1f}›" in text
    assert "****" not in text


@pytest.mark.parametrize("form", ["markdown", "html", "json", "text"])
def test_files_are_what_is_printed(
    form: str, marked: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = (str(marked.run.path), "0", "--format", form)
    printed = shown(capsys, *place)
    assert monosem(["show", *place, "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    (written,) = tmp_path.iterdir()
    assert re.fullmatch(r"b-run-0\.(md|html|json|txt)", written.name)
    if form == "json":
        assert json.loads(written.read_text()) == json.loads(printed)
    else:
        assert written.read_text() == printed


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    names = [write_new(tmp_path / "a-1.md", text).name for text in "xyz"]
    assert names == ["a-1.md", "a-1-2.md", "a-1-3.md"]
    assert [(tmp_path / name).read_text() for name in names] == ["x", "y", "z"]
    (tmp_path / "b.md").symlink_to(tmp_path / "nowhere")
    assert write_new(tmp_path / "b.md", "w").name == "b-2.md"
    with pytest.raises(MonosemError, match=r"there is no folder .*a-1\.md"):
        write_new(tmp_path / "a-1.md" / "under.md", "x")
    assert len(list(tmp_path.iterdir())) == 5


def test_names_are_plain() -> None:
    assert file_name("stories", "412", "markdown") == "stories-412.md"
    assert file_name("copied home.h5", "3", "html") == "copied-home-3.html"
    assert file_name("../\x1b[31m\u202e../x", "3", "json") == "31m-..-x-3.json"
    assert file_name("日本", "3", "picture") == "run-3.svg"
    assert len(file_name("x" * 300, "3", "json")) < 100


def test_forms_that_go_with_nothing(marked: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert monosem(["show", str(marked.run.path), "--format", "html"]) == 2
    assert monosem(["show", str(marked.run.path), "0", "--format", "html", "--json"]) == 2
    assert capsys.readouterr().out == ""


KEYS = {"markdown": "m", "html": "h", "json": "j", "svg": "s"}


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_writes_what_the_command_prints(form: str, make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "e")
        assert "m Markdown  h HTML  j JSON  s plots  esc back" in screen_text(pilot)
        await press(pilot, KEYS[form])
        await pilot.app.workers.wait_for_complete()
        await settle(pilot)
        assert "written to" in screen_text(pilot)
    (written,) = Path.cwd().glob("sample-0.*")
    options = ["--format", form, "--output", str(written), "--top", "8", "--random", "4"]
    assert monosem(["show", str(sample.run.path), "0", *options]) == 0
    (again,) = Path.cwd().glob("sample-0-2.*")
    assert again.read_text() == written.read_text()


async def test_any_other_key_writes_nothing_and_does_nothing(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        for key in ("escape", "z", "G", "ctrl+c"):
            await press(pilot, "e", key)
            assert "/ filter" in screen_text(pilot)
        await press(pilot, "e", "question_mark", "question_mark")
        assert "? keys · esc closes" in screen_text(pilot)
    assert not list(Path.cwd().glob("sample-0*"))


async def test_a_folder_that_takes_no_files(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        async with make_app().run_test(size=(80, 24)) as pilot:
            gone.mkdir()
            os.chdir(gone)
            gone.rmdir()
            await press(pilot, "P")
            assert "nothing written: " in screen_text(pilot)
            await press(pilot, "e", "m")
            await pilot.app.workers.wait_for_complete()
            await settle(pilot)
            assert "nothing written: " in screen_text(pilot)
    finally:
        os.chdir(tmp_path)


async def test_the_screen_as_a_picture(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await pilot.press("P")
        await until(pilot, Path("sample-browse.svg").is_file)
        await pilot.press("4", "P")
        await until(pilot, Path("sample-health.svg").is_file)
        await until(pilot, lambda: "written to" in screen_text(pilot))
    for view in ("browse", "health"):
        svg = Path(f"sample-{view}.svg").read_text()
        words = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
        assert ("water, boats" if view == "browse" else "DENSITY") in words
        assert not re.search(r"url\((?!#)|@import|<image|href", svg)
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", svg)


async def test_each_word_of_a_picture_has_its_own_place(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        svg = ElementTree.fromstring(picture(pilot.app.screen, "x", light=False))
        lines = screen_text(pilot).splitlines()
    seen = 0
    for text in svg.iter("{http://www.w3.org/2000/svg}text"):
        row = round((float(text.get("y", "0")) - 20) / 24.4)
        for word in text:
            line, column = lines[row], round(float(word.get("x", "nan")) / 12.2)
            before = next((at for at in range(len(line)) if cell_len(line[:at]) == column), -1)
            assert before >= 0, (line, word.text, column)
            assert word.text
            assert line.startswith(word.text, before)
            assert float(word.get("textLength", "nan")) == pytest.approx(12.2 * cell_len(word.text), abs=0.01)
            seen += len(word.text)
    assert seen == sum(len(re.sub(r"\s", "", line)) for line in lines)
