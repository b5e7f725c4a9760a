"""State that returns the next time, and damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.session_state import BrowseMemory, ExamplesMemory, FindMemory, Memory, keep, memory_path, recall
from monosem_tui.screens.browse import BrowseScreen
from store.files.typed_json import decode
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_what_is_kept_is_recalled_by_the_real_path(tmp_path: Path, state: Path) -> None:
    store = tmp_path / "run"
    store.mkdir()
    (tmp_path / "link").symlink_to(store)
    kept = Memory(store=str(store.resolve()), theme="light", browse=BrowseMemory(feature=7, text="séa", wider=-4))
    keep(tmp_path / "link", kept)
    assert recall(store) == kept
    assert recall(tmp_path) == Memory(store=str(tmp_path.resolve()))
    assert memory_path(store).is_relative_to(state / "monosem")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 2, "theme": "light"}', '{"theme": "light"}', "[" * 100_000, "\udcff"]
)
def test_a_damaged_file_is_no_file(text: str, tmp_path: Path) -> None:
    memory_path(tmp_path).parent.mkdir(parents=True)
    memory_path(tmp_path).write_text(text, encoding="utf-8", errors="surrogateescape")
    assert recall(tmp_path) == Memory(store=str(tmp_path.resolve()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*BrowseMemory.__dataclass_fields__, "other"]), JSON))
def test_values_of_the_wrong_kind_are_the_defaults(found: dict[str, object]) -> None:
    kinds = {"feature": (int, type(None)), "descending": bool, "dead": bool, "log_counts": bool, "wider": int}
    recalled = decode(Memory, {"version": 1, "browse": found}, lenient=True).browse
    for name in BrowseMemory.__dataclass_fields__:
        value = getattr(recalled, name)
        assert isinstance(value, kinds.get(name, str))
        assert value == found.get(name) or value == getattr(BrowseMemory(), name)


def test_where_nothing_can_be_written_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    keep(tmp_path, Memory())
    assert recall(tmp_path).browse == BrowseMemory()


async def test_the_next_sitting_begins_where_the_last_one_ended(make_app: MakeApp, sample: Sample) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "s", "S", "D", "slash", *"s", "enter", "j", "j", ">", "m", "h", "T", "tab")
        await press(pilot, "i", "o", "+", "l", "escape")  # whatever was said last is gone
        before = screen_text(pilot)
    app.keep()
    kept = recall(sample.run.path)
    assert kept.theme == "light"
    palette = app.session.palette
    async with make_app(palette=palette, memory=kept).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert screen_text(pilot) == before
        assert browse_screen(pilot).remembered(kept) == kept
        assert browse_screen(pilot).pane.state.choice == ExampleChoice(intervals=12, one_per_document=True, extent=2)


@pytest.mark.parametrize("kept", [ExamplesMemory(intervals=5, extent=99), ExamplesMemory(intervals=-1, extent=-7)])
async def test_settings_of_examples_that_there_are_not(kept: ExamplesMemory, make_app: MakeApp) -> None:
    async with make_app(memory=Memory(examples=kept)).run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        choice = browse_screen(pilot).pane.state.choice
        assert (choice.intervals, choice.extent) == (4, 3 if kept.extent > 0 else 0)


@pytest.mark.parametrize(
    "kept",
    [
        BrowseMemory(feature=10**9, front="page", zoomed="page"),
        BrowseMemory(feature=-3, sort="colour", front="nowhere", zoomed="x", rendering="holo"),
        BrowseMemory(wider=10**12),
        BrowseMemory(wider=-(10**12), text="\x1b[2J[b]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("width", [60, 120])
async def test_what_no_longer_fits_the_store_does_no_harm(kept: BrowseMemory, width: int, make_app: MakeApp) -> None:
    async with make_app(memory=Memory(browse=kept)).run_test(size=(width, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "g", "j")
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen)
        assert "\x1b" not in screen_text(pilot)
        if width == 120 and screen.pane.state.panes.split:
            assert 36 <= screen.pane.state.listing.size.width <= 76


async def test_it_is_written_while_one_works(make_app: MakeApp, sample: Sample) -> None:
    async with make_app(keep=0.01).run_test(size=(80, 24)) as pilot:
        await press(pilot, "j", "j")
        await until(pilot, memory_path(sample.run.path).is_file)
        data = json.loads(memory_path(sample.run.path).read_text())
        assert data["browse"]["feature"] == browse_screen(pilot).pane.state.feature


@pytest.mark.parametrize(
    ("found", "patterns"),
    [(["a", 3, None, "b"], ("a", "b")), ("ab", ()), ({"a": 1}, ()), (None, ())],
    ids=["mixed", "text", "object", "null"],
)
def test_patterns_of_the_wrong_kind_are_left_out(found: object, patterns: tuple[str, ...]) -> None:
    recalled = decode(Memory, {"version": 1, "find": {"patterns": found, "tokens": 1, "by": []}}, lenient=True).find
    assert recalled == FindMemory(patterns=patterns)
