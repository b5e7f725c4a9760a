"""Output of the commands: text for people, and JSON whose keys programs rely on.

Nothing is computed here; pages come from `pages`, figures from the store or the engine.
"""
