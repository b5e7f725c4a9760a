"""State and data behind the screens: open runs, feature cards, documents, trails, watches.

Reads stores and remembers; lines are laid out in `pages`, widgets and messages live in `widgets` and `screens`.
"""
