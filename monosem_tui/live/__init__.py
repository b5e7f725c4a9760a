"""The live model as the terminal sees it: its process, the tray of clamps, and the text being written."""
