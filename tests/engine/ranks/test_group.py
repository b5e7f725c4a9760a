"""The place of a process among several, and its part of the work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.ranks.group import ALONE, Ranks, ranks_here
from engine.ranks.launcher import first_error


class Failure:
    """A failed process, as torch's launcher describes it."""

    def __init__(self, exitcode: int, message: str = "", hint: str | None = None, timestamp: int = 0) -> None:
        self.exitcode, self.message, self.timestamp = exitcode, message, timestamp
        self.error_file_data = {"message": message} | ({} if hint is None else {"hint": hint})


def test_torchrun_says_which_it_is() -> None:
    said = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert ranks_here({**said, "TORCHELASTIC_RUN_ID": "it"}) == Ranks(5, 8, 1, 4)
    assert ranks_here(said) == ranks_here({}) == ALONE  # another program's variables


def test_alone_nothing_is_waited_for() -> None:
    assert ALONE.shared(lambda: 3) == 3
    assert ALONE.gathered(4) == [4]
    assert ALONE.titled("indexing") == "indexing"
    assert Ranks(1, 2).titled("indexing") == "indexing, process 2 of 2"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=5), st.integers(1, 7), st.integers(1, 4))
def test_parts_are_whole_pieces_in_order_and_even(holes: list[tuple[int, int]], number: int, at_once: int) -> None:
    """Every span begins where a forward does; only the last of the corpus may end within one."""
    spans, at = [], 0
    for hole, length in holes:
        spans.append(((at + hole) * at_once, (at + hole + length) * at_once))
        at += hole + length
    if spans:
        spans[-1] = (spans[-1][0], spans[-1][1] - at_once // 2)
    parts = [Ranks(rank, number).part(spans, at_once) for rank in range(number)]
    joined = [context for part in parts for first, stop in part for context in range(first, stop)]
    assert joined == [context for first, stop in spans for context in range(first, stop)]
    assert all(first % at_once == 0 for part in parts for first, _ in part)
    sizes = [sum(-(-(stop - first) // at_once) for first, stop in part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_the_error_told_is_the_one_with_a_cause() -> None:
    stopped, mine, later = Failure(2), Failure(1, "no space", "Free some.", 5), Failure(2, "wrong", "Right it.", 6)
    for failures in ({0: stopped, 1: mine, 2: later}, {0: later, 2: mine}):
        found = first_error(failures, 3)
        assert (found.what, found.hint, found.exit_code) == ("no space", "Free some.", 1)
    found = first_error({0: stopped, 1: Failure(-15), 2: Failure(-9)}, 3)
    assert (found.what, found.exit_code) == ("process 3 of 3 was ended by SIGKILL, so the others stopped", 1)
    assert first_error({0: stopped}, 3).exit_code == 1
