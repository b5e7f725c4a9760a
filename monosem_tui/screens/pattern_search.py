"""The search of Find: a pattern is typed, answered by a process of its own, and its answers are kept."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from monosem_tui.draw.flags import with_flags
from monosem_tui.draw.numbers import count, share
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.keys.actions import Need, Where, shown_key
from monosem_tui.keys.table import at
from monosem_tui.model.session_state import FindMemory, Memory
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.catalogue import Selection
from monosem_tui.screens.feature.pane import FeaturePane
from monosem_tui.screens.part import ScreenPart, Way, WorkDone
from monosem_tui.screens.session import FeaturesChosen, SearchScores
from monosem_tui.widgets.line_input import Typed
from monosem_tui.widgets.ranking import FeatureRanking, SearchAnswer
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.regular_expression import compile_pattern
from store.query.find import ORDERS, Order
from store.query.find_process import Asking
from store.query.pattern_search import BY_THEMSELVES, Inquiry, Report
from store.run.counted_noun import ROW, TOKEN, CountedNoun

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide

_KEYS = {action.id.partition(".")[2]: shown_key(action.keys[0]) for action in at(Where.FIND)}
EXAMPLES = {
    TOKEN: r"a regular expression, such as \b(sea|boat)s?\b",
    ROW: r"an expression for row numbers, such as #12\d\b",
}
SHORT = {TOKEN: r"such as \b(sea|boat)s?\b", ROW: r"such as #12\d\b"}
"""Examples in the empty line."""


def advice(noun: CountedNoun) -> list[str]:
    """Return what stands on the screen before the first search."""
    one, many = noun
    return [
        f"{_KEYS['pattern']} types {EXAMPLES[noun]}",
        "",
        f"Every feature is ranked by how well it tells the {many} that match from all others, and the best of them are "
        f"put together. {_KEYS['tokens']} looks into single {many} instead of running text, {_KEYS['last']} asks for "
        f"the last {one} of each match, {_KEYS['held-out']} measures on other contexts than it chooses on.",
    ]


class PatternSearch(ScreenPart):
    """Asks for the features of a pattern, and shows them in the pane's list."""

    def __init__(self, host: MonosemScreen, pane: FeaturePane, ranking: FeatureRanking) -> None:
        self._host, self._pane, self._ranking = host, pane, ranking
        self.needs = {Need.MATCHES: lambda: len(pane.state.listing.order) > 0}
        kept = host.session.memory.find
        by: Order = next((order for order in ORDERS if order == kept.by), "f1")
        self.wanted = Inquiry("", kept.tokens, kept.last, kept.held_out, by, ordinary=kept.ordinary)
        """Options of the next search, and past patterns."""
        self._patterns = list(kept.patterns)
        self._at = len(self._patterns)
        """Index of the pattern in the line of text; after the last, the text typed."""
        self._typed = ""
        self._asking: Asking | None = None
        self._answers: dict[tuple[Inquiry, int], Report] = {}
        """By question and size of the index, the one asked for last at the end."""

    def started(self) -> None:
        """Say what can be done here."""
        self._ranking.show(SearchAnswer(self.wanted), advice(self._noun))

    def ended(self) -> None:
        """End a search that is still running."""
        self._cancel()

    def remembered(self, memory: Memory) -> Memory:
        """Keep the patterns, and how they are looked for."""
        how = self.wanted
        kept = FindMemory(
            patterns=tuple(self._patterns),
            tokens=how.tokens,
            last=how.last,
            held_out=how.held_out,
            ordinary=how.ordinary,
            by=how.by,
        )
        return replace(memory, find=kept)

    # Asking

    def ask(self, pattern: str) -> None:
        """Search for a pattern, in a process of its own; an answer that is still known is shown at once."""
        before = [one for one in self._patterns if one != pattern]
        self._patterns = [*before, pattern][-self._host.session.tuning.patterns :]
        self.wanted = replace(self.wanted, pattern=pattern)
        self._pane.front("list")
        self._ranking.go(0)
        self._ask()

    def _ask(self) -> None:
        self._cancel()
        known = self._answers.pop(self._key(), None)
        if known is not None:
            self._keep(known)
            return
        self._show(Report(), "starting")
        try:
            self._asking = Asking(self._pane.state.run.path, self.wanted)
        except OSError as error:
            self._fail(MonosemError(f"the search cannot be started: {error}"))
            return
        listen = partial(self._listen, self._asking)
        self._host.run_worker(listen, thread=True, group="find", exit_on_error=False)

    def _key(self) -> tuple[Inquiry, int]:
        return self.wanted, self._store.n_tokens

    def _listen(self, asking: Asking) -> None:
        """Hand over reports as they come; runs in a thread."""
        try:
            for report in asking.reports():
                self._host.post_message(WorkDone(partial(self._take, asking, report)))
        except MonosemError as error:
            self._host.post_message(WorkDone(partial(self._take, asking, error)))

    def _take(self, asking: Asking, report: Report | MonosemError) -> None:
        """Show what is known, unless something else has been asked."""
        if asking is not self._asking:
            return
        if isinstance(report, MonosemError):
            self._asking = None
            self._fail(report)
        elif report.finished:
            self._asking = None
            self._keep(report)
        else:
            self._show(report, _state(report))

    def _keep(self, report: Report) -> None:
        self._answers[self._key()] = report
        if report.found is not None:
            scores = {one.choice.feature: one.tally.f1 for one in report.found.results}
            self._host.session.found = SearchScores(printable(self.wanted.pattern), scores)
        while len(self._answers) > self._host.session.tuning.answers:
            del self._answers[next(iter(self._answers))]
        self._show(report, "")

    def _show(self, report: Report, state: str) -> None:
        answer = SearchAnswer(self.wanted, report, state)
        self._ranking.show(answer, ["", "esc stops the search"] if state else [""])
        self._host.retell()
        self._pane.follow()

    def _fail(self, error: MonosemError) -> None:
        hint = f"{_KEYS['tokens']} searches running text again." if error.hint == BY_THEMSELVES else error.hint
        why = [printable(with_flags(text)) for text in (error.what, hint)]
        self._ranking.show(SearchAnswer(self.wanted), why)
        self._host.tell(f"{error.what} · {hint}" if error.hint == BY_THEMSELVES else error.what)
        self._pane.follow()

    def _cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def way_back(self) -> Way | None:
        """Stop the search."""
        return self._stop if self._asking is not None else None

    def interruption(self) -> Way | None:
        """Stop the search."""
        return self.way_back()

    def _stop(self) -> None:
        self._cancel()
        shown = replace(self._ranking.answer, state="stopped")
        self._ranking.show(shown, ["The search was stopped; / asks for something else."])
        self._host.tell("search stopped")

    # Typing

    def action_pattern(self) -> None:
        """Type a regular expression; up brings back the last one, and those before it."""
        self._at, self._typed = len(self._patterns), ""
        self._host.line.open("find", "", self._take_typed, guide=self._guide())

    def _guide(self) -> Guide:
        from monosem_tui.pages.prompt_hints import pattern_hints
        from monosem_tui.pages.typing_hints import Guide

        return Guide(lambda text, at: pattern_hints(text, at, self._patterns[::-1], self._noun), SHORT[self._noun])

    def _take_typed(self, typed: Typed) -> None:
        text = self._host.input.text
        if typed is Typed.CHANGED:
            self._at, self._typed = len(self._patterns), text
        elif typed in (Typed.PREVIOUS, Typed.NEXT):
            self._turn_back(-1 if typed is Typed.PREVIOUS else 1)
        elif typed is Typed.KEEP and text:
            try:
                compile_pattern(text)
            except MonosemError as error:
                self._host.line.reject(error)
            else:
                self._close_line()
                self.ask(text)
        elif typed in (Typed.KEEP, Typed.LEAVE):
            self._close_line()

    def _close_line(self) -> None:
        self._host.line.close()
        self._host.tell()

    def _turn_back(self, step: int) -> None:
        """Put an earlier pattern or a later one into the line, passing over those that are in it already."""
        at, patterns = self._at + step, [*self._patterns, self._typed]
        while 0 <= at < len(patterns) - 1 and patterns[at] == self._host.input.text:
            at += step
        if 0 <= at < len(patterns):
            self._at = at
            self._host.input.replace(patterns[at])

    # The query

    def _change(self, wanted: Inquiry, said: str) -> None:
        self.wanted = wanted
        if wanted.pattern:
            self._ask()
        else:
            self._ranking.show(SearchAnswer(wanted), advice(self._noun))
        self._host.tell(said)

    def action_tokens(self) -> None:
        """Match running text, or single tokens."""
        how = replace(self.wanted, tokens=not self.wanted.tokens)
        self._change(how, f"matching each {self._noun.one} by itself" if how.tokens else "matching running text")

    def action_last(self) -> None:
        """Ask for whole matches, or for their last tokens."""
        how = replace(self.wanted, last=not self.wanted.last)
        which = f"{'the last' if how.last else 'every'} {self._noun.one} of {'each' if how.last else 'a'} match"
        self._change(how, f"asking for {which}")

    def action_held_out(self) -> None:
        """Measure on other contexts than those of the choice, or on all."""
        how = replace(self.wanted, held_out=not self.wanted.held_out)
        said = "chosen on half of the contexts, measured on the others" if how.held_out else "figures on all contexts"
        self._change(how, said)

    def action_ordinary(self) -> None:
        """Count all tokens, or leave outliers out."""
        how, outliers = replace(self.wanted, ordinary=not self.wanted.ordinary), len(self._store.layout.outliers)
        said = f"outlier {self._noun.many} {'are left out' if how.ordinary else 'count like others'}"
        self._change(how, said if outliers else f"{said}: the index has none")

    @property
    def _noun(self) -> CountedNoun:
        return self._store.plan.noun

    @property
    def _store(self) -> FeatureStore:
        return self._pane.state.run.store

    def action_by(self) -> None:
        """Rank by F1, or by AUROC."""
        how = replace(self.wanted, by=ORDERS[1 - ORDERS.index(self.wanted.by)])
        self._change(how, f"ranked by {how.by.upper()}")

    # The features found

    def action_all(self) -> None:
        """Show the ranking in Browse, the cursor where it is here."""
        self.show_in_browse(self._pane.state.listed, page=False)

    def show_in_browse(self, feature: int | None, *, page: bool) -> None:
        """Show the ranking in Browse, with the cursor on a feature or with its page; escape comes back."""
        ids, pattern = self._ranking.order, cut(printable(self.wanted.pattern), 30)
        selection = Selection(f"find {pattern}: {count(len(ids))}", np.array(ids), self._host.VIEW, ranked=True)
        self._host.post_message(FeaturesChosen(selection, feature, page=page))


def _state(report: Report) -> str:
    """Progress of a search."""
    if report.found is None:
        return f"matching {share(report.matched)}"
    return f"reading {share(report.found.done)}" if report.found.done < 1 else "combining"
