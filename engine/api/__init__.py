"""monosem from Python: a function per command. Settings go in, runs, figures and texts come out; see docs/python.md.

Functions show progress as text (`NotebookProgress`) unless another `progress` is given; `Silent()` shows none.
"""
