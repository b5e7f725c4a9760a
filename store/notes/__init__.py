"""Beside an index: labels, bookmarks, comments and tags on features, with undo and exchange; and explanations.

`notes.jsonl` is user data, `explanations.jsonl` is what features were found to mean, and by whom. Recipes for the live
model, which share the file of notes, are in `store.live`; the screens that edit notes are in `monosem_tui`.

Each change is one write under `flock`, synced before the call returns, with `time` in seconds since the epoch, for
people only: the order of lines decides. Readers take no lock and read only what was added, or everything again after
the file was replaced or edited. A line that is not a JSON object is damaged: it is skipped, reported by number, and
kept. A last line without its newline (a power cut) is closed by the next writer. Undo appends the line that restores
the previous value, unless another terminal has changed the same field since.

Notes lie beside the store: `notes.jsonl` in a run and beside any features.h5, `NAME.notes.jsonl` beside a store of
another name. If that folder is read-only, taking a note fails with one line and browsing continues.
"""
