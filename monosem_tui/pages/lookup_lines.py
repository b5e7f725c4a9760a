"""Rows of the lookup panel, and the preview of what is under its cursor."""

from __future__ import annotations

from dataclasses import dataclass

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, known, one_in
from monosem_tui.draw.safe_text import fit, printable
from monosem_tui.draw.spans import Line, Role, Span, crop, cursor_mark, line, width_of
from monosem_tui.keys.actions import shown_key
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.lookup import Finding, Kind
from monosem_tui.model.lookup_sources import LookupCatalogue
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.snippets import read_snippet
from monosem_tui.pages.passage import Frame, passage
from store.run.folder import RunFolder

KEY, NAME = 8, 24
"""Cells of a command's key, a feature's number or a kind; and most cells of a name."""
MOST_TEXT = 400
"""Characters of a long text that a preview takes."""


def finding_row(found: Finding, cells: int, *, here: bool) -> Line:
    """Return a row: what it is, its name, and more about it."""
    if found.offer is not None:
        key, name = shown_key(found.offer.action.keys[0]), ""
        text, after = found.name, f"  {found.offer.why_not}" if found.offer.why_not else ""
        plain = Role.DIM if found.offer.why_not else Role.PLAIN
    else:
        of_feature = found.kind is Kind.FEATURE
        key, name = (found.name, "") if of_feature else (found.kind.value, f"{found.name}  ")
        text, after = found.text, ""
        plain = Role.MARK if found.given else Role.PLAIN if of_feature else Role.DIM
    if here:
        row = line(cursor_mark(here), " ", Span(f"{fit(key, KEY)} {name}{text}", Role.CURSOR), Span(after, Role.DIM))
        shown = crop(row, cells)
        return line(*shown, Span(" " * (cells - width_of(shown)), Role.CURSOR))
    first = Role.BOLD if found.kind in (Kind.COMMAND, Kind.FEATURE) and plain is not Role.DIM else Role.DIM
    row = line(cursor_mark(here), " ", Span(fit(key, KEY), first), " ", Span(name), Span(text, plain))
    return crop(line(*row, Span(after, Role.DIM)), cells)


@dataclass(frozen=True)
class PreviewSource:
    """The data that previews are read from."""

    run: OpenRun | None
    catalogue: LookupCatalogue

    def lines(self, found: Finding, cells: int) -> list[Line]:
        """Return a preview: two lines at the most.

        Raises:
            MonosemError: a file cannot be read.
        """
        if found.kind is Kind.FEATURE and self.run is not None and isinstance(found.key, int):
            return _feature_lines(self.run, found.key, cells)
        if found.kind is Kind.RUN:
            return self._run_lines(str(found.key))
        if found.kind is Kind.RECIPE:
            return self._recipe_lines(str(found.key))
        if found.kind is Kind.DOCUMENT and self.catalogue.documents is not None and isinstance(found.key, int):
            text = self.catalogue.documents.text_at(found.key, cells)
            return [line(printable(" ".join(text.split()))), _dim(self.catalogue.documents.size(found.key))]
        return []

    def _run_lines(self, path: str) -> list[Line]:
        state = self.catalogue.runs.states[path]
        row = state.row
        figures = [f"EV {known(row.explained_variance, '.3f')}", f"L0 {known(row.l0, '.1f')}"]
        parts = [printable(state.title), *figures, printable(state.message)]
        return [line(" · ".join(filter(None, parts))), _dim(printable(str(RunFolder(state.path).path)))]

    def _recipe_lines(self, name: str) -> list[Line]:
        recipe = self.catalogue.recipes.kept[name].recipe
        clamps = "  ".join(map(printable, recipe.clamps[:8])) or "no clamps"
        return [line(printable(recipe.prompt[:MOST_TEXT])), _dim(clamps)]


def _feature_lines(run: OpenRun, feature: int, cells: int) -> list[Line]:
    """Return a feature's strongest example, and its label or explanation with some figures."""
    snippet, columns = read_snippet(run.store, feature), run.store.columns
    if snippet is None:
        return [_dim("never fires")]
    example = passage(snippet, snippet.act, Rendering.BACKGROUND, Frame(cells, cells * 2 // 5))[0]
    said = suggestion(run.explanations, feature)[:MOST_TEXT]
    figures = f"max {activation(float(columns.max_F[feature]))} · 1 in {one_in(float(columns.density_F[feature]))}"
    return [example, _dim(" · ".join(filter(None, (figures, run.kind(feature), said))))]


def _dim(text: str) -> Line:
    return line(Span(text, Role.DIM))
