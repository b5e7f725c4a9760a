"""The table of actions: key bindings, bottom line, help panel, command palette and docs/keys.md are all made from it.

A module per screen lists its actions, `table` puts them together. What an action does is in the part of a screen that
owns its method.
"""
