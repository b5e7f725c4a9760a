"""The widgets that screens are made of: panes of lines, the line of text, the panels above it.

A widget draws what it is given and posts messages about clicks and movement. It knows neither the app nor a
screen; what the drawn lines look like is decided in `monosem_tui.pages` and `monosem_tui.draw`.
"""
