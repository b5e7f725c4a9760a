"""The parts of the Live screen by themselves: rows of text, changed cells, settings, and the talk with a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.draw.cells import changed_cells
from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import Role, Span
from monosem_tui.draw.token_rows import Growing, flow, window
from monosem_tui.draw.token_text import display_tokens
from monosem_tui.live.model_client import ModelClient, Phase
from monosem_tui.live.process import ConnectionEnd, ProcessMessage
from monosem_tui.live.sampling_text import changed, written
from store.files.errors import MonosemError
from store.live import wire
from store.live.model_outputs import DrawnToken, Step
from store.live.recipe import Recipe
from store.live.sampling import Sampling

TOKENS = st.lists(st.sampled_from([" a", " sea", "side", ".", "↵", " 日本", " ", "é", " abcdefgh"]), max_size=40)


@given(TOKENS, st.integers(12, 40))
def test_rows_hold_every_token_in_order_and_fit(tokens: list[str], cells: int) -> None:
    rows = flow(tokens, cells)
    assert [piece.token for row in rows for piece in row] == list(range(len(tokens)))
    for row in rows:
        assert sum(width(piece.text) for piece in row) <= cells
        assert all("↵" not in piece.text for piece in row[:-1])
    for piece in (piece for row in rows for piece in row):
        assert tokens[piece.token] in (piece.text, f" {piece.text}")


PIECES = [
    b" a",
    b" sea",
    b"side",
    b".",
    b"\n",
    " 日本".encode(),
    b" ",
    b"\xc3",
    b"\xa9",
    b" \xe6",
    b"\x97\xa5",
    b"abcdefghijkl",
]


@given(
    st.lists(st.integers(0, len(PIECES) - 1), max_size=60),
    st.integers(12, 40),
    st.lists(st.integers(0, 60), max_size=12),
    st.none() | st.integers(0, 59),
)
def test_a_text_that_grows_is_laid_out_as_one_that_is_there(
    tokens: list[int], cells: int, stops: list[int], fork: int | None
) -> None:
    def show(ids: Sequence[int]) -> list[str]:
        return display_tokens([PIECES[one] for one in ids])

    growing = Growing(show)
    for stop in [*stops, len(tokens)]:  # back as well, as branches go
        text = tokens[:stop]
        shown = show(text)
        marked = fork if fork is not None and fork < len(text) else None
        if marked is not None:
            blank = " " if shown[marked].startswith(" ") else ""
            shown[marked] = f"{blank}│{shown[marked].removeprefix(' ')}"
        assert growing.rows(text, cells, marked, "│") == flow(shown, cells)


@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 199))
def test_what_is_looked_for_is_in_the_window(n_rows: int, room: int, place: int) -> None:
    first = window(n_rows, room, None)
    assert first <= max(0, n_rows - 1)
    assert n_rows <= first + room
    first = window(n_rows, room, place)
    assert first <= place < first + room


LINES = st.lists(
    st.builds(Span, st.text("ab日é\u0301 ", min_size=1, max_size=5), st.sampled_from([Role.PLAIN, Role.BOLD])),
    max_size=5,
).map(tuple)


@given(LINES, LINES)
def test_cells_outside_of_the_changed_ones_are_equal(before: tuple[Span, ...], after: tuple[Span, ...]) -> None:
    def cells(spans: tuple[Span, ...]) -> list[tuple[str, Role]]:
        found: list[tuple[str, Role]] = []
        for text, role in spans:
            for character in text:
                size = width(character)
                if size == 0 and found:
                    found[-1] = (found[-1][0] + character, role)
                else:
                    found += [(character, role)] + [("second", role)] * (size - 1)
        return found + [(" ", Role.PLAIN)] * (80 - len(found))

    found = changed_cells(before, after)
    a, b = cells(before), cells(after)
    first, last = found or (0, 0)
    assert a[:first] == b[:first]
    assert a[last:] == b[last:]
    assert (found is None) == (a == b)


def test_settings_as_they_are_typed() -> None:
    settings = changed(Sampling(), "t=0.8, p=0.95 k=40 max=30 seed=7")
    assert settings == Sampling(temperature=0.8, top_p=0.95, top_k=40, max_new=30, seed=7)
    assert changed(Sampling(), written(settings)) == settings
    assert changed(settings, "greedy").temperature == 0
    for text in ("t=x", "q=1", "t=-1", "p=0", "p=2", "k=1.5", "max=0", "t=nan", "seed=99999999999999999999", "t"):
        with pytest.raises(MonosemError):
            changed(Sampling(), text)


class Scripted:
    """A process that says what the test has it say."""

    def __init__(self) -> None:
        self.told: list[wire.Request] = []
        self.says: list[ProcessMessage] = []
        self.closed = False

    def tell(self, request: wire.Request, /) -> None:
        self.told.append(request)

    def take(self) -> list[ProcessMessage]:
        says, self.says = self.says, []
        return says

    def close(self) -> None:
        self.closed = True


READY = wire.Ready(id=1, model="m", device="cpu", d_sae=4, max_context=8, context=8, chat=False, knows_maxima=True)


def step(number: int, of: int, token: int) -> wire.Stepped:
    drawn = DrawnToken(token, -1.0)
    return wire.Stepped(id=of, step=Step(number, drawn, drawn, 0.0, -1.0, ()))


def test_answers_to_what_was_given_up_are_dropped() -> None:
    process = Scripted()
    talk = ModelClient(Path("run"), lambda: process)
    talk.write(Recipe(prompt="a"))
    assert [type(one) for one in process.told] == [wire.Load]
    process.says = [READY]
    talk.hear()
    assert process.told[1] == wire.Start(id=2, recipe=Recipe(prompt="a"))
    process.says = [wire.Started(id=2, prompt=(0,), clamps=("1=2",))]
    talk.hear()
    process.says = [step(0, 3, 7)]
    talk.hear()
    talk.write(Recipe(prompt="b"))
    assert [type(one) for one in process.told[3:]] == [wire.Pause, wire.Start]
    rested = wire.Rested(id=3, base_end=None, clamped_end=None, base_tok_s=None, clamped_tok_s=None)
    process.says = [
        step(1, 3, 8),
        rested,
        wire.Started(id=5, prompt=(0,), clamps=("1=2",)),
        step(1, 3, 9),
        step(0, 6, 1),
    ]
    talk.hear()
    assert [token.token for token in talk.writing.base] == [1]
    assert talk.phase is Phase.WRITING


def test_a_prompt_that_is_refused_leaves_the_text() -> None:
    process = Scripted()
    talk = ModelClient(Path("run"), lambda: process)
    talk.write(Recipe(prompt="a"))
    process.says = [READY, wire.Started(id=2, prompt=(0,), clamps=()), step(0, 3, 7)]
    talk.hear()
    talk.write(Recipe(prompt="b"))
    process.says = [wire.Failed(id=5, what="too long", hint="Shorten it.")]
    talk.hear()
    assert talk.problem == "too long · Shorten it."
    assert [token.token for token in talk.writing.base] == [7]
    assert talk.recipe is not None
    assert talk.recipe.prompt == "a"


def test_a_branch_that_is_refused_takes_nothing_back() -> None:
    process = Scripted()
    talk = ModelClient(Path("run"), lambda: process)
    talk.write(Recipe(prompt="a"))
    process.says = [READY, wire.Started(id=2, prompt=(0,), clamps=("1=2",)), step(0, 3, 7), step(1, 3, 8)]
    talk.hear()
    talk.branch(1)
    process.says = [wire.Failed(id=4, what="its memory cannot be gone back in")]
    talk.hear()
    assert len(talk.writing) == 2
    talk.branch(1)
    process.says = [wire.Branched(id=5, token=1), step(1, 6, 9)]
    talk.hear()
    assert [token.token for token in talk.writing.base] == [7, 9]


def test_idle_is_no_failure_and_another_life_begins() -> None:
    lives = [Scripted(), Scripted()]
    talk = ModelClient(Path("run"), iter(lives).__next__)
    talk.write(Recipe(prompt="a"))
    lives[0].says = [READY, ConnectionEnd("it was idle for 3600 seconds", idle=True)]
    talk.hear()
    assert talk.phase is Phase.NONE
    talk.write(Recipe(prompt="a"))
    assert isinstance(lives[1].told[0], wire.Load)
    assert not talk.belongs(lives[0])


def test_a_change_in_the_prompt_acts_when_it_is_read_again() -> None:
    process = Scripted()
    talk = ModelClient(Path("run"), lambda: process)
    talk.write(Recipe(prompt="a", clamps=("1=2", "2=3@prompt")))
    process.says = [READY, wire.Started(id=2, prompt=(0,), clamps=("1=2", "2=3@prompt")), step(0, 3, 7)]
    talk.hear()
    for clamps, said in ((("1=2", "2=4@prompt"), "read already"), (("1=3", "2=4@prompt"), "takes effect at token 2")):
        process.says = [wire.Changed(id=4, clamps=clamps, from_token=1)]
        talk.hear()
        assert said in talk.said


def test_a_text_of_an_earlier_session_keeps_the_clamps_of_each_token() -> None:
    process = Scripted()
    talk = ModelClient(Path("run"), lambda: process, comes_back=True)
    talk.wake_up()
    process.says = [READY]
    talk.hear()
    recall = process.told[-1]
    assert isinstance(recall, wire.Recall)
    obeyed = [wire.ClampStretch(token=n, clamps=clamps) for n, clamps in ((0, ("3=max",)), (2, ("3=*2",)), (3, ()))]
    found = wire.Recalled(id=recall.id, recipe=Recipe(prompt="once"), prompt=(0, 7), tokens=3, obeyed=tuple(obeyed))
    process.says = [found, *(step(n, recall.id, n) for n in range(3))]
    talk.hear()
    assert [(one.token, one.clamps) for one in talk.writing.obeyed] == [(0, {"3=max"}), (2, {"3=*2"}), (3, set())]
    assert talk.writing.stale([]) == [range(2), range(2, 3)]
    assert talk.begun == Recipe(prompt="once", clamps=("3=max",))
    assert talk.recipe == Recipe(prompt="once")
