"""The browser of all features as files: what is in them, that text is never markup, that nothing is written over."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monosem_tui.cli.main import run
from store.index.reader import FeatureStore
from store.map.map_file import map_path, save_map
from store.notes.note_file import Notes
from store.query.feature_order import worth_seeing
from store.rules.kind_file import index_digest
from store.run.weights import load_sae
from tests.sample_run import VOCAB, Sample, build_sample
from tests.store.map.maps import small_map
from tests.tui.export.conftest import listing
from tests.tui.export.hostile import PAYLOADS, build_hostile_pages

VOID = {"meta", "br", "input", "rect"}
KNOWN = {
    *("html", "meta", "title", "style", "script", "noscript", "header", "figure", "figcaption", "form", "input"),
    *("label", "output", "kbd", "nav", "a", "p", "bdi", "br", "h1", "h2", "small", "span", "b", "div", "section"),
    *("canvas", "select"),
    *("table", "thead", "tbody", "tr", "th", "td", "button", "svg", "rect", "main", "aside"),
}


class Page(HTMLParser):
    """A page as a browser parses it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, list[str]] = {}
        self.text = ""
        self._open: list[str] = []
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.inside.setdefault(tag, []).append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.inside[tag][-1] += data
        if not {"script", "style"} & set(self._open):
            self.text += data

    @property
    def links(self) -> list[str]:
        """Targets of its links."""
        return [found["href"] for tag, found in self.tags if tag == "a"]

    @property
    def rows(self) -> list[list[Any]]:
        """Data of the list."""
        return list(self.rows_of("features"))

    def rows_of(self, name: str) -> Any:
        """Data of a script element by its id."""
        scripts = zip(self.scripts, self.inside["script"], strict=True)
        return json.loads(next(text for (_, found), text in scripts if found.get("id") == name))

    @property
    def scripts(self) -> list[tuple[str, dict[str, str]]]:
        """Its script elements."""
        return [one for one in self.tags if one[0] == "script"]


def exported(sample: Sample, out: Path) -> Path:
    """The sample as a browser."""
    assert run(["export", str(sample.run.path), "--to", "html", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def pages(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export of an innocent run."""
    return exported(sample, tmp_path_factory.mktemp("html") / "out")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export of a hostile run."""
    folder = tmp_path_factory.mktemp("hostile")
    return exported(build_hostile_pages(folder), folder / "out")


def test_the_list_has_every_feature_with_its_numbers(pages: Path, sample: Sample) -> None:
    rows = Page(pages / "index.html").rows
    assert [row[0] for row in rows] == list(range(150))
    act_FN = sample.dense_NF.T
    n = sample.counted_N.sum()
    for row, acts in zip(rows, act_FN, strict=True):
        firing = acts[acts > 0]
        assert row[3] == pytest.approx(len(firing) / n, rel=1e-3)
        assert row[4] == pytest.approx(acts.max(), rel=1e-3)
        assert row[5] == pytest.approx(firing.mean() if len(firing) else 0, rel=2e-3)
    assert rows[1][2] == "·said"
    assert set(rows[0][6].split()) <= {f"·{token.decode(errors='ignore').strip()}" for token in VOCAB} | {"↵", ".", ","}
    assert f"{sum(row[3] for row in rows):.1f}" in Page(pages / "index.html").text  # L0
    token_N = sample.token_N
    for row, acts in zip(rows, act_FN, strict=True):
        peak = VOCAB[token_N[int(acts.argmax())]].decode(errors="ignore") if acts.max() > 0 else ""
        assert peak.strip() in (row[11].strip(), "") or row[11] in ("↵", "é", "‥")
        assert len(row[10]) <= 45 and len(row[12]) <= 35


def test_the_first_features_are_worth_seeing(sample: Sample, pages: Path) -> None:
    page = Page(pages / "index.html")
    by_rank = [row[0] for row in sorted(page.rows, key=lambda row: row[9])]
    with FeatureStore.open(sample.run.path) as store:
        assert by_rank == worth_seeing(store.columns).tolist()
    assert by_rank[-1] == 149  # a dead one
    assert "Worth seeing first: what has a label or a star" in page.text


def test_every_feature_has_a_page_and_every_link_a_target(pages: Path) -> None:
    assert listing(pages) == ["features", "index.html", "map.html"]
    assert len(listing(pages / "features")) == 150
    for path in (pages / "features").iterdir():
        for link in Page(path).links:
            assert (path.parent / link.partition("#")[0]).is_file(), link
    assert Page(pages / "features" / "0.html").links[:3] == ["../index.html", "1.html", "../index.html#search"]
    assert Page(pages / "features" / "149.html").links[1] == "148.html"


def test_a_page_shows_its_feature(pages: Path, sample: Sample) -> None:
    page = Page(pages / "features" / "1.html")
    acts = sample.dense_NF[:, 1]
    assert f"({(acts > 0).sum()})" in page.text
    assert page.inside["h1"] == ["1  "]
    hot = [float(found["title"]) for tag, found in page.tags if tag == "bdi" and "title" in found]
    assert max(hot) == pytest.approx(acts.max(), abs=0.05)
    near = [int(link.removesuffix(".html")) for link in page.links[4:14]]
    rows_FD = load_sae(sample.run.sae).tensors["W_dec"]
    cosine = rows_FD @ rows_FD[1]
    cosine[1] = -2
    assert near == np.argsort(-cosine, kind="stable")[:10].tolist()


@pytest.mark.parametrize("which", ["pages", "hostile"])
def test_pages_run_their_own_script_alone_and_ask_for_nothing(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    for path in [folder / "index.html", folder / "map.html", *sorted((folder / "features").iterdir())]:
        page = Page(path)
        assert {tag for tag, _ in page.tags} <= KNOWN
        attributes = [(name, value) for _, found in page.tags for name, value in found.items()]
        assert not [name for name, _ in attributes if name in ("src", "style", "srcset") or name.startswith("on")]
        assert not re.search(r"https?:|url\(|@import", "".join(page.inside["style"]) + page.html.partition("<body")[0])
        policy = next(found["content"] for _, found in page.tags if found.get("http-equiv"))
        scripts = zip(page.scripts, page.inside["script"], strict=True)
        running = [text for (_, found), text in scripts if found.get("type") != "application/json"]
        assert len(running) == 1
        assert policy == (
            f"default-src 'none'; style-src {digest(page.inside['style'][0])}; base-uri 'none'; form-action 'none'; "
            f"script-src {digest(running[0])}"
        )
        # A newline is the only control character, and nothing turns the direction of what follows.
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]", page.html)


def digest(text: str) -> str:
    """As a content security policy has it."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_hostile_text_is_shown_as_text(hostile: Path) -> None:
    rows = Page(hostile / "index.html").rows
    for feature, payload in enumerate(PAYLOADS[:6]):
        assert rows[feature][1] == payload
        page = Page(hostile / "features" / f"{feature}.html")
        assert payload in page.inside["h1"][0]
        assert payload in page.inside["title"][0]
        assert page.inside["p"][0] == payload
    assert rows[6][1] == "⟨0x1B⟩]0;x⟨0x07⟩⟨0x00⟩⟨0x08⟩⟨0x7F⟩⟨U+0085⟩"
    assert rows[8][1] == PAYLOADS[8]
    assert any("<script>window.PWNE…" in row[6] for row in rows)
    assert {row[2] for row in rows} & set(PAYLOADS[:6])


def test_the_map_has_every_feature_that_fires_and_what_is_said_of_it(
    sample: Sample, hostile: Path, tmp_path: Path
) -> None:
    made = build_sample(tmp_path / "run", n_features=60)
    save_map(map_path(made.run.path, "plane"), small_map(index_digest(made.run.features), features=60))
    save_map(map_path(made.run.path, "stale"), small_map("of another", features=60))
    map_path(made.run.path, "broken").write_bytes(b"nothing")
    Notes(made.run.notes).set(3, "label", "a label")
    data = Page(exported(made, tmp_path / "out") / "map.html").rows_of("map")
    assert [view["title"] for view in data["views"]] == ["density and maximum", "map plane"]
    density, plane = data["views"]
    alive = np.flatnonzero((made.dense_NF > 0).any(axis=0))
    assert [place[0] for place in density["places"]] == alive.tolist()
    assert [place[0] for place in plane["places"]] == list(range(59))
    row = density["places"][0]
    assert row[1] == pytest.approx(np.log10((made.dense_NF[:, row[0]] > 0).sum() / made.counted_N.sum()), abs=2e-3)
    assert data["features"][3][1] == "a label"
    assert len(plane["groups"]) == 60
    hostile_data = Page(hostile / "map.html").rows_of("map")
    assert [row[1] for row in hostile_data["features"][:6]] == list(PAYLOADS[:6])


def test_nothing_takes_the_place_of_what_is_there(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(out: Path) -> str:
        assert run(["export", str(sample.run.path), "--to", "html", "--out", str(out)]) == 2
        return capsys.readouterr().err

    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "mine.txt").write_text("mine")
    file.write_text("mine")
    assert f"{full} is not empty" in refused(full)
    assert f"{file} is a file" in refused(file)
    monkeypatch.chdir(empty)
    assert "is the folder you are in" in refused(Path())
    monkeypatch.chdir(tmp_path)
    assert listing(tmp_path) == ["empty", "file", "full"]
    assert (listing(full), file.read_text()) == (["mine.txt"], "mine")
    exported(sample, Path("empty"))
    assert listing(empty) == ["features", "index.html", "map.html"]


def test_an_export_that_stops_leaves_nothing(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from monosem_tui.export import browser

    real, asked = browser.read_document, []

    def stopping(*arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 20:
            assert len(listing(next(tmp_path.iterdir()) / "features")) == 19  # a page at a time
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(browser, "read_document", stopping)
    assert run(["export", str(sample.run.path), "--to", "html", "--out", str(tmp_path / "out")]) != 0
    assert listing(tmp_path) == []


def test_what_a_killed_export_left_is_cleared_away(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / ".out.tmp-1" / "features").mkdir(parents=True)
    (tmp_path / ".out.tmp-1" / "features" / "0.html").write_text("half")
    exported(sample, tmp_path / "out")
    assert listing(tmp_path) == ["out"]


def test_labels_are_in_the_list_and_on_the_pages(sample: Sample, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(sample.run.path, home)
    notes = Notes(home / "notes.jsonl")
    notes.set(5, "label", "boats <&> harbours")
    notes.set(5, "bookmark", True)
    notes.set(5, "tags", ["places"])
    assert run(["export", str(home), "--to", "html", "--out", str(tmp_path / "out")]) == 0
    row = Page(tmp_path / "out" / "index.html").rows[5]
    assert (row[1], row[7], row[8]) == ("boats <&> harbours", "#places", 1)
    assert "boats <&> harbours" in Page(tmp_path / "out" / "features" / "5.html").inside["h1"][0]


def test_a_dead_feature_says_so(pages: Path) -> None:
    assert "Dead: it fires on none of the 1 860 tokens" in Page(pages / "features" / "149.html").text


def test_an_index_that_is_still_written_can_be_browsed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = build_sample(tmp_path / "run", n_contexts=8, merged=False)
    segments = sorted((made.run.path / "index").glob("seg-*.h5"))
    segments[-1].unlink()
    out = exported(made, tmp_path / "out")
    assert "the index is not complete: 6 of 8 contexts so far" in capsys.readouterr().err
    kept = made.dense_NF[: 6 * 32]
    rows = Page(out / "index.html").rows
    assert [row[4] for row in rows] == pytest.approx(kept.max(axis=0).tolist(), rel=1e-3)


def test_what_is_written_is_said(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["export", str(sample.run.path), "--to", "html", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"name": "stories", "to": "html", "files": [str(out / "index.html")]}


def test_exporting_needs_no_torch(sample: Sample, tmp_path: Path) -> None:
    script = (
        "import sys; from monosem_tui.cli.main import run; "
        f"code = run(['export', {str(sample.run.path)!r}, '--to', 'html', '--out', {str(tmp_path / 'out')!r}]); "
        "sys.exit(code or ('torch' in sys.modules) or ('textual' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0
