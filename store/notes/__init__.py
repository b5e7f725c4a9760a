"""notes.jsonl: labels, bookmarks, comments and tags on features; undo, import and export as CSV or JSON.

Recipes for the live model, which share the file, are in `store.live`; the screens that edit notes are in `monosem_tui`.
"""
