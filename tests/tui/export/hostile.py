"""A run whose tokens and labels try to become part of the page that shows them."""

from __future__ import annotations

from pathlib import Path

from store.notes.note_file import Notes
from tests.sample_run import VOCAB, Sample, build_sample

PAYLOADS = (
    "<script>window.PWNED=1</script>",
    "</script><script>window.PWNED=2</script>",
    "<!--<script>",
    "\"'><img src=x onerror='window.PWNED=3'>",
    "</style></bdi></title><svg onload=window.PWNED=4>",
    "&lt;b&gt; &amp; `${window.PWNED=5}` \\u003c \\",
    "\x1b]0;x\x07\x00\x08\x7f\x85",
    "\u2028\u2029\u202e\u2066\ufeff",
    "שלום عالم",
    "javascript:window.PWNED=6",
    "]]> --> */ //",
)


def build_hostile_pages(folder: Path) -> Sample:
    """Write the run into a folder with a hostile name."""
    evil = [payload.encode() for payload in PAYLOADS]
    vocab = [VOCAB[0], *(evil[i % len(evil)] for i in range(len(VOCAB) - 1))]
    made = build_sample(
        folder / "<b>run '\"&", n_contexts=20, n_features=24, vocab=vocab, model="</script><script>window.PWNED=7"
    )
    notes = Notes(made.run.notes)
    for feature, text in enumerate(PAYLOADS):
        notes.set(feature, "label", text)
        notes.set(feature, "comment", text)
        notes.set(feature, "tags", ["<i>'\"", "</script>"])
    return made
