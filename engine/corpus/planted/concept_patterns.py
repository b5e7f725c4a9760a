"""Regular expressions for the concepts of the planted corpus, so that any index of it can be asked for them.

They hold on the very characters of the corpus's own spans. Topics have none: a topic is known from the document as a
whole.
"""

from __future__ import annotations

from engine.corpus.planted.lexicon import (
    CLASS_CONCEPTS,
    CLASSES,
    SECOND_NOUNS,
    SECOND_PARTICLES,
    SECOND_VERBS,
    WORDS,
)
from store.query.concept_lists import Concept, ConceptList, read_concepts

PLANTED = "planted"
"""Name of the list of planted concepts."""
_SECOND = "|".join((*SECOND_PARTICLES, *SECOND_NOUNS, *SECOND_VERBS))
_STATES = {
    "quotation": r'"\w[^"]*',
    "parenthesis": r"(?<=\()[^()]*",
    "list": r"(?m)^- .*(?:\n- .*)*",
    "second language": rf"(?i)\b(?:{_SECOND})\b(?:\.? (?:{_SECOND})\b)*\.?",
    "letter": r"Dear [^,\n]*,\n[^\n]*\nYours, \w+(?: herself)?",
    "question": r"\bDid [^?]*\?",
}


def planted_concepts() -> ConceptList:
    """Return the words, classes and states of the planted corpus with their patterns."""
    words = [Concept(word, _pattern((word,))) for word in sorted(WORDS, key=str.lower)]
    classes = [
        Concept(f"{name} (class)" if name in WORDS else name, _pattern([word for one in sets for word in CLASSES[one]]))
        for name, sets in CLASS_CONCEPTS.items()
    ]
    states = [Concept(f"{name} (state)" if name in WORDS else name, pattern) for name, pattern in _STATES.items()]
    return ConceptList(PLANTED, (*words, *classes, *states))


def named_concepts(name: str) -> ConceptList:
    """Return the planted concepts for "planted", else the list of `read_concepts`.

    Raises:
        MonosemError: as `read_concepts` does.
    """
    return planted_concepts() if name == PLANTED else read_concepts(name)


def _pattern(words: tuple[str, ...] | list[str]) -> str:
    """Return the expression of some words; small ones may begin a sentence."""
    return rf"\b(?:{'|'.join(map(_cased, words))})\b"


def _cased(word: str) -> str:
    first = word[0]
    capital = first.upper()
    # Only months, names and the first words of sentences have capitals: a verb that is a month in capitals is none.
    return word if first == capital or word.capitalize() in _CAPITAL else f"[{capital}{first}]{word[1:]}"


_CAPITAL = {word for words in CLASSES.values() for word in words if word[0].isupper()}
