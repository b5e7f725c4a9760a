"""Pages as lines: pure functions from data to styled lines, for widgets, the command line and the clipboard.

Data are read in `model`, helpers for lines live in `draw`; nothing here reads files or keeps state.
"""
