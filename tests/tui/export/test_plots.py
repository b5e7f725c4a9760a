"""Plots as SVG: their figures, and how Chromium and librsvg draw them."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from monosem_tui.cli.main import run
from monosem_tui.draw.svg_plots import HEAD, HEIGHT, WIDTH, Axis, PointGroup, columns, points, sheet
from monosem_tui.export.page_files import as_file
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes
from store.query.histogram import density_histogram
from store.settings.features import ExampleSettings
from tests.sample_run import Sample
from tests.tui.export.chromium import Chromium

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<b>&\x1b[31m]]>"
COLUMNS = columns("Three & more", Axis("x", 0.0, 3.0), Axis("tokens", 0.0, 4.0), (0.0, 1.0, 2.0, 3.0), (1.0, 4.0, 0.0))
BLUE = (0x00, 0x72, 0xB2)


def bars_of(svg: ElementTree.Element) -> list[tuple[float, float]]:
    """Left edge and height of each column."""
    found = [one for one in svg.iter(f"{SVG}rect") if one.get("fill") == "#0072b2"]
    return [(float(one.attrib["x"]), float(one.attrib["height"])) for one in found]


def test_columns_are_as_high_as_their_counts() -> None:
    (left, low), (right, high) = bars_of(ElementTree.fromstring(COLUMNS))
    assert high == pytest.approx(4 * low, abs=0.3)
    assert right - left == pytest.approx((WIDTH - 80) / 3, abs=0.2)


def test_a_run_and_a_feature_are_drawn_whatever_names_hold(sample: Sample, tmp_path: Path, name: str) -> None:
    assert run(["export", name, "--to", "svg", "--out", str(tmp_path / "plots")]) == 0
    assert "density.svg" in {path.name for path in (tmp_path / "plots").iterdir()}
    with FeatureStore.open(sample.run.path) as store:
        shown = density_histogram(store.columns.density_F).counts
        feature = int(np.argmax(store.columns.density_F))
        text = as_file("svg", store, {feature: FeatureNotes(label=HOSTILE)}, feature, ExampleSettings(), HOSTILE)
    density = ElementTree.parse(tmp_path / "plots" / "density.svg").getroot()
    assert len(bars_of(density)) == np.count_nonzero(shown)
    page = ElementTree.fromstring(text)
    assert "\x1b" not in text
    assert "<b>" not in text
    assert any("Activations of" in (one.text or "") for one in page.iter(f"{SVG}text"))


def test_librsvg_draws_columns_where_they_belong(tmp_path: Path) -> None:
    if shutil.which("rsvg-convert") is None:
        pytest.skip("librsvg's rsvg-convert is not installed (Debian: apt install librsvg2-bin)")
    (tmp_path / "sheet.svg").write_text(sheet("Two", [COLUMNS, COLUMNS]))
    subprocess.run(["rsvg-convert", "sheet.svg", "-o", "sheet.png"], cwd=tmp_path, check=True)
    picture_YXC = pixels(tmp_path / "sheet.png")
    assert picture_YXC.shape[:2] == (HEAD + 2 * HEIGHT, WIDTH)
    for number in (0, 1):
        for (left, height), shown in zip(bars_of(ElementTree.fromstring(COLUMNS)), (1.0, 4.0), strict=True):
            x, foot = round(left) + 20, HEAD + number * HEIGHT + HEIGHT - 46
            assert tuple(picture_YXC[foot - 3, x, :3]) == BLUE, shown
            assert tuple(picture_YXC[foot - round(height) + 3, x, :3]) == BLUE, shown
        empty = picture_YXC[HEAD + number * HEIGHT + 60 : HEAD + number * HEIGHT + 250, WIDTH - 120 : WIDTH - 30, :3]
        assert not (empty == BLUE).all(axis=2).any()


NAMES = [("alpha · beta", 5.0, 5.0), ("gamma", 5.2, 5.0), ("delta", 9.9, 9.9), ("<epsilon>", 0.0, 0.1)]


def map_picture(*, axes: bool) -> str:
    """Three points, blue but for the last, and names of which some are near each other."""
    groups = [PointGroup("blue ones", "#0072b2", [(1.0, 1.0), (9.0, 9.5)]), PointGroup("", "#d55e00", [(2.0, 7.0)])]
    return points("Points", Axis("x", 0.0, 10.0), Axis("y", 0.0, 10.0), groups, axes=axes, names=NAMES, radius=4)


@pytest.mark.parametrize("axes", [False, True])
def test_librsvg_draws_points_where_they_belong(axes: bool, tmp_path: Path) -> None:
    if shutil.which("rsvg-convert") is None:
        pytest.skip("librsvg's rsvg-convert is not installed (Debian: apt install librsvg2-bin)")
    (tmp_path / "map.svg").write_text(map_picture(axes=axes))
    subprocess.run(["rsvg-convert", "map.svg", "-o", "map.png"], cwd=tmp_path, check=True)
    picture_YXC = pixels(tmp_path / "map.png").astype(int)
    left, right, top, low = (60, 620, 34, 514) if axes else (20, 620, 34, 548)
    for x, y, ink in ((1, 1, BLUE), (9, 9.5, BLUE), (2, 7, (0xD5, 0x5E, 0x00))):
        at = picture_YXC[round(low + (top - low) * y / 10), round(left + (right - left) * x / 10), :3]
        assert np.abs(at - (0.75 * np.array(ink) + 0.25 * 255)).max() <= 3, (x, y)
    assert (picture_YXC[300, left + 60, :3] == 255).all() or axes


def boxes(selector: str) -> str:
    """The expression for left, top, right and bottom of each element that is selected."""
    sides = "(({left, top, right, bottom}) => [left, top, right, bottom])"
    return f"[...document.querySelectorAll('{selector}')].map((one) => one.getBoundingClientRect()).map{sides}"


@pytest.mark.slow
@pytest.mark.parametrize("plot", ["sheet", "map", "map without axes"])
def test_chromium_shows_every_word_inside_the_picture_and_none_over_another(plot: str, tmp_path: Path) -> None:
    made = sheet("Two", [COLUMNS, COLUMNS]) if plot == "sheet" else map_picture(axes=plot == "map")
    (tmp_path / "sheet.html").write_text(f"<!doctype html><body>{made}</body>")
    with Chromium(tmp_path / "profile") as browser:
        browser.open(tmp_path / "sheet.html")
        (inside,) = browser.value(boxes("body > svg"))
        found = browser.value(boxes("text"))
    assert len(found) > (4 if plot == "map without axes" else 15)
    for box in found:
        assert inside[0] <= box[0] < box[2] <= inside[2]
        assert inside[1] <= box[1] < box[3] <= inside[3]
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            wide = min(one[2], other[2]) - max(one[0], other[0])
            tall = min(one[3], other[3]) - max(one[1], other[1])
            assert wide <= 0 or tall <= 3, (one, other)


def pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels [Y, X, RGBA] of a PNG of 8 bits a channel, without interlacing."""
    data, at, packed, header = path.read_bytes(), 8, b"", b""
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        header, packed = (body, packed) if kind == b"IHDR" else (header, packed + body * (kind == b"IDAT"))
        at += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    assert (depth, colour) in {(8, 2), (8, 6)}
    each = 4 if colour == 6 else 3
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * each)
    found = np.zeros((height, width, each), np.int64)
    for y in range(height):
        found[y] = _unfiltered(int(rows[y, 0]), rows[y, 1:].reshape(width, each), found[y - 1] if y else found[0] * 0)
    return found.astype(np.uint8)


def _unfiltered(kind: int, row: NDArray[np.uint8], above: NDArray[np.int64]) -> NDArray[np.int64]:
    """One row of pixels; the filters are those of the PNG specification, section 9."""
    if kind == 0:
        return row.astype(np.int64)
    if kind == 2:
        return (row + above) % 256
    out = np.zeros_like(above)
    left, corner = np.zeros(row.shape[1], np.int64), np.zeros(row.shape[1], np.int64)
    for x, value in enumerate(row.astype(np.int64)):
        up = above[x]
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            base = left + up - corner
            a, b, c = abs(base - left), abs(base - up), abs(base - corner)
            guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
        out[x] = left = (value + guess) % 256
        corner = up
    return out
