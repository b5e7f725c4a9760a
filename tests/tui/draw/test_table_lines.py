"""Tables as lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.draw.spans import text_of, width_of
from monosem_tui.draw.table_lines import table_lines


def test_columns_that_do_not_fit_follow_below_with_the_first_again() -> None:
    columns, rows = ("run", "EV", "L0", "alive"), [("gemma", "0.91", "32.0", "99 %"), ("gpt2", "0.87", "16.0", "8 %")]
    assert [text_of(one) for one in table_lines(columns, rows, 20)] == [
        "run      EV    L0",
        "gemma  0.91  32.0",
        "gpt2   0.87  16.0",
        "",
        "run    alive",
        "gemma   99 %",
        "gpt2     8 %",
    ]
    assert [text_of(one) for one in table_lines(columns, rows, 40)][1] == "gemma  0.91  32.0   99 %"


@given(st.lists(st.text("ab字 ", max_size=9), min_size=2, max_size=7), st.integers(12, 60))
def test_every_number_is_shown_whole_where_it_fits_at_all(row: list[str], cells: int) -> None:
    lines = table_lines(["x"] * len(row), [row], cells)
    whole = "".join(text_of(one) for one in lines)
    for cell in row[1:]:
        assert cell in whole
    assert all(width_of(one) <= max(cells, cells // 2 + 2 + 18) for one in lines)
