"""The tables of a study, one below the other; they scroll."""

from __future__ import annotations

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.spans import Line, Role, Span, in_role, line, rule, wrap
from monosem_tui.draw.table_lines import table_lines
from monosem_tui.export.study_tables import Table
from monosem_tui.widgets.scroll_view import LEAST, ScrolledView


class StudyView(ScrolledView):
    """A study's title stays; below it each table, with a sentence that says how its figures are measured."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self._title = ""
        self._tables: list[Table] = []
        self._lines: list[Line] = []

    def show(self, title: str, tables: list[Table]) -> None:
        """Show a study from its first table."""
        self._title, self._tables = printable(title), tables
        self._lay_out()
        self.jump(0)

    def resized(self) -> None:
        """Lay out for the new width."""
        self._lay_out()
        self.post_message(self.Moved())

    def head(self, _y: int) -> Line:
        """Return a rule with the study's title."""
        return rule(f"study: {self._title}", self.size.width)

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def _lay_out(self) -> None:
        cells = max(LEAST, self.size.width - 2)
        lines: list[Line] = []
        for table in self._tables:
            note = wrap([line(word) for word in table.note.split()], cells, " ")
            lines += [line(Span(cut(table.title, cells), Role.HEADING))]
            lines += [in_role(spans, Role.DIM) for spans in note]
            lines += [*table_lines(table.columns, table.rows, cells), ()]
        self._lines = [line(" ", *spans) for spans in lines[:-1]]
        self.rows = len(self._lines)
        self.jump(self.first)
        self.refresh()
