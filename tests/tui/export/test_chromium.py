"""The browser of all features in a real one, from disk: search, pages, keys, and not one error on its console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.index.reader import FeatureStore
from store.query.feature_order import worth_seeing
from tests.sample_run import Sample, build_sample
from tests.tui.export.chromium import Chromium
from tests.tui.export.hostile import PAYLOADS, build_hostile_pages
from tests.tui.export.test_browser import exported

pytestmark = pytest.mark.slow

NUMBERS = "[...document.querySelectorAll('tr[data-place] a')].map((link) => Number(link.textContent))"
CURSOR = "Number(document.querySelector('tr.at a').textContent)"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, Path]:
    """A run of 1 024 features, and its browser."""
    folder = tmp_path_factory.mktemp("large")
    made = build_sample(folder / "run", n_contexts=60, n_features=1024)
    return made, exported(made, folder / "out")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests."""
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Chromium]:
    """The browser; after the test nothing must have gone wrong, and nothing been asked for that is not a page."""
    chromium.trouble.clear()
    chromium.asked.clear()
    yield chromium
    assert chromium.trouble == []
    assert [url for url in chromium.asked if not url.startswith(("file:///", "about:"))] == []
    assert [url for url in chromium.asked if not url.partition("#")[0].endswith((".html", "about:blank"))] == []


def test_the_list_holds_what_is_in_sight_and_scrolls_over_all(page: Chromium, large: tuple[Sample, Path]) -> None:
    sample, folder = large
    page.open(folder / "index.html")
    alive = (sample.dense_NF > 0).any(axis=0).nonzero()[0].tolist()
    with FeatureStore.open(sample.run.path) as store:
        worth = [number for number in worth_seeing(store.columns).tolist() if number in set(alive)]
    assert page.value(NUMBERS)[:10] == worth[:10]
    peaks = "document.querySelectorAll('tr[data-place] td.example bdi.h5')"
    assert page.value(f"[...{peaks}].slice(0, 10).filter((one) => one.getBoundingClientRect().width > 5).length") == 10
    cells = "[...document.querySelectorAll('tr.at td')].filter((td) => td.offsetParent).at(-1)"
    table = "document.querySelector('#view table')"
    ends = [page.value(f"{one}.getBoundingClientRect().right") for one in (cells, table)]
    assert abs(ends[0] - ends[1]) < 1  # columns that are left out leave no room empty
    page.value("document.querySelectorAll('th button')[0].click()")
    assert page.value(NUMBERS)[:10] == alive[:10]
    assert page.value("document.querySelectorAll('tr').length") < 100
    assert f"{len(alive):,} of 1,024 features".replace(",", " ") == page.value("document.getElementById('said').value")
    page.press("G")
    assert page.value(CURSOR) == alive[-1]
    page.press("k")
    assert page.value(CURSOR) == alive[-2]
    inside = "(() => { const row = document.querySelector('tr.at').getBoundingClientRect(); "
    inside += "const view = document.getElementById('view').getBoundingClientRect(); "
    inside += "return row.top >= view.top && row.bottom <= view.bottom + 1; })()"
    assert page.value(inside)


def test_searching_sorting_and_opening(page: Chromium, large: tuple[Sample, Path]) -> None:
    sample, folder = large
    page.open(folder / "index.html")
    page.press("/")
    page.write("SAID")
    found = page.value(NUMBERS)
    assert 1 in found
    assert 0 < len(found) < 1024
    page.value("document.querySelectorAll('th button')[4].click()")
    density_F = (sample.dense_NF > 0).sum(axis=0)
    by_density = page.value(NUMBERS)
    counts = [int(density_F[number]) for number in by_density]
    assert counts == sorted(counts, reverse=True)
    page.press("Enter")  # leaves the search
    page.press("g")
    page.press("j")
    second = by_density[1]
    with page.arriving():
        page.press("Enter")
    assert page.value("location.pathname").endswith(f"/features/{second}.html")
    assert page.value("document.querySelector('h1').textContent").startswith(str(second))
    with page.arriving():
        page.press("Escape")
    assert page.value("document.getElementById('search').value") == "SAID"
    assert page.value(NUMBERS) == by_density
    assert page.value(CURSOR) == second


def test_the_map_says_what_is_under_the_mouse_and_leads_to_its_page(page: Chromium, large: tuple[Sample, Path]) -> None:
    page.open(large[1] / "map.html")
    assert page.value("views.length") == 1
    px, py = page.value("place(view.places[5][1], view.places[5][2])")
    row = page.value(f"nearest({px}, {py})")
    page.value(f"hover({px}, {py})")
    assert page.value("card.hidden") is False
    assert page.value("card.querySelector('b').textContent") == str(row)
    page.press("/")
    page.write("SAID")
    assert page.value("lit.has(1)") and 0 < page.value("lit.size") < page.value("view.places.length")
    wheel = "canvas.dispatchEvent(new WheelEvent('wheel', {deltaY: -1, clientX: 300, clientY: 300, cancelable: true}))"
    page.value(wheel)
    assert page.value("at.scale[0] / whole.scale[0]") == pytest.approx(1.3)
    page.press("Escape")
    assert page.value("lit") is None
    x, y = page.value("place(view.places[5][1], view.places[5][2])")
    box = page.value("(() => { const r = canvas.getBoundingClientRect(); return [r.left, r.top]; })()")
    aimed = page.value(f"nearest({x}, {y})")
    pointed = f"{{clientX: {x + box[0]}, clientY: {y + box[1]}, pointerId: 1, bubbles: true}}"
    with page.arriving():
        page.value(
            "canvas.setPointerCapture = () => {}; "
            f"for (const kind of ['pointerdown', 'pointerup']) canvas.dispatchEvent(new PointerEvent(kind, {pointed}))"
        )
    assert page.value("location.pathname").endswith(f"/features/{aimed}.html")


def test_the_first_screen_holds_what_tells_most(page: Chromium, large: tuple[Sample, Path]) -> None:
    """Examples, both tables of tokens, the histogram and the neighbours are on 1280 × 800."""
    page.sized(1280, 800)
    try:
        page.open(large[1] / "features" / "1.html")
        boxes = "aside svg", "aside section:nth-of-type(1) table", "aside .pair section:nth-of-type(2) table"
        boxes += ("aside .pair section:nth-of-type(3) table", "main .examples p:nth-of-type(8)", "h1")
        for box in boxes:
            found = f"[...document.querySelectorAll('{box}')].map((one) => one.getBoundingClientRect().bottom)"
            assert page.value(found)[:1] and page.value(found)[0] <= 800, box
        shown = "document.querySelector('main .examples').innerText.length"
        before = page.value(shown)
        page.value("document.getElementById('more').click()")
        assert page.value(shown) > before
    finally:
        page.sized(0, 0)


def test_worth_seeing_is_an_order_again(page: Chromium, large: tuple[Sample, Path]) -> None:
    page.open(large[1] / "index.html")
    first = page.value(NUMBERS)
    page.value("document.querySelectorAll('th button')[5].click()")
    assert page.value(NUMBERS) != first
    page.value("document.getElementById('worth').click()")
    assert page.value(NUMBERS) == first


def test_a_number_comes_first(page: Chromium, large: tuple[Sample, Path]) -> None:
    page.open(large[1] / "index.html", "#search")
    page.write("1023")
    assert page.value(CURSOR) == 1023  # a dead one, which is asked for by name


def test_a_feature_page_by_its_address(page: Chromium, large: tuple[Sample, Path]) -> None:
    page.open(large[1] / "features" / "1.html")
    assert "·said" in page.value("document.querySelector('.lists').textContent")
    with page.arriving():
        page.press("j")
    assert page.value("location.pathname").endswith("/features/2.html")
    with page.arriving():
        page.press("k")
    near = page.value("[...document.querySelectorAll('.lists a')][0].getAttribute('href')")
    with page.arriving():
        page.value("document.querySelector('.lists a').click()")
    assert page.value("location.pathname").endswith(f"/features/{near}")
    with page.arriving():
        page.press("/")
    assert page.value("document.activeElement.id") == "search"


def test_a_page_without_javascript(page: Chromium, large: tuple[Sample, Path]) -> None:
    page.scripts(False)
    try:
        page.open(large[1] / "features" / "1.html")
        assert page.value("document.querySelectorAll('.examples bdi.peak').length") > 5
        assert page.value("document.querySelector('nav a[rel=next]').getAttribute('href')") == "2.html"
        colour = "getComputedStyle(document.querySelector('bdi.h5')).backgroundColor"
        assert page.value(colour) != "rgba(0, 0, 0, 0)"
    finally:
        page.scripts(True)


def test_hostile_text_stays_text(page: Chromium, tmp_path: Path) -> None:
    folder = exported(build_hostile_pages(tmp_path), tmp_path / "out")
    page.open(folder / "index.html")
    assert page.value("document.querySelectorAll('tr[data-place] td:nth-child(2)')[0].textContent").startswith(
        PAYLOADS[0]
    )
    for feature in range(len(PAYLOADS)):
        page.open(folder / "features" / f"{feature}.html")
        assert page.value("typeof window.PWNED") == "undefined"
        assert page.value("document.querySelectorAll('img, iframe, svg[onload], script').length") == 1
        if feature < 6:
            assert PAYLOADS[feature] in page.value("document.querySelector('h1').textContent")
