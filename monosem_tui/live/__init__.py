"""The live model as the terminal sees it: its process, the tray of clamps, and the text being written.

The child's log is `$XDG_STATE_HOME/monosem/live.log`. The tray belongs to the session, so any screen can put a feature
into it. `tests/tui/fake_model.py` stands in for the engine.
"""
