"""notes.jsonl: labels, bookmarks, comments and tags, with undo and exchange as CSV or JSON.

Recipes for the live model, which share the file, are in `store.live`.
"""
