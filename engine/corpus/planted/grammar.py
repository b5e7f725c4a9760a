"""The grammar of the planted corpus, and its expansion into text with spans.

A probabilistic context-free grammar. A rule is a line of symbols: the name of another rule in capitals, `{class}` for a
word of a class of the lexicon, `{noun}`, `{verb}` and `{adjective}` for a word of the document's topic, `<state` and
`>state` for the begin and end of a state, `^` before a capital letter, `/` for a line end, and anything else for
itself. A leading number is the rule's weight; the default is 1.

States influence predictions: outside of them there are sentences; inside a quotation, question, parenthesis, letter or
list every word is drawn independently, from the state's own words and words that occur everywhere, and the state ends
with the same probability after each. So the state, not the previous word, determines what follows. The second language
has its own words. The topic changes the frequencies of nouns, verbs and adjectives, and of the words of every class.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import NamedTuple

from engine.corpus.planted.lexicon import (
    CLASS_FOLLOWED,
    CLASSES,
    FAVOURED,
    FOLLOWED,
    LEADERS,
    LEADING,
    OFF_TOPIC,
    PLAIN,
    PLAIN_SHARE,
    SECOND_NOUNS,
    SECOND_PARTICLES,
    SECOND_VERBS,
    TOPICS,
    Topic,
)

RULES: dict[str, tuple[str, ...]] = {
    "TEXT": ("3 BLOCK / BLOCK / BLOCK", "2 BLOCK / BLOCK", "2 BLOCK / BLOCK / BLOCK / BLOCK"),
    "BLOCK": ("72 PARAGRAPH", "12 LIST", "9 SECOND", "7 LETTER"),
    "PARAGRAPH": ("2 SENTENCE SENTENCE", "3 SENTENCE SENTENCE SENTENCE", "2 SENTENCE SENTENCE SENTENCE SENTENCE"),
    "SENTENCE": ("72 ^ STATEMENT .", "20 QUOTED", "8 <question ^ did ASKED MORE_ASKED ? >question"),
    "STATEMENT": ("12 CLAUSE", "2 CLAUSE because CLAUSE", "1 CLAUSE although", "1 CLAUSE , however"),
    "CLAUSE": (
        "6 BEAST {moved} WHERE",
        "7 {name} {verb} THING ASIDE",
        "2 {name} suddenly {verb} THING",
        "4 THING was {adjective} ASIDE",
        "2 {number} {animals} {moved} WHERE",
        "2 {name} {moved} WHERE",
        "3 {name} ate the {food} ASIDE",
        "3 {name} repaired THING with a {tool}",
        "2 the {weather} lasted for {number} days",
        "2 in {month} , THING was {adjective}",
        "2 {name} was {feeling}",
        "1 THING {verb} twice",
    ),
    "BEAST": ("3 the {animal}", "2 the {colour} {animal}", "1 the {adjective} {animal}"),
    "THING": ("5 the {noun}", "3 the {adjective} {noun}", "2 the {colour} {noun}"),
    "WHERE": ("2 behind the {noun}", "2 to the {noun}", "1 around the {noun}", "1 through the {weather}"),
    "ASIDE": ("8", "2 ( <parenthesis HEDGED HEDGED MORE_HEDGED >parenthesis )", "1 in {month}"),
    "HEDGED": (
        *("3 about", "3 nearly", "3 roughly", "2 almost", "2 so-called", "2 or", "1 perhaps"),
        *("2 {number}", "2 {adjective}", "3 {noun}"),
    ),
    "MORE_HEDGED": ("5 HEDGED MORE_HEDGED", "1"),
    "QUOTED": (
        "8 ^ {name} said <quotation “ SPOKEN SPOKEN MORE_SPOKEN >quotation ” .",
        "1 ^ {name} said <quotation “ <second#language SECOND_CLAUSE >second#language >quotation ” .",
    ),
    "SPOKEN": (
        *("4 I", "4 you", "3 we", "3 my", "3 your", "2 love", "2 want", "2 need", "2 oh", "1 please", "1 never"),
        *("3 {noun}", "1 {animal}", "1 {food}", "2 {move}", "1 {feeling}", "1 {tool}", "1 {colour} {animal}"),
    ),
    "MORE_SPOKEN": ("9 SPOKEN MORE_SPOKEN", "1"),
    "ASKED": (
        *("3 ever", "3 really", "2 anyone", "2 who", "2 whom", "2 or", "2 why"),
        *("2 {name}", "1 {animal}", "3 {noun}", "2 {move}"),
    ),
    "MORE_ASKED": ("8 ASKED MORE_ASKED", "1"),
    "LIST": ("^ LISTED : / <list - ITEM / - ITEM MORE >list",),
    "MORE": ("2 / - ITEM MORE", "1"),
    "LISTED": ("{name} bought", "{name} lost", "the belongings of {name}"),
    "ITEM": ("1 PIECE", "2 PIECE PIECE", "2 PIECE PIECE PIECE"),
    "PIECE": (
        *("3 spare", "3 some", "2 plus", "2 dozen", "2 assorted"),
        *("2 {food}", "2 {number} {animals}", "2 {tool}", "3 {noun}", "2 {colour} {noun}"),
    ),
    "SECOND": (
        "2 <second#language ^ SECOND_CLAUSE . ^ SECOND_CLAUSE . >second#language",
        "1 <second#language ^ SECOND_CLAUSE . ^ SECOND_CLAUSE . ^ SECOND_CLAUSE . >second#language",
    ),
    "SECOND_CLAUSE": ("SECOND_THING SECOND_THING SECOND_VERB", "SECOND_THING SECOND_THING SECOND_THING SECOND_VERB"),
    "SECOND_THING": ("SECOND_PARTICLE SECOND_NOUN",),
    "SECOND_PARTICLE": SECOND_PARTICLES,
    "SECOND_NOUN": SECOND_NOUNS,
    "SECOND_VERB": SECOND_VERBS,
    "LETTER": ("<letter ^ dear {name} , / PROMISE PROMISE MORE_PROMISES / ^ yours , {name} >letter",),
    "MORE_PROMISES": ("3 PROMISE MORE_PROMISES", "2"),
    "PROMISE": ("^ shall HOPED HOPED MORE_HOPED .",),
    "HOPED": (
        *("3 soon", "3 will", "3 hope", "3 her", "2 she", "2 send", "2 visit"),
        *("1 {number} {animals}", "2 {noun}", "1 {month}", "1 {weather}", "1 {food}", "1 {colour} {noun}"),
    ),
    "MORE_HOPED": ("6 HOPED MORE_HOPED", "1"),
}

BEGIN = "TEXT"
ATTACHED = frozenset(".,:?)”")
"""Marks without a space before them."""
OPENING = frozenset("(“")
"""Marks without a space after them."""
SHOWN = {"“": '"', "”": '"'}
"""Both quotation marks look the same in the text; the grammar distinguishes them for their spacing."""


class Span(NamedTuple):
    """A range of characters that has a concept."""

    concept: str
    """A word as written, or the name of a state."""
    start: int
    end: int
    """End (exclusive)."""


class Draw(NamedTuple):
    """Alternatives with their cumulative weights."""

    things: Sequence[tuple[str, ...]]
    limits: list[float]

    def one(self, random: Callable[[], float]) -> tuple[str, ...]:
        """Draw an alternative by its weight."""
        return self.things[bisect(self.limits, random() * self.limits[-1])]


def _rule(line: str) -> tuple[float, tuple[str, ...]]:
    symbols = line.split()
    if symbols and symbols[0].isdecimal():
        return float(symbols[0]), tuple(symbols[1:])
    return 1.0, tuple(symbols)


def _draw(lines: Sequence[str]) -> Draw:
    weighted = [_rule(line) for line in lines]
    return Draw([symbols for _, symbols in weighted], list(accumulate(weight for weight, _ in weighted)))


def falling(words: Sequence[str]) -> Draw:
    """Return words with falling frequencies, the last a third as frequent as the first."""
    steps = max(1, len(words) - 1)
    return Draw([(word,) for word in words], list(accumulate(3 - 2 * number / steps for number in range(len(words)))))


_RULES = {name: _draw(lines) for name, lines in RULES.items()}
_CLASSES = {f"{{{name}}}": falling(words) for name, words in CLASSES.items()}
_FIELDS = {"{noun}": "nouns", "{verb}": "verbs", "{adjective}": "adjectives"}
_TOPICAL: Mapping[str, dict[str | None, Draw]] = {
    symbol: {None: falling(getattr(PLAIN, field))} | {name: falling(getattr(t, field)) for name, t in TOPICS.items()}
    for symbol, field in _FIELDS.items()
}
_ANY_TOPIC: list[str | None] = [None, *TOPICS]
_FAVOURITES: Mapping[str, dict[str, Draw]] = {
    f"{{{name}}}": {
        topic: falling([words[(2 * number + i) % len(words)] for i in range(3)]) for number, topic in enumerate(TOPICS)
    }
    for name, words in CLASSES.items()
}
_OF_CLASS = {word: CLASS_FOLLOWED[name] for name in CLASS_FOLLOWED for word in CLASSES[name]}


class Variety(NamedTuple):
    """A way to choose words of classes and what follows them."""

    leaders: Mapping[str, str]
    """By symbol, the word that LEADING of its words are; the other symbols have none."""
    followed: Mapping[str, tuple[float, tuple[str, ...]]]
    """By word, the phrase that follows it and its probability."""


_FOLLOWED = {word: (share, tuple(phrase.split())) for word, (share, phrase) in (_OF_CLASS | FOLLOWED).items()}
EVEN = Variety({}, _FOLLOWED)
LED = Variety(
    {f"{{{name}}}": word for name, (word, _, _) in LEADERS.items()},
    _FOLLOWED | {word: (share, tuple(phrase.split())) for word, share, phrase in LEADERS.values()},
)
"""Each class has a frequent word with a continuation of its own, so that a feature for it is worth having."""


@dataclass
class Writing:
    """A text being written."""

    random: Callable[[], float]
    variety: Variety
    topic: str | None
    pieces: list[str]
    words: list[tuple[str, int]]
    """Words and their first characters."""
    states: list[Span]
    length: int = 0
    spaced: bool = False
    """Whether a word would follow a space."""
    capital: bool = False

    def expand(self, symbols: Sequence[str]) -> None:
        """Write the expansion of the symbols."""
        open_at: dict[str, int] = {}
        for symbol in symbols:
            if symbol in _RULES:
                self.expand(_RULES[symbol].one(self.random))
            elif symbol[0] == "{":
                self._word(self._chosen(symbol))
            elif symbol == "^":
                self.capital = True
            elif symbol == "/":
                self._put("\n")
                self.spaced = False
            elif symbol[0] == "<":
                open_at[symbol[1:]] = self.length + self.spaced
            elif symbol[0] == ">":
                name = symbol[1:]
                self.states.append(Span(name.replace("#", " "), open_at.pop(name), self.length))
            else:
                self._word(symbol)

    def _chosen(self, symbol: str) -> str:
        if symbol in self.variety.leaders and self.random() < LEADING:
            return self.variety.leaders[symbol]
        if symbol in _CLASSES:
            if self.topic is not None and self.random() < FAVOURED:
                return _FAVOURITES[symbol][self.topic].one(self.random)[0]
            return _CLASSES[symbol].one(self.random)[0]
        topic, where = self.topic, self.random()
        if where < OFF_TOPIC:
            topic = _ANY_TOPIC[int(self.random() * len(_ANY_TOPIC))]
        elif where < OFF_TOPIC + PLAIN_SHARE:
            topic = None
        return _TOPICAL[symbol][topic].one(self.random)[0]

    def _word(self, word: str) -> None:
        if self.spaced and word not in ATTACHED:
            self._put(" ")
        shown = SHOWN.get(word, word)
        if word[0].isalpha():
            self.words.append((word, self.length))
            if self.capital:
                shown = shown[0].upper() + shown[1:]
                self.capital = False
        self._put(shown)
        self.spaced = word not in OPENING
        followed = self.variety.followed.get(word)
        if followed is not None and self.random() < followed[0]:
            self.expand(followed[1])

    def _put(self, piece: str) -> None:
        self.pieces.append(piece)
        self.length += len(piece)


def write(seed: int, variety: Variety = EVEN) -> tuple[str, list[tuple[str, int]], list[Span]]:
    """Return the text of a seed, its words with their positions, and the spans of its states, including the topic.

    All draws use `Random.random`, whose sequence Python guarantees between versions.
    """
    random = Random(seed).random
    topic = _TOPIC.one(random)[0] or None
    writing = Writing(random, variety, topic, [], [], [])
    if topic is not None and random() < TITLED:
        writing.expand(("#", topic, "/"))
    writing.expand((BEGIN,))
    text = "".join(writing.pieces)
    if topic is not None:
        writing.states.append(Span(f"topic {topic}", 0, len(text)))
    return text, writing.words, writing.states


def _topics(topics: Mapping[str, Topic]) -> Draw:
    names = ["", *topics]
    return Draw([(name,) for name in names], list(accumulate([PLAIN.weight, *(t.weight for t in topics.values())])))


_TOPIC = _topics(TOPICS)
TITLED = 0.9
"""Share of the documents with a topic that name it in their first line."""
