"""Pages as lines: pure functions from data to styled lines, used by widgets, the command line and the clipboard."""
