"""The file explanations.jsonl: what features were explained by, who says so, and how well it holds where it was tested.

A line is a JSON object with the fields of `Explanation`. The file is append-only; of one author the last line about a
feature wins, and one whose text is empty takes that author's explanation away. It lies beside the notes, whose labels
no explanation replaces. Lines may come from strangers: each is checked when it is read, damaged ones are skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from store.files.errors import MonosemError
from store.files.typed_json import JsonError, Narrowed, decode, parse
from store.notes.line_file import LineFile
from store.notes.note_file import beside
from store.notes.statements import LONGEST, MOST_FEATURES, json_line, valid_text

RULES = "rules"
"""The author of rules that were searched for."""
POOR = 0.5
"""Held-out F1 below which a rule does not explain a feature."""
LONGEST_AUTHOR = 200
"""Characters of an author's name."""
_COPY = "Explanations are kept beside the run or index. If you may not write there, copy it and explain the copy."
_FEATURE = re.compile(rb'\{"feature": ?(\d{1,10}),')
_Feature = Annotated[int, Narrowed("the number of a feature", lambda value: 0 <= value < MOST_FEATURES)]
_Count = Annotated[int, Narrowed("a count", lambda value: value >= 0)]
_Author = Annotated[str, Narrowed("an author", lambda value: bool(value.strip()) and len(value) <= LONGEST_AUTHOR)]
_Digest = Annotated[str, Narrowed("a digest", lambda value: len(value) <= LONGEST_AUTHOR)]
_Words = Annotated[str, Narrowed(f"text of at most {LONGEST} characters", lambda value: len(value) <= LONGEST)]
_Time = Annotated[float, Narrowed("a time since 1970 in seconds", lambda value: 0 <= value < 1e11)]


@dataclass(frozen=True)
class Figure:
    """A measured figure, and the ends of its 95 % interval from documents drawn again."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ExplanationScores:
    """How well an explanation holds, each figure on documents that its author never saw; None where not measured."""

    precision: Figure | None = None
    """Share of the tokens where the feature fires (activation at least `threshold`) that the rule holds on."""
    recall: Figure | None = None
    """Share of the tokens that the rule holds on where the feature fires."""
    f1: Figure | None = None
    auroc: Figure | None = None
    """Probability that a token the rule holds on has a higher activation than another, ties counting half."""
    r: Figure | None = None
    """Pearson's correlation of the rule with the activation, zeros included."""
    detection: Figure | None = None
    """AUROC of a judge who tells texts where the feature fires from others, by the explanation alone."""
    detection_random: Figure | None = None
    """Detection against texts from anywhere."""
    detection_same_token: Figure | None = None
    """Detection against texts with the feature's own tokens, where it is silent."""
    detection_neighbour: Figure | None = None
    """Detection against texts where a feature of a similar direction fires, and this one does not."""
    fuzzing: Figure | None = None
    """AUROC of a judge who tells rightly from wrongly marked texts, by the explanation alone."""
    control: Figure | None = None
    """The judge's score with another feature's explanation in place of this one."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One author's explanation of one feature. Text is as written; printers make it printable."""

    feature: _Feature
    author: _Author
    """`rules`, the name of a language model, or a person."""
    date: _Time = 0.0
    """Seconds since the epoch; 0 where unknown."""
    text: _Words
    """The explanation in words; empty takes the author's explanation away."""
    rule: _Words | None = None
    """The rule in the grammar that `find --rule` takes."""
    pattern: _Words | None = None
    """A regular expression that `find` takes, from an author who writes no rules."""
    last: bool = False
    """Whether the last token of each match of the pattern is meant, not all of them."""
    threshold: float | None = None
    """The least activation that counted as firing; None where any positive one did."""
    made_from: _Words = ""
    """Its origin in words: how much text, which examples, which prompt."""
    key: _Digest = ""
    """Digest of the settings and the index it was made from: work with the same key need not be done again."""
    documents: _Count = 0
    """Documents that the figures were measured on."""
    scores: ExplanationScores = field(default_factory=ExplanationScores)

    @property
    def explains(self) -> bool:
        """Whether it may stand for the feature in a list: a rule only if it holds well enough."""
        return self.author != RULES or (self.scores.f1 is not None and self.scores.f1.value >= POOR)


def explanations_path(path: Path) -> Path:
    """Return the path of the explanations of a run folder or an index file, which lie beside its notes."""
    return beside(path, "explanations.jsonl")


class Explanations:
    """The explanations of one run, as far as they were read; `follow` brings them up to date.

    Lines are decoded when their feature is asked for: a file of a wide dictionary opens as fast as it is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LineFile(path, _is_sound, _COPY)
        self._start_over()
        self.revision = 0
        """Counts the changes seen by `follow`."""

    def _start_over(self) -> None:
        self._lines: dict[int, list[bytes]] = {}
        self._known: dict[int, tuple[Explanation, ...]] = {}

    def follow(self) -> bool:
        """Read lines that were appended, here or by others, and return whether there were any.

        Raises:
            MonosemError: the file exists but cannot be read.
        """
        added = self._file.added()
        if added is None:
            return False
        if added.afresh:
            self._start_over()
        for line in added.lines:
            feature = _feature_of(line)
            if feature is not None:
                self._lines.setdefault(feature, []).append(line)
                self._known.pop(feature, None)
        self.revision += 1
        return True

    @property
    def features(self) -> tuple[int, ...]:
        """The features that lines speak of, ascending."""
        return tuple(sorted(self._lines))

    def of(self, feature: int) -> tuple[Explanation, ...]:
        """Return a feature's explanations, one of each author: the highest F1 first, then in order of writing."""
        known = self._known.get(feature)
        if known is None:
            known = self._known[feature] = _standing(self._lines.get(feature, ()))
        return known

    def by(self, author: str) -> dict[int, Explanation]:
        """Return an author's explanations by feature."""
        return {one.feature: one for feature in self.features for one in self.of(feature) if one.author == author}

    def saying(self, text: str) -> list[int]:
        """Return the features of which an explanation contains a text, whatever the case."""
        needle = text.casefold()
        written = json.dumps(needle)[1:-1].encode()
        ascii_only = text.isascii()
        return [
            feature
            for feature, lines in self._lines.items()
            if (not ascii_only or any(written in line.lower() for line in lines))
            and any(needle in one.text.casefold() for one in self.of(feature))
        ]

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield feature and text of every explanation that stands, features ascending; nothing else of it is checked.

        Ten times as fast as `of` for the features of a wide dictionary.
        """
        for feature in self.features:
            last: dict[str, str] = {}
            for line in self._lines.get(feature, ()):
                if (said := _said(line)) is not None:
                    last[said[0]] = said[1]
            yield from ((feature, text) for text in last.values() if text)

    def append(self, explanations: Iterable[Explanation]) -> None:
        """Append explanations, all or none; they survive a power cut once this returns.

        Raises:
            MonosemError: one cannot be stored, or the file cannot be written.
        """
        lines = b"".join(map(_written, explanations))
        with self._file.locked() as descriptor:
            self._file.append(descriptor, lines)

    @classmethod
    def load(cls, path: Path) -> Explanations:
        """Read the explanations of a run folder or an index file.

        Raises:
            MonosemError: the file exists but cannot be read.
        """
        found = cls(explanations_path(path))
        found.follow()
        return found


@dataclass(frozen=True)
class ExplanationCheck:
    """The result of reading every line of a file of explanations."""

    explanations: int
    """Explanations that stand."""
    features: int
    authors: tuple[str, ...]
    damaged: tuple[int, ...]
    """Numbers, from 1, of lines that cannot be read."""


def check_explanations(path: Path) -> ExplanationCheck:
    """Read every line of a file of explanations.

    Raises:
        MonosemError: the file cannot be read.
    """
    added = LineFile(path, _is_sound, _COPY).added()
    lines = [(number, line) for number, line in enumerate(added.lines if added else (), 1) if line.strip()]
    found = [(number, _decoded(line)) for number, line in lines]
    standing = {(one.feature, one.author): one for _, one in found if one is not None}
    present = [one for one in standing.values() if one.text]
    return ExplanationCheck(
        len(present),
        len({one.feature for one in present}),
        tuple(dict.fromkeys(one.author for one in present)),
        tuple(number for number, one in found if one is None),
    )


def _standing(lines: Sequence[bytes]) -> tuple[Explanation, ...]:
    """Return the last sound explanation of each author."""
    last: dict[str, Explanation] = {}
    for one in filter(None, map(_decoded, lines)):
        last[one.author] = one
    return tuple(sorted((one for one in last.values() if one.text), key=lambda one: -_f1(one)))


def _said(line: bytes) -> tuple[str, str] | None:
    """Return author and text of a line."""
    try:
        read = parse(line.decode("utf-8", "replace"))
    except JsonError:
        return None
    author, text = (read.get("author"), read.get("text")) if isinstance(read, dict) else (None, None)
    return (author, text) if isinstance(author, str) and isinstance(text, str) else None


def _f1(explanation: Explanation) -> float:
    return explanation.scores.f1.value if explanation.scores.f1 else -1.0


def _feature_of(line: bytes) -> int | None:
    """Return the feature that a line speaks of; None where there is none, or it is damaged."""
    if (found := _FEATURE.match(line)) and line.endswith(b"}"):
        feature = int(found[1])
        return feature if feature < MOST_FEATURES else None
    explanation = _decoded(line)
    return None if explanation is None else explanation.feature


def _is_sound(line: bytes) -> bool:
    return _decoded(line) is not None


def _decoded(line: bytes) -> Explanation | None:
    try:
        return decode(Explanation, parse(line.decode("utf-8", "replace")))
    except JsonError:
        return None


def _written(explanation: Explanation) -> bytes:
    """Return the line of an explanation, the feature first, by which readers find lines without decoding them.

    Raises:
        MonosemError: it would not be read again.
    """
    values: dict[str, Any] = {
        name: valid_text(value) if isinstance(value, str) else value
        for name, value in asdict(explanation).items()
        if name == "text" or value not in (None, "")
    }
    values["scores"] = {name: figure for name, figure in values["scores"].items() if figure is not None}
    try:
        decode(Explanation, values)
    except JsonError as error:
        raise MonosemError(f"the explanation of feature {explanation.feature} cannot be stored: {error}") from None
    return json_line(values)
