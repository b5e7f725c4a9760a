"""The command line: commands, the error frame, and everything that prints.

Flags live in `commands`, output in `reports`; the work itself is the engine's, imported when a command runs.
"""
