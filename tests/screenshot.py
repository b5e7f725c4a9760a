"""README's picture: the app on the demo's run, as Textual exports it. `make screenshot` runs this."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from monosem_tui.terminal import capabilities as terminal

terminal.apply(terminal.decide({"TERM": "xterm-256color", "MONOSEM_COLOR": "truecolor"}).settings())

from monosem_tui.app import MonosemApp  # noqa: E402 - the colour system is read when textual is imported
from monosem_tui.draw.palette import Palette  # noqa: E402
from monosem_tui.model.open_run import open_run  # noqa: E402
from monosem_tui.screens.output_files import picture  # noqa: E402
from monosem_tui.screens.session import Session  # noqa: E402
from store.index.reader import FeatureStore  # noqa: E402
from store.notes.explanations import Explanations  # noqa: E402
from store.query.showcase import best_explained, telling  # noqa: E402
from store.rules.kind_file import KeptKinds  # noqa: E402

TARGET = Path(__file__).parents[1] / "docs" / "screenshot.svg"
SIZE = (132, 36)


def keys_to_the_best(run: Path) -> tuple[str, ...]:
    """The keys that lead to the best explained n-gram or context feature of a run."""
    with FeatureStore.open(run) as store:
        kinds, explanations = KeptKinds(store).present(), Explanations.load(run)
        shown = telling(store.columns, 10, kinds, explanations).tolist()
        assert kinds is not None, "the demo measures kinds"
        others = [feature for feature in shown if kinds.of(feature) not in ("token", None)]
    best = next(feature for feature, _ in best_explained(others, explanations))
    return ("colon", *str(best), "enter")


async def drawn(run: Path, keys: tuple[str, ...]) -> str:
    """The screen after some keys, as SVG."""
    app = MonosemApp(Session(open_run(run), run.parent, Palette(dark=True, colors=256)))
    async with app.run_test(size=SIZE) as pilot:
        for key in keys:
            await pilot.press(key)
        await pilot.pause(1.0)
        return picture(app.screen, "monosem tui runs/demo", light=False)


def main() -> None:
    """Write docs/screenshot.svg from the run named on the command line, else runs/demo."""
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/demo")
    if not (run / "features.h5").is_file():
        sys.exit(f"{run} has no index; `make demo` makes it")
    TARGET.write_text(asyncio.run(drawn(run, tuple(sys.argv[2:]) or keys_to_the_best(run))), encoding="utf-8")


if __name__ == "__main__":
    main()
