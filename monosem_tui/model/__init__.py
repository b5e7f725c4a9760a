"""State and data of the screens: open runs, feature cards, documents, trails, watches.

Reads stores and remembers; lines are laid out in `pages`, widgets and messages live in `widgets` and `screens`.

A document is read in stretches of 1 024 tokens to either side of the peak as they come near the screen; a stretch ends
after a newline, else before a word. A trail continues while the list's cursor stays where the last step left it; moving
in the list starts a new one. Session state is written two seconds after the last key and at every exit except `kill
-9`. To remember something else, add a frozen dataclass to `session_state` and return it from a part's `remembered`.
"""
