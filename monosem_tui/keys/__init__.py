"""The table of actions: key bindings, bottom line, help panel, lookup and docs/keys.md are all made from it.

A module per screen lists its actions, `table` puts them together. What an action does is in the part of a screen that
owns its method.

An action has an id, Textual's name, keys, a title, where it is within reach, and what it needs; a `Need` that is not
met is the sentence that the bottom line shows.
"""
