"""A run whose every text tries to take over the terminal that shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from store.notes.note_file import Notes
from store.run.folder import Provenance
from store.run.spec import SaeSpec
from tests.sample_run import VOCAB, Sample, build_sample

MARK = "PWNED"
"""Stands in every payload: nowhere may a terminal find it inside a sequence."""
CLIPBOARD = "UFdORUQ="
"""The same in base64, for OSC 52."""
PAYLOADS = (
    f"\x1b[2J\x1b[6;666H{MARK}",
    f"\x1b[38;5;6;666m{MARK}\x1b[?1049l",
    f"\x1b]0;{MARK}\x07",
    f"\x1b]8;;http://{MARK}\x1b\\link\x1b]8;;\x1b\\",
    f"\x1b]52;c;{CLIPBOARD}\x07",
    f"\x1bP$q{MARK}\x1b\\",
    f"\x1b_G{MARK}\x1b\\\x1b^{MARK}\x1b\\\x1bc",
    f"\x9b6;666H{MARK}\x9d0;{MARK}\x9c\x90{MARK}\x9c\x85",
    f"[red]{MARK}[/red] [/] [@click=app.quit]{MARK}[/] [bold :smile:",
    f"\u202e{MARK}\u2066\u2069\u202c\u200b\u200d\ufeff\u00ad\u2060",
    "שלום עולם مرحبا",
    "日本語 한국어 中文",
    "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301 \u0301\u0489",
    "👩\u200d👩\u200d👧 👍🏽 🇫🇷 ❤\ufe0f",
    "a\tb\nc\r\nd\x08\x0b\x0c\x00\x7f\u2028\u2029",
    "\U000e0001\ue000\U0010ffff\u0378",
)
LONG = ("x" * 10_000, "日" * 10_000, "e" + "\u0301" * 10_000, "\u202e" * 10_000, "\x1b]0;" * 2_500)
BROKEN = (b"\xff\xfe\x9b31m", b"\xe6\x97", b"\xf0\x9f\x91")
ALL = "".join(PAYLOADS)


def hostile_vocabulary() -> list[bytes]:
    """As many tokens as VOCAB has; the frequent ones of the sample's concepts are among those that are hostile."""
    evil = [*(text.encode() for text in (*PAYLOADS, *LONG)), *BROKEN]
    places = [place for place, token in enumerate(VOCAB) if place and place % 3]
    tokens = list(VOCAB)
    for number, place in enumerate(places):
        tokens[place] = evil[number % len(evil)]
    for number, word in enumerate((" sea", " said", " boat", " she", " dog")):
        tokens[VOCAB.index(word.encode())] = evil[(0, -7, 4, 16, 13)[number]]
    return tokens


def build_hostile(folder: Path) -> Sample:
    """Write the run into a folder under `folder` with a hostile name."""
    name = f"evil\x1b]0;{MARK}\x07\x9b31m[red]\u202e日本\trun"
    made = build_sample(folder / name, n_contexts=60, vocab=hostile_vocabulary(), model=ALL.replace("/", ""))
    notes = Notes(made.run.notes)
    for feature, text in enumerate((*PAYLOADS, *LONG)):
        notes.set(feature, "label", text)
        notes.set(feature, "comment", f"{text} {ALL}")
        notes.set(feature, "tags", [text[:200], ALL])
        notes.set(feature, "bookmark", True)
    source = Provenance(model=ALL, corpus=ALL, versions={ALL: ALL}, hardware=ALL)
    spec = replace(SaeSpec(layer=2, d_in=8, d_sae=48, k=4), model=ALL, site=ALL, arch=ALL)
    made.run.update(
        provenance=source,
        spec=spec,
        message=ALL,
        config={"train": {"data": ALL, ALL: [ALL, {ALL: ALL}]}},
        evaluation={"split": ALL, "l0": ALL, "tokens": 3},
    )
    return made
