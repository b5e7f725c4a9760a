"""The corpus `planted`: generated, of any length, the same on every machine, without files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from engine.corpus.documents import Document
from engine.corpus.planted.grammar import EVEN, LED, Span, write
from engine.corpus.planted.lexicon import CLASS_CONCEPTS, CLASSES, STATES, TOPICS, WORDS
from store.files.errors import MonosemError

NAME = "planted"
DEFAULT_DOCUMENTS = 36_000
"""About 3 million tokens of a vocabulary learnt from it. Longer trainings read them again in another order."""

Kind = Literal["word", "class", "state"]
LED_NAME = "absorption"
_SPEC = re.compile(rf"{NAME}(?P<led>:{LED_NAME})?(?::(?:(?P<first>\d{{1,12}})-)?(?P<end>[1-9]\d{{0,11}}))?")


class Concept(NamedTuple):
    """A property that some tokens have."""

    name: str
    kind: Kind


def _named_state(name: str) -> Concept:
    """Return the concept of a state; one that is called like a word says which it is."""
    return Concept(f"{name} (state)" if name in WORDS else name, "state")


CONCEPTS: tuple[Concept, ...] = (
    *(Concept(word, "word") for word in sorted(WORDS, key=str.lower)),
    *(Concept(name, "class") for name in CLASS_CONCEPTS),
    *(_named_state(name) for name in STATES),
    *(Concept(f"topic {name}", "state") for name in TOPICS),
)
"""All concepts, each with a name of its own; a concept's number is its index here."""


def is_planted(spec: str) -> bool:
    """Return whether `spec` names this corpus."""
    return spec.split(":", 1)[0] == NAME


_NUMBER = {concept: number for number, concept in enumerate(CONCEPTS)}
_OF_WORD: dict[str, tuple[int, ...]] = {}
for _word in WORDS:
    _OF_WORD[_word] = (_NUMBER[Concept(_word, "word")],)
for _name, _sets in CLASS_CONCEPTS.items():
    for _word in (word for one in _sets for word in CLASSES[one]):
        _OF_WORD[_word] = (*_OF_WORD.get(_word, ()), _NUMBER[Concept(_name, "class")])


class ConceptSpan(NamedTuple):
    """A range of a document's characters that has a concept."""

    concept: int
    """Index in CONCEPTS."""
    start: int
    end: int
    """End (exclusive)."""


@dataclass(frozen=True)
class PlantedCorpus:
    """`count` documents; document n depends on the seed `first` + n alone, and on whether classes are led."""

    count: int = DEFAULT_DOCUMENTS
    first: int = 0
    led: bool = False
    """Whether each class has a frequent word with a continuation of its own: `planted:absorption`."""

    @classmethod
    def parse(cls, spec: str) -> PlantedCorpus:
        """Parse `planted`, `planted:DOCUMENTS`, or `planted:FIRST-END` for documents beyond those of a shorter corpus;
        the same with `planted:absorption` in place of `planted`.

        Errors: MonosemError for anything else after the colon.
        """
        found = _SPEC.fullmatch(spec)
        first, end = (int(found[name] or 0) for name in ("first", "end")) if found else (0, -1)
        end = end or DEFAULT_DOCUMENTS
        if first >= end:
            raise MonosemError(
                f"{spec} is not a planted corpus",
                f"Write {NAME}, {NAME}:100000 for so many documents, or {NAME}:36000-48000 for 12000 from 36000 on.",
            )
        return cls(end - first, first, bool(found and found["led"]))

    @property
    def spec(self) -> str:
        """The corpus's name, as `parse` takes it."""
        name = f"{NAME}:{LED_NAME}" if self.led else NAME
        end = self.first + self.count
        if self.first:
            return f"{name}:{self.first}-{end}"
        return name if end == DEFAULT_DOCUMENTS else f"{name}:{end}"

    def documents(self) -> Iterator[Document]:
        """Yield all documents."""
        return (Document(number, self.text(number)) for number in range(self.count))

    def describe(self) -> str:
        """Describe the numbers of documents and concepts."""
        return f"the planted corpus: {self.count:,} generated documents, {len(CONCEPTS)} concepts"

    def digest(self) -> str:
        """Return SHA-256 over the documents' texts, each followed by a zero byte."""
        return _digest(self.first, self.count, self.led)

    def text(self, number: int) -> str:
        """Return the text of document `number`."""
        return _text(self.first + number, self.led)

    def words(self, number: int) -> list[tuple[str, int]]:
        """Return the words of document `number` as the lexicon has them, and their first characters."""
        return self._written(number)[1]

    def spans(self, number: int) -> list[ConceptSpan]:
        """Return the spans of all concepts in document `number`.

        A word spans its letters; a quotation reaches from its opening mark to the character before the closing one; a
        parenthesis is the text between its brackets; a list reaches from its first bullet to the end of its last item;
        the second language, a letter and a question span all their characters, with a final full stop or question
        mark; a topic spans the document.
        """
        _, words, states = self._written(number)
        found = [
            ConceptSpan(concept, start, start + len(word)) for word, start in words for concept in _concepts_of(word)
        ]
        found += [ConceptSpan(_state(span), span.start, span.end) for span in states]
        return sorted(found, key=lambda span: (span.start, span.end, span.concept))

    def _written(self, number: int) -> tuple[str, list[tuple[str, int]], list[Span]]:
        return write(self.first + number, LED if self.led else EVEN)


def _concepts_of(word: str) -> tuple[int, ...]:
    return _OF_WORD.get(word, ())


def _state(span: Span) -> int:
    return _NUMBER[_named_state(span.concept)]


@lru_cache(maxsize=DEFAULT_DOCUMENTS)
def _text(number: int, led: bool) -> str:
    """Cached, because a command reads the corpus several times: some 15 MB."""
    return write(number, LED if led else EVEN)[0]


@lru_cache(maxsize=8)
def _digest(first: int, count: int, led: bool) -> str:
    total = hashlib.sha256()
    for number in range(first, first + count):
        total.update(_text(number, led).encode() + b"\0")
    return total.hexdigest()
