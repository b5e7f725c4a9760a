"""Pages as lines: pure functions from data to styled lines, for widgets, the command line and the clipboard.

Data are read in `model`, helpers for lines live in `draw`; nothing here reads files or keeps state.

A page is a `Sheet` (`draw.sheet`): lines, and the stops that its cursor goes to, examples and features. A stop's `Key`
identifies what it is, not where, so it stays selected when the page is laid out again. Figures that cost a few rows of
the store come first; drift and companions, which read every entry of a feature, fill lines reserved for them.
"""
