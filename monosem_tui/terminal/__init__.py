"""The terminal itself: its abilities, corrections to Textual's driver, and the app served to a browser."""
