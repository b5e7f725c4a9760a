"""Which features track a regular expression: a ranking that gets better while one looks, and the page beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from textual import work
from textual.message import Message

from monosem_tui.draw.numbers import count, share
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.keys.actions import Where, shown_key
from monosem_tui.keys.table import at
from monosem_tui.model.command_line import Command, FindPattern
from monosem_tui.model.session_state import FindMemory, Memory
from monosem_tui.screens.feature_order import Selection
from monosem_tui.screens.session import FeaturesChosen, Session
from monosem_tui.screens.two_panes import TwoPaneScreen
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.filter_input import Typed
from monosem_tui.widgets.keys import bindings
from monosem_tui.widgets.ranking import Ranking, Shown
from store.files.errors import MonosemError
from store.query.find import ORDERS, Order
from store.query.find_process import Asking
from store.query.pattern_search import Inquiry, Report

ANSWERS, PATTERNS = 8, 100
"""Answers that are kept in memory, and patterns that are kept for the next time."""
WIDER = 12
"""Cells that the ranking has beyond the usual width of a list: its rows are figures."""
_KEYS = {action.id.partition(".")[2]: shown_key(action.keys[0]) for action in at(Where.FIND)}
NOTHING = [
    rf"{_KEYS['pattern']} types a regular expression, such as \b(sea|boat)s?\b",
    "",
    "Every feature is ranked by how well it tells the tokens that match from all others, and the best of them are put "
    f"together. {_KEYS['tokens']} looks into single tokens instead of running text, {_KEYS['last']} asks for the last "
    f"token of each match, {_KEYS['held-out']} measures on other contexts than it chooses on.",
]


class Reported(Message):
    """A search has come further, or has failed."""

    def __init__(self, asking: Asking, report: Report | MonosemError) -> None:
        super().__init__()
        self.asking, self.report = asking, report


def _state(report: Report) -> str:
    """How far a search is."""
    if report.found is None:
        return f"matching {share(report.matched)}"
    return f"reading {share(report.found.done)}" if report.found.done < 1 else "combining"


class FindScreen(TwoPaneScreen):
    """The ranking of one pattern, and how the next is to be looked for."""

    VIEW, PLACE = "find", Where.FIND
    BINDINGS = bindings(Where.FIND)

    def __init__(self, session: Session) -> None:
        super().__init__(session, WIDER)
        kept = session.memory.find
        by: Order = next((order for order in ORDERS if order == kept.by), "f1")
        self._wanted = Inquiry("", kept.tokens, kept.last, kept.held_out, by)
        """How the next pattern is looked for, and what was asked last."""
        self._patterns = list(kept.patterns)
        self._at = len(self._patterns)
        """Which of them is in the line of text; behind the last, what was typed."""
        self._typed = ""
        self._asking: Asking | None = None
        self._answers: dict[tuple[Inquiry, int], Report] = {}
        """By question and size of the index, the one asked for last at the end."""
        self.ranking = Ranking(self.run, session.palette)

    def on_mount(self) -> None:
        """Say what can be done here."""
        self.ranking.show(Shown(self._wanted), NOTHING)

    def on_unmount(self) -> None:
        """Nobody waits any more."""
        self._cancel()

    def on_screen_resume(self) -> None:
        """The index may have grown meanwhile."""
        run = self.session.run
        if run is not None and run is not self.run:
            self.run = run
            self.ranking.renew(run)

    def remembered(self, memory: Memory) -> Memory:
        """The patterns, and how they are looked for."""
        how = self._wanted
        kept = FindMemory(
            patterns=tuple(self._patterns), tokens=how.tokens, last=how.last, held_out=how.held_out, by=how.by
        )
        return replace(super().remembered(memory), find=kept)

    @property
    def listing(self) -> FeatureList:
        """The ranking."""
        return self.ranking

    def outside(self, feature: int) -> str:
        """Whether the ranking has a feature."""
        return "" if (self.ranking.order == feature).any() else "not in the ranking"

    # Asking

    def obey(self, command: Command) -> None:
        """Do what was typed behind `:`."""
        if not isinstance(command, FindPattern):
            super().obey(command)
        elif command.pattern:
            self.ask(command.pattern)
        else:
            self.action_pattern()

    def ask(self, pattern: str) -> None:
        """Search for a pattern, in a process of its own; an answer that is still known is shown at once."""
        self._patterns = [*(one for one in self._patterns[1 - PATTERNS :] if one != pattern), pattern]
        self._wanted = replace(self._wanted, pattern=pattern)
        self.show_panes(replace(self.panes, front="list"))
        self.ranking.go(0)
        self._ask()

    def _ask(self) -> None:
        self._cancel()
        known = self._answers.pop(self._key(), None)
        if known is not None:
            self._take(known)
            return
        self._show_report(Report(), "starting")
        try:
            self._asking = Asking(self.run.path, self._wanted)
        except OSError as error:
            self._fail(MonosemError(f"the search cannot be started: {error}"))
            return
        self._listen(self._asking)

    def _key(self) -> tuple[Inquiry, int]:
        return self._wanted, self.run.store.n_tokens

    @work(thread=True, group="find", exit_on_error=False)
    def _listen(self, asking: Asking) -> None:
        try:
            for report in asking.reports():
                self.post_message(Reported(asking, report))
        except MonosemError as error:
            self.post_message(Reported(asking, error))

    def on_reported(self, message: Reported) -> None:
        """Show what is known, unless something else has been asked."""
        if message.asking is not self._asking:
            return
        if isinstance(message.report, MonosemError):
            self._asking = None
            self._fail(message.report)
        elif message.report.finished:
            self._asking = None
            self._take(message.report)
        else:
            self._show_report(message.report, _state(message.report))

    def _take(self, report: Report) -> None:
        self._answers[self._key()] = report
        while len(self._answers) > ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._show_report(report, "")

    def _show_report(self, report: Report, state: str) -> None:
        self.ranking.show(Shown(self._wanted, report, state), ["", "esc stops the search"] if state else [""])
        self.retell()
        self.follow()

    def _fail(self, error: MonosemError) -> None:
        self.ranking.show(Shown(self._wanted), [printable(error.what), printable(error.hint)])
        self.tell(error.what)
        self.follow()

    def _cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    @property
    def can_go_back(self) -> bool:
        """There is always Browse."""
        return True

    def go_back(self) -> None:
        """Stop the search, else close what was opened, else show Browse."""
        if self._asking is not None:
            self._cancel()
            shown = self.ranking.shown
            self.ranking.show(replace(shown, state="stopped"), ["The search was stopped; / asks for something else."])
            self.tell("search stopped")
        else:
            super().go_back()

    # Typing

    def action_pattern(self) -> None:
        """Type a regular expression; up and down bring back earlier ones."""
        self._at, self._typed = len(self._patterns), self._wanted.pattern
        self.type_into("find", self._wanted.pattern)

    def typed(self, what: Typed) -> None:
        """A letter of a pattern, or the end of it, or of a note."""
        super().typed(what)
        if self.input.kind != "find":
            return
        text = self.input.text
        if what is Typed.CHANGED:
            self._at, self._typed = len(self._patterns), text
        elif what in (Typed.PREVIOUS, Typed.NEXT):
            self._turn_back(-1 if what is Typed.PREVIOUS else 1)
        elif what in (Typed.KEEP, Typed.LEAVE):
            self.stop_typing()
            self.tell()
            if what is Typed.KEEP and text:
                self.ask(text)

    def _turn_back(self, step: int) -> None:
        """To an earlier pattern or a later one, those left out that are in the line already."""
        at, patterns = self._at + step, [*self._patterns, self._typed]
        while 0 <= at < len(patterns) - 1 and patterns[at] == self.input.text:
            at += step
        if 0 <= at < len(patterns):
            self._at = at
            self.input.replace(patterns[at])

    # How it is asked

    def _change(self, wanted: Inquiry, said: str) -> None:
        self._wanted = wanted
        if wanted.pattern:
            self._ask()
        else:
            self.ranking.show(Shown(wanted), NOTHING)
        self.tell(said)

    def action_tokens(self) -> None:
        """Text or tokens."""
        how = replace(self._wanted, tokens=not self._wanted.tokens)
        self._change(how, "matching each token by itself" if how.tokens else "matching running text")

    def action_last(self) -> None:
        """Whole matches or their last tokens."""
        how = replace(self._wanted, last=not self._wanted.last)
        self._change(
            how, "asking for the last token of each match" if how.last else "asking for every token of a match"
        )

    def action_held_out(self) -> None:
        """Figures on other contexts than those of the choice, or on all."""
        how = replace(self._wanted, held_out=not self._wanted.held_out)
        said = "chosen on half of the contexts, measured on the others" if how.held_out else "figures on all contexts"
        self._change(how, said)

    def action_by(self) -> None:
        """F1 or AUROC."""
        how = replace(self._wanted, by=ORDERS[1 - ORDERS.index(self._wanted.by)])
        self._change(how, f"ranked by {how.by.upper()}")

    # The features found

    def _selection(self) -> Selection:
        ids, pattern = self.ranking.order, cut(printable(self._wanted.pattern), 30)
        return Selection(f"find {pattern}: {count(len(ids))}", np.array(ids), self.VIEW, ranked=True)

    def action_all(self) -> None:
        """Show the ranking in Browse, the cursor where it is here."""
        self.post_message(FeaturesChosen(self._selection(), self.listed))

    def action_open(self) -> None:
        """Open the feature in Browse; escape comes back."""
        if self.feature is not None:
            self.post_message(FeaturesChosen(self._selection(), self.feature, page=True))
