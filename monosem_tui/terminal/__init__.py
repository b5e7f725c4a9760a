"""The terminal itself: its capabilities, corrections to Textual's driver, and the app served to a browser.

Starting the app is `monosem_tui.launch`; colours of roles are `monosem_tui.draw`.
"""
