"""Maps as cells: every feature is a dot, colours and names are where they belong, and bytes have limits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monosem_tui.draw.cell_grid import GAP, CellGrid, cost
from monosem_tui.draw.label_places import Name, placed
from monosem_tui.draw.spans import GROUPS, Role, Span, line, text_of, width_of
from monosem_tui.model import map_colours
from monosem_tui.model.map_colours import NONE, Colouring
from monosem_tui.model.map_names import clusters_in_sight
from monosem_tui.model.map_points import MapPoints, PointAxes, map_points
from monosem_tui.model.map_window import Window, whole
from monosem_tui.pages.map_page import MapFrame, MapMarks, legend, map_page, ticks
from monosem_tui.pages.map_picture import QUICK, DotPicture
from store.map.feature_map import Box
from store.notes.statements import FeatureNotes
from tests.store.map.maps import small_map

N = 3000


def scattered(n: int = N, seed: int = 0) -> MapPoints:
    """Points all over the plane, so that hardly two share a dot."""
    return MapPoints("m", np.arange(n), np.random.default_rng(seed).random((n, 2)), None)


def picture(
    shown: MapPoints,
    colouring: Colouring | None = None,
    size: tuple[int, int] = (40, 80),
    *,
    lit_F: NDArray[np.bool_] | None = None,
    colors: int = 256,
    most: int = 10**6,
) -> DotPicture:
    window = whole(shown.bounds, *size, equal=False)
    return DotPicture(shown, window, colouring or map_colours.plain(N), lit_F, colors, most)


def test_each_point_sets_its_dot_and_no_other() -> None:
    shown = MapPoints("m", np.arange(3), np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.0]]), None)
    window = Window(0.5, 0.5, 1.001 / 8, 1.001 / 8, rows=2, cells=4)
    grid = DotPicture(shown, window, map_colours.plain(3), None, 256).grid
    assert [text_of(grid.line(y)) for y in range(2)] == ["   ⠈", "⡀ ⡀ "]


def test_the_number_of_dots_is_that_of_the_places() -> None:
    grid = picture(scattered()).grid
    dots = sum(bin(code - 0x2800).count("1") for code in grid.code_YX.ravel().tolist() if code != 32)
    places = picture(scattered()).places
    assert dots == len({*zip(places.column_I.tolist(), places.row_I.tolist(), strict=True)}) > 0.85 * N


def test_groups_have_their_colours_and_what_is_not_lit_is_dim() -> None:
    shown = MapPoints("m", np.arange(4), np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]]), None)
    colouring = Colouring("kind", "kind", np.array([0, 1, NONE, 1], np.int8), ("a", "b"))
    window = Window(1.5, 0, 0.5, 0.5, rows=1, cells=4)
    lit_F = np.array([True, True, True, False])
    grid = DotPicture(shown, window, colouring, lit_F, 256).grid
    roles = [span.role for span in grid.line(0) for _ in span.text]
    assert roles == [GROUPS[0], GROUPS[1], Role.DIM, Role.DIM]
    letters = text_of(DotPicture(shown, window, colouring, None, 0).grid.line(0))
    assert (letters[0], letters[1], letters[3]) == ("o", "x", "x") and letters[2] > "⠀"


@pytest.mark.parametrize("colors", [256, 16, 0])
def test_a_picture_keeps_within_its_bytes(colors: int) -> None:
    shown = scattered()
    noisy = Colouring("kind", "kind", np.random.default_rng(1).integers(0, 5, N).astype(np.int8), tuple("abcde"))
    exact = picture(shown, noisy, (46, 100), colors=colors)
    quick = picture(shown, noisy, (46, 100), colors=colors, most=QUICK)
    sent = sum(len(text_of(quick.grid.line(y)).rstrip().encode()) for y in range(46))
    assert exact.is_exact and exact.is_whole
    assert (quick.is_exact, quick.is_whole) == ((False, False) if colors else (True, True))  # letters are short
    assert max(cost(quick.grid), sent) <= QUICK
    assert set(np.flatnonzero(quick.grid.code_YX.ravel() > 0x2800)) <= set(
        np.flatnonzero(exact.grid.code_YX.ravel() != 32)
    )


def test_colours_agree_along_rows_where_changes_are_dear() -> None:
    shown = scattered()
    halves = (shown.place_N2[:, 0] > 0.5).astype(np.int8)
    halves[::10] = 1 - halves[::10]
    colouring = Colouring("kind", "kind", halves, ("left", "right"))
    within = picture(shown, colouring, most=cost(picture(shown, colouring).grid) - 1000)
    changes = sum(len({span.role for span in within.grid.line(y)}) for y in range(40))
    assert within.is_whole and changes < 3 * 40
    assert cost(within.grid) < cost(picture(shown, colouring).grid)


def test_full_cells_are_grounds_with_256_colours_alone() -> None:
    dots = [(x + 0.5, y + 0.5) for x in range(8) for y in range(4)]
    shown = MapPoints("m", np.arange(32), np.array(dots), None)
    window = Window(4, 2, 1, 1, rows=1, cells=4)
    for colors, text in ((256, "    "), (16, "⣿⣿⣿⣿"), (0, "⣿⣿⣿⣿")):
        grid = DotPicture(shown, window, map_colours.crowd(32), None, colors).grid
        assert text_of(grid.line(0)) == text
        assert all(span.role is not Role.PLAIN for span in grid.line(0)) or colors == 0


def test_the_nearest_features_come_in_order_and_lit_ones_first() -> None:
    shown = scattered()
    drawn = picture(shown)
    x, y = drawn.window.middle_of(10, 20)
    apart = ((shown.place_N2[:, 0] - x) / drawn.window.across) ** 2 + (
        (shown.place_N2[:, 1] - y) / drawn.window.down
    ) ** 2
    assert drawn.nearest(10, 20, 5).tolist() == np.argsort(apart)[:5].tolist()
    lit_F = np.zeros(N, bool)
    lit_F[[7, 9]] = True
    assert set(picture(shown, lit_F=lit_F).nearest(10, 20, 5).tolist()) == {7, 9}


def test_zooming_keeps_a_point_in_its_cell_and_never_leaves_the_whole() -> None:
    bounds = Box(0, 0, 10, 5)
    window = whole(bounds, 20, 40, equal=False)
    x, y = window.middle_of(3, 7)
    near = window.zoomed(4, x, y)
    assert near.cell_of(x, y) == (3, 7)
    assert near.across == window.across / 4
    far = near.moved(-999, -999).kept_in(bounds)
    assert (far.box.left, far.box.top) == (pytest.approx(0), pytest.approx(5))
    assert window.moved(5, 5).kept_in(bounds) == window
    cells = near.box_of((2, 3), (5, 8))
    assert near.cell_of(cells.left + 1e-9, cells.top - 1e-9) == (2, 3)
    assert near.cell_of(cells.right - 1e-9, cells.bottom + 1e-9) == (5, 8)


def test_a_box_as_a_filter_holds_what_is_in_it() -> None:
    shown = scattered()
    box = Box(0.21234567, 0.3, 0.4, 0.7)
    text = shown.filter_of(box)
    assert text == "in:m(0.2123,0.3,0.4,0.7)"
    density = MapPoints("", shown.feature_N, shown.place_N2 - 3, PointAxes("d", "m", log_y=False))
    assert density.filter_of(Box(-3, -1, -2, 0.5)) == "density>=0.001 density<=0.01 max>=0 max<=0.5"
    logs = MapPoints("", shown.feature_N, shown.place_N2, PointAxes("d", "m", log_y=True))
    assert logs.filter_of(Box(-3, -1, -2, 1)) == "density>=0.001 density<=0.01 max>=0.1 max<=10"


def test_axes_have_round_ticks_at_their_places() -> None:
    assert ticks(-5.2, -0.9, 8, log=True) == [-5, -4, -3, -2, -1]
    assert [round(10**value, 3) for value in ticks(0.31, 0.99, 8, log=True)] == [3, 4, 5, 6, 7, 8, 9]
    assert ticks(0, 10, 5, log=False) == [0, 2, 4, 6, 8, 10]
    shown = MapPoints("", np.arange(2), np.array([[-4.0, 0.0], [-1.0, 10.0]]), PointAxes("dens", "maxi", log_y=False))
    frame = MapFrame.of(20, 60, axes=True)
    drawn = DotPicture(
        shown, whole(shown.bounds, frame.rows, frame.cells, equal=False), map_colours.plain(2), None, 256
    )
    grid = map_page("title", drawn, frame, MapMarks((0, 0)), focused=True)
    rows = [text_of(grid.line(y)) for y in range(20)]
    row = next(y for y, text in enumerate(rows) if "10.0 ┤" in text)
    assert (row - frame.top, frame.cells - 1 - 1) == (drawn.window.cell_of(-1, 10)[0], frame.cells - 2)
    assert any("1e-4" in text or "0.01 %" in text for text in rows) and "dens" in "".join(rows) and "maxi" in rows[1]


def test_names_stand_apart_and_inside() -> None:
    found = placed(
        [Name("a", 5, 5, 4), Name("b", 5, 5, 4), Name("c", 5, 5, 4), Name("d", 5, 5, 4), Name("e", 99, 5, 4)],
        20,
        10,
        1,
        1,
    )
    assert [name.text for name in found] == ["a", "b", "c"]
    assert len({name.y for name in found}) == 3
    assert placed([Name("edge", 19.5, 9.9, 8)], 20, 10, 1, 1)[0].left == 12


def test_clusters_are_named_where_their_members_are() -> None:
    made = small_map(features=100)
    named = clusters_in_sight(made, Box(0, -20, 99, 20))
    assert [one.name for one in named] == ["sea · boat", "a", "b", "c"]
    assert abs(named[1].x - 12) < 13 and named[0].members == 50
    nowhere = clusters_in_sight(made, Box(200, 200, 300, 300))
    assert nowhere == []


def test_hostile_names_are_made_safe_and_wide_letters_keep_their_cells() -> None:
    made = small_map(features=400, name="日本\x1b[31m語")
    shown = map_points("m", made)
    frame = MapFrame.of(12, 60, axes=False)
    window = whole(Box(0, -90, 399, 90), frame.rows, frame.cells, equal=False)
    drawn = DotPicture(shown, window, map_colours.plain(400), None, 256)
    grid = map_page("title", drawn, frame, MapMarks((5, 5)), focused=False)
    rows = [text_of(grid.line(y)) for y in range(12)]
    assert any("日本⟨0x1B⟩" in text for text in rows)
    assert all(width_of(grid.line(y)) == 60 for y in range(12)) and not any("\x1b" in text for text in rows)


def test_changes_are_the_cells_that_differ() -> None:
    before, after = CellGrid(3, 60), CellGrid(3, 60)
    after.put(1, 2, line("ab"))
    after.put(1, 2 + GAP, line("c"))
    after.put(1, 50, line(Span("日", Role.BOLD)))
    assert after.changes(before) == [(1, 2, 3 + GAP), (1, 50, 52)]
    assert after.changes(after) == []
    after.put(2, 10, line("日"))
    moved = after.copy()
    moved.put(2, 11, line("x"))
    assert text_of(moved.line(2)).strip() == "x" and moved.changes(after) == [(2, 10, 12)]


def test_legends_say_what_colours_mean() -> None:
    shown = scattered(5)
    notes = {1: FeatureNotes(label="x"), 3: FeatureNotes(tags=["sea"]), 4: FeatureNotes(tags=["sea", "air"])}
    for colouring, words in (
        (map_colours.by_note(notes, [2], 5), "labelled"),
        (map_colours.by_tag(notes, 5), "#sea"),
        (
            map_colours.by_score("find", "F1 for boat", np.array([0.1, 0.9, np.nan, 0.5, 1.0])),
            "F1 for boat  0.0 ⣿⣿⣿⣿⣿ 1.0",
        ),
        (map_colours.crowd(5), "few"),
        (map_colours.plain(5), "a dot a feature"),
    ):
        for colors in (256, 0):
            drawn = picture(shown, colouring, colors=colors)
            assert words in text_of(legend(drawn, 70, MapMarks((0, 0))))
    assert map_colours.by_note(notes, [2], 5).group_F.tolist() == [NONE, 0, 2, NONE, NONE]
    assert map_colours.by_tag(notes, 5).group_F.tolist() == [NONE, NONE, NONE, 0, 1]
    assert map_colours.by_score("f", "f", np.array([0, 0.19, 0.2, 1, np.nan])).group_F.tolist() == [0, 0, 1, 4, NONE]


def test_near_clusters_differ_in_colour() -> None:
    made = small_map(features=100)
    colouring = map_colours.by_cluster(made, 1)
    groups = [int(colouring.group_F[made.members(1, cluster)[0]]) for cluster in range(4)]
    assert len(set(groups)) == 4
    assert colouring.group_F[99] == NONE
