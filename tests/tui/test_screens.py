"""Health and Runs as text, at the sizes that people have; moving between the screens."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from monosem_tui.app import SCREENS, MonosemApp
from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import VIEWS, Where
from monosem_tui.keys.table import ACTIONS, pressed, within_reach
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.pages.keys_page import keys_page
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.health import HealthScreen
from monosem_tui.screens.runs import RunsScreen
from monosem_tui.screens.session import Session, Tuning, ViewWanted
from store.run.folder import Provenance, Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests.sample_run import Sample, build_sample
from tests.tui.conftest import MakeApp, train
from tests.tui.screens import assert_golden, browse_screen, press, screen_text, settle, style_digest, until
from tests.tui.test_goldens import SIZES
from tests.tui.test_lookup import looked_up

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
SPEC = SaeSpec(model="stories260K", layer=2, site="resid_post", arch="topk", d_in=64, d_sae=1024, k=16)
HOSTILE = "x\x1b[31m\x07[red]y\u202e[b]"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs, named without a path of this machine; the clock is at UTC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    runs = Path("runs")
    build_sample(runs / "sample")
    busy = RunFolder(runs / "gpt2-l8-32k")
    record = RunRecord(
        status="training",
        pid=os.getpid(),
        host=platform.node(),
        spec=SPEC,
        created=3600.0,
        config={"train": {"tokens": 81_920}},
    )
    busy.create(record)
    train(busy, 40, end=False)
    ended = RunRecord(status="failed", message=f"disk full {HOSTILE}", created=7200.0, spec=SPEC, results=Results())
    RunFolder(runs / "llama [b]l14").create(ended)
    (runs / "damaged").mkdir()
    (runs / "damaged" / "run.json").write_text("{")
    for age, name in enumerate(["damaged", "gpt2-l8-32k", "llama [b]l14", "sample"]):
        os.utime(runs / name / "run.json", (10_000 - age, 10_000 - age))
    return runs


@pytest.fixture
def runs_app(make_app: MakeApp, root: Path) -> MonosemApp:
    """The app as `monosem tui` opens it where there are several runs."""
    return MonosemApp(Session(None, root, Palette(), tuning=Tuning(pause=0.0)))


def runs_screen(pilot: Pilot[None]) -> RunsScreen:
    assert isinstance(pilot.app.screen, RunsScreen)
    return pilot.app.screen


async def listed(pilot: Pilot[None]) -> RunsScreen:
    await until(pilot, lambda: bool(runs_screen(pilot).runs.states))
    await pilot.pause()
    return runs_screen(pilot)


async def health(pilot: Pilot[None]) -> HealthScreen:
    await settle(pilot)
    await pilot.press("4")
    screen = pilot.app.screen
    assert isinstance(screen, HealthScreen)
    await until(pilot, lambda: "TRAINING" in "".join(s.text for spans in screen.health._lines for s in spans))
    await pilot.pause()
    return screen


# Goldens


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_health(size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await health(pilot)
        assert_golden(f"health-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


async def test_health_to_its_end(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(60, 20)) as pilot:
        await health(pilot)
        await pilot.press("G")
        await pilot.pause()
        assert_golden("health-end-60x20", screen_text(pilot))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_runs(size: tuple[int, int], runs_app: MonosemApp) -> None:
    async with runs_app.run_test(size=size) as pilot:
        await listed(pilot)
        await pilot.press("j")
        await pilot.pause()
        assert_golden(f"runs-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_commands(size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p", *"the")
        await looked_up(pilot, "the")
        assert_golden(f"commands-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("palette", [Palette(colors=0), Palette(plain=True), Palette(colors=16)], ids=str)
async def test_looks_differ_in_style_only(palette: Palette, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    if not palette.colors:
        monkeypatch.setenv("NO_COLOR", "1")
    async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
        await health(pilot)
        text = screen_text(pilot)
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert palette.used or color is None or color.is_default
    async with make_app().run_test(size=(80, 24)) as pilot:
        await health(pilot)
        assert screen_text(pilot) == text


# The registry


def test_docs_are_those_of_the_registry() -> None:
    assert DOCS.read_text(encoding="utf-8") == keys_page(), "make keys renews docs/keys.md"


def test_ids_are_unique() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "places",
    [
        (Where.LIST, Where.BROWSE),
        (Where.PAGE, Where.BROWSE),
        *((where,) for where in (Where.INPUT, Where.NUMBER, Where.COMMAND, Where.HEALTH, Where.RUNS)),
    ],
    ids=str,
)
def test_no_key_means_two_things_at_once(places: tuple[Where, ...]) -> None:
    keys = [key for action in within_reach(*places) for key in action.keys]
    assert len(keys) == len(set(keys))


def test_every_view_has_a_screen_of_its_name() -> None:
    assert {view.name for view in VIEWS} == set(SCREENS)


def test_a_key_finds_its_action() -> None:
    reach = within_reach(Where.LIST, Where.BROWSE)
    names = {key: found.id for key in ("slash", "j", "escape", "4") if (found := pressed(key, reach))}
    assert names == {"slash": "browse.filter", "j": "list.next", "escape": "back", "4": "view.health"}
    assert pressed("f12", reach) is None


# Moving between the screens


async def test_returning_is_exact(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "s", "G", "k", "tab", "j", "j")
        before = screen_text(pilot)
        await pilot.press("4", "5", "1")
        await settle(pilot)
        assert screen_text(pilot) == before


async def test_a_new_size_is_taken_by_the_screens_behind(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await health(pilot)
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        await pilot.press("1")
        await settle(pilot)
        assert all(len(line) <= 60 for line in screen_text(pilot).splitlines())
        assert "[1]Browse" in screen_text(pilot)


async def test_a_group_is_shown_in_browse_and_escape_comes_back(make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await health(pilot)
        assert screen.health.group is not None
        assert screen.health.group.title == "dead"
        await pilot.press("enter")
        await pilot.pause()
        browse = pilot.app.screen
        assert isinstance(browse, BrowseScreen)
        silent = np.flatnonzero(sample.dense_NF.max(0) == 0)
        assert sorted(browse.pane.state.listing.order.tolist()) == silent.tolist()
        assert "dead: 2" in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is screen
        assert len(browse.pane.state.listing.order) == 46


async def test_sorting_keeps_the_top_at_the_top_and_else_the_feature(make_app: MakeApp, opened: OpenRun) -> None:
    density_F = opened.store.columns.density_F
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await pilot.press(*"sss")
        await settle(pilot)
        assert screen.order.catalogue.ordering.sort == "density"
        assert (screen.pane.state.listing.cursor, screen.pane.state.listing.feature) == (0, int(density_F.argmax()))
        await pilot.press("S")
        await settle(pilot)
        fires = np.flatnonzero(density_F > 0)
        assert (screen.pane.state.listing.cursor, screen.pane.state.listing.first) == (0, 0)
        assert screen.pane.state.listing.feature == int(fires[density_F[fires].argmin()])
        await pilot.press("j", "j")
        kept = screen.pane.state.listing.feature
        await pilot.press("s", "S")
        await settle(pilot)
        assert screen.pane.state.listing.feature == kept


@pytest.mark.parametrize("sorts", [0, 1, 3])
async def test_dead_features_are_last_in_either_direction(sorts: int, make_app: MakeApp, sample: Sample) -> None:
    silent = np.flatnonzero(sample.dense_NF.max(0) == 0)
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await pilot.press("D", *"s" * sorts)
        for _ in range(2):
            await settle(pilot)
            assert sorted(screen.pane.state.listing.order[-len(silent) :].tolist()) == silent.tolist()
            assert len(screen.pane.state.listing.order) == sample.dense_NF.shape[1]
            await pilot.press("S")


async def test_groups_hold_the_features_of_their_density(make_app: MakeApp, sample: Sample) -> None:
    density = (sample.dense_NF > 0).sum(0) / sample.counted_N.sum()
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await health(pilot)
        found = (
            {g.title: set(g.ids.tolist()) for g in screen.health._densities.groups} if screen.health._densities else {}
        )
    bounds = {"10 to 100 %": (0.1, 1.1), "1 to 10 %": (0.01, 0.1), "0.1 to 1 %": (0.001, 0.01)}
    for title, (low, high) in bounds.items():
        assert found[title] == set(np.flatnonzero((density >= low) & (density < high)).tolist()), title
    assert sum(map(len, found.values())) == 48


async def test_an_empty_group_says_why_it_cannot_be_shown(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await health(pilot)
        await pilot.press("j", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HealthScreen)
        assert "⏎: no features are under the cursor" in screen_text(pilot)


async def test_health_scrolls_beyond_its_groups_and_back(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(60, 20)) as pilot:
        screen = await health(pilot)
        await pilot.press(*["j"] * screen.health.rows)
        await pilot.pause()
        assert screen.health.first == screen.health.rows - screen.health.room
        await pilot.press(*["k"] * screen.health.rows)
        await pilot.pause()
        assert (screen.health.first, screen.health.cursor) == (0, 0)


async def test_enter_shows_no_group_that_cannot_be_seen(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(60, 20)) as pilot:
        screen = await health(pilot)
        assert "⏎ show" in screen_text(pilot)
        await pilot.press("G")
        await pilot.pause()
        assert "⏎ show" not in screen_text(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen is screen
        assert "no features are under the cursor" in screen_text(pilot)


async def test_nothing_open_says_what_to_do(runs_app: MonosemApp) -> None:
    async with runs_app.run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        for key in "14":
            await pilot.press(key)
            await pilot.pause()
            assert f"{key}: no run is open" in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is screen
        assert pilot.app.is_running
        assert "esc: nothing to go back to; q quits" in screen_text(pilot)


async def test_alive_and_dead_say_on_which_text(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await health(pilot)
        text = screen_text(pilot)
        assert "46 of 48 features alive on 930 held-out tokens" in text
        assert "log10 of the share of 930 indexed tokens" in text
        assert "never in the index" in text


async def test_the_run_that_is_open_has_the_mark(runs_app: MonosemApp, root: Path) -> None:
    build_sample(root / "other")
    os.utime(root / "other" / "run.json", (1_000, 1_000))

    def marked(pilot: Pilot[None]) -> list[str]:
        return [text.partition("◂")[0].split()[-1] for text in screen_text(pilot).splitlines() if "◂" in text]

    async with runs_app.run_test(size=(120, 40)) as pilot:
        screen = await listed(pilot)
        for name in ("sample", "other", "sample"):
            screen.runs.go(next(n for n, state in enumerate(screen.runs.states) if state.row.name == name))
            screen.action_open()  # as a double click does: without a key, which would take the sentence away
            await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
            await settle(pilot)
            pilot.app.post_message(ViewWanted("runs"))
            await until(pilot, lambda: pilot.app.screen is screen)
            assert marked(pilot) == [name]
            assert screen.runs.chosen is not None
            assert screen.runs.chosen.row.name == name
            assert "opening" not in screen_text(pilot)


async def test_a_sentence_takes_several_lines_where_it_is_long(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await press(pilot, "G")
        first = screen.pane.state.listing.first
        screen.tell("why " * 40)
        await pilot.pause()
        assert [text.split() for text in screen_text(pilot).splitlines()[-3:]] == [
            ["why"] * 19,
            ["why"] * 19,
            ["why"] * 2,
        ]
        assert screen.pane.state.listing.first == first  # nothing moves
        await pilot.press("k")
        await settle(pilot)
        assert "why" not in screen_text(pilot)
        screen.tell("why " * 400)
        await pilot.pause()
        assert "".join(screen_text(pilot).splitlines()[-4:]).count("…") == 1
        assert sum("why" in text for text in screen_text(pilot).splitlines()) == 4
        screen.line.open("/", "sea", bool)
        screen.tell("why " * 30)
        await pilot.pause()
        *_, above, below, line = screen_text(pilot).splitlines()
        assert ("why" in above, "why" in below, line.startswith(" / sea")) == (True, True, True)


async def test_commands_run_what_they_name_and_say_why_not(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p", *"health", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, HealthScreen))
        await pilot.press("1", "ctrl+p", *"whole width", "enter")
        await pilot.pause()
        assert "both panes need a terminal of 110 columns" in screen_text(pilot)
        await pilot.press("ctrl+p", *"zzz", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert not pilot.app.screen.line.typing


# Runs


async def test_enter_opens_a_run_and_its_own_screens(runs_app: MonosemApp, root: Path) -> None:
    async with runs_app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
        await settle(pilot)
        assert "46 of 48 features" in screen_text(pilot)
        first = pilot.app.screen
        build_sample(root / "second", n_features=12, n_contexts=8, merged=False)
        await pilot.press("5")
        await until(pilot, lambda: any(state.row.name == "second" for state in runs_screen(pilot).runs.states))
        await pilot.press("g", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
        await settle(pilot)
        assert pilot.app.screen is not first
        assert "of 12 features" in screen_text(pilot)
        await pilot.press("4")
        await until(pilot, lambda: isinstance(pilot.app.screen, HealthScreen))
        assert "health of second" in screen_text(pilot)
    assert runs_app.session.run is not None
    runs_app.session.run.store.close()


async def test_a_run_without_an_index_says_so_and_the_app_goes_on(runs_app: MonosemApp) -> None:
    async with runs_app.run_test(size=(120, 40)) as pilot:
        screen = await listed(pilot)
        await pilot.press("j", "enter")
        await pilot.pause()
        assert "browsable once indexing starts" in screen_text(pilot)
        assert "training of gpt2-l8-32k" in screen_text(pilot)
        await pilot.press("escape", "j", "enter")
        await until(pilot, lambda: "has no index yet: monosem train --resume" in screen_text(pilot))
        await pilot.press("k", "k", "enter")
        await until(pilot, lambda: "damaged" in screen_text(pilot).splitlines()[-1])
        assert pilot.app.screen is screen


async def test_a_training_is_followed(runs_app: MonosemApp, root: Path) -> None:
    runs_app.session.tuning = Tuning(training=0.1, pause=0.0)
    async with runs_app.run_test(size=(120, 40)) as pilot:
        screen = await listed(pilot)
        assert "50 % of 82k · 5k tok/s · 8.2 s left" in screen_text(pilot)
        await pilot.press("j")
        train(RunFolder(root / "gpt2-l8-32k"), 60, first=40, end=False)
        await until(pilot, lambda: "75 % of 82k · 5k tok/s · 4.1 s left · loss 0.02" in screen_text(pilot))
        assert screen.runs.chosen is not None
        assert screen.runs.chosen.row.name == "gpt2-l8-32k"
        shutil.rmtree(root / "gpt2-l8-32k")
        await until(pilot, lambda: "gpt2-l8-32k" not in screen_text(pilot))


async def test_hostile_names_and_records_are_shown_as_text(make_app: MakeApp, root: Path) -> None:
    spec = replace(SPEC, model=HOSTILE, site=HOSTILE, arch=HOSTILE)
    evil = RunFolder(root / HOSTILE)
    source = Provenance(corpus=HOSTILE, versions={HOSTILE: HOSTILE}, hardware=HOSTILE)
    made = build_sample(evil.path)
    made.run.update(
        spec=spec,
        provenance=source,
        config={HOSTILE: {HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}, "train": {HOSTILE: "none"}},
        evaluation={"l0": HOSTILE, "alive": float("nan"), "split": HOSTILE, "tokens": 3},
    )
    evil.events.write_text('{"step": "1", "tokens": [], "loss": "x"}\nnull\n{"event": "end"}\n')
    run = open_run(evil.path)
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for keys in ("4", "G", "g", "5"):
            await pilot.press(keys)
            await pilot.pause(0.05)
            text = screen_text(pilot)
            assert not {c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")}
        await pilot.press("4", "G")
        await pilot.pause()
        assert "[red]y" in screen_text(pilot)
    run.store.close()


async def test_numbers_that_no_machine_writes_do_no_harm(make_app: MakeApp, root: Path) -> None:
    made, huge = build_sample(root / "odd"), 1e308
    made.run.update(
        status="training",
        pid=os.getpid(),
        host=platform.node(),
        results=Results(tokens=None, explained_variance=huge, l0=huge),
        evaluation={"l0": huge, "alive": True, "tokens": float("inf"), "ce_zero": 1e308},
        config={"train": {"tokens": huge}},
    )
    odd = {"lr": 0, "grad_norm": 0, "step": 1, "l0": 1e308}
    for loss, tokens, dead in [(float("nan"), 5, 3), (1e308, -1e308, float("nan")), (-1e308, 1e308, -4), (huge, 1, 1)]:
        event = odd | {"loss": loss, "tokens": tokens, "dead": dead, "explained_variance": -loss, "tok_s": loss}
        with made.run.events.open("a") as stream:
            stream.write(json.dumps(event) + "\n")
    run = open_run(made.run.path)
    async with make_app(run).run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "TRAINING" in screen_text(pilot))
        await pilot.press("5")
        await listed(pilot)
        assert "odd" in screen_text(pilot)
    run.store.close()


async def test_health_of_a_file_by_itself(make_app: MakeApp, tmp_path: Path) -> None:
    made = build_sample(tmp_path / "sample")
    alone = tmp_path / "home.h5"
    made.run.features.rename(alone)
    run: OpenRun = open_run(alone)
    async with make_app(run).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("4")
        await pilot.pause()
        assert "DENSITY" in screen_text(pilot)
        assert "a features.h5 by itself" in screen_text(pilot)
    run.store.close()


async def test_each_screen_says_once_that_it_is_there(make_app: MakeApp) -> None:
    app, shown = make_app(), list[str]()
    app._on_shown = lambda: shown.append(app.screen.VIEW)  # type: ignore[attr-defined]
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("1", "4", "1", "4"):
            await pilot.press(key)
            await pilot.pause()
        assert shown == ["browse", "health"]
