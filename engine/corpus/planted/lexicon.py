"""The words of the planted corpus: classes, topics, the second language, and the single words that are concepts.

No word belongs to two classes, so that a word determines its class; a word that is a concept itself may belong to a
class, a topic or both ("captain", "horse").
"""

from __future__ import annotations

from typing import NamedTuple

CLASSES: dict[str, tuple[str, ...]] = {
    "animal": ("horse", "fox", "dog", "cat", "wolf", "bear", "rabbit", "mouse", "goat", "owl", "crow", "duck"),
    "animals": ("dogs", "cats", "horses", "foxes", "wolves", "bears", "rabbits", "goats", "owls", "ducks"),
    "colour": ("red", "blue", "green", "yellow", "black", "white", "brown", "grey", "purple", "pink"),
    "number": ("seven", "two", "three", "four", "five", "six", "eight", "nine", "ten", "twelve"),
    "moved": ("ran", "walked", "crawled", "jumped", "climbed", "marched", "rushed", "wandered", "galloped"),
    "move": ("run", "walk", "crawl", "jump", "climb", "march", "rush", "wander"),
    "food": ("bread", "cheese", "soup", "rice", "honey", "butter", "salt", "sugar", "jam", "pepper"),
    "tool": ("knife", "hammer", "chisel", "shovel", "spade", "rope", "needle", "ladder", "brush"),
    "name": ("Mary", "John", "Anna", "Peter", "Clara", "Simon", "Ruth", "Oscar", "Nina", "Hugo", "Edith", "Felix"),
    "month": ("January", "March", "April", "June", "July", "August", "October", "November", "December"),
    "feeling": ("happy", "sad", "angry", "afraid", "tired", "proud", "lonely", "calm"),
    "weather": ("rain", "snow", "wind", "fog", "hail", "thunder", "frost"),
}
"""Interchangeable words, by their symbol in the grammar."""

CLASS_CONCEPTS: dict[str, tuple[str, ...]] = {
    "animal": ("animal", "animals"),
    "colour": ("colour",),
    "number": ("number",),
    "motion": ("moved", "move"),
    "food": ("food",),
    "tool": ("tool",),
    "name": ("name",),
    "month": ("month",),
    "feeling": ("feeling",),
    "weather": ("weather",),
}
"""Concepts of kind "class", and their sets of words."""


class Topic(NamedTuple):
    """A topic's words, and its weight among documents."""

    weight: float
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]


TOPICS: dict[str, Topic] = {
    "sea": Topic(
        0.20,
        ("captain", "ship", "wave", "sail", "harbour", "anchor", "island", "deck"),
        ("steered", "moored", "sank"),
        ("salty", "stormy"),
    ),
    "kitchen": Topic(
        0.18,
        ("recipe", "pan", "oven", "plate", "spoon", "stove", "bowl", "cup"),
        ("washed", "warmed", "filled"),
        ("hot", "greasy"),
    ),
    "forest": Topic(
        0.15,
        ("river", "tree", "trail", "moss", "branch", "leaf", "root", "valley"),
        ("followed", "crossed", "hid"),
        ("shady", "wild"),
    ),
    "court": Topic(
        0.10,
        ("judge", "trial", "law", "witness", "lawyer", "jury", "verdict", "crime"),
        ("accused", "defended", "judged"),
        ("guilty", "legal"),
    ),
    "space": Topic(
        0.08,
        ("moon", "star", "planet", "rocket", "orbit", "comet", "telescope", "signal"),
        ("launched", "observed", "measured"),
        ("distant", "bright"),
    ),
    "music": Topic(
        0.04,
        ("violin", "song", "choir", "drum", "concert", "melody", "singer", "stage"),
        ("played", "tuned", "rehearsed"),
        ("loud", "gentle"),
    ),
}
"""Topics by name; other documents have none."""

PLAIN = Topic(
    0.25,
    ("house", "door", "window", "street", "letter", "box", "chair", "clock", "garden", "bridge"),
    ("found", "noticed", "painted", "cleaned"),
    ("old", "small", "big", "new"),
)
"""Words without a topic, which occur under every topic."""

OFF_TOPIC = 0.08
"""Share of words drawn from any topic or PLAIN instead of the document's topic."""
PLAIN_SHARE = 0.17
"""Share of words drawn from PLAIN."""
FAVOURED = 0.6
"""Share of a class's words drawn from the three words that the topic favours."""

SECOND_NOUNS = ("zulak", "orem", "tavi", "kesh", "milun", "dorva", "ipek", "ranu")
SECOND_VERBS = ("gorai", "senai", "vutai", "hilai", "pezai")
SECOND_PARTICLES = ("na", "ke", "os", "wu")
"""The second language: a particle before every noun, verbs at the end."""

FOLLOWED: dict[str, tuple[float, str]] = {
    "captain": (0.5, "in command"),
    "recipe": (0.5, "for beginners"),
    "river": (0.5, "flowing south"),
    "judge": (0.5, "without mercy"),
    "moon": (0.5, "above us"),
    "violin": (0.5, "out of tune"),
    "house": (0.5, "on the hill"),
    "letter": (0.5, "signed in ink"),
    "window": (0.5, "with curtains"),
    "clock": (0.5, "striking noon"),
    "horse": (0.5, "without a rider"),
    "fox": (0.5, "with a bushy tail"),
    "red": (0.5, "and golden"),
    "seven": (0.5, "hundred"),
    "bread": (0.5, "from the baker"),
    "knife": (0.5, "made of bone"),
    "Mary": (0.3, "herself"),
    "although": (1.0, "nobody noticed"),
    "however": (1.0, "hard it seemed"),
    "please": (0.5, "come here"),
    "never": (0.5, "again"),
    "perhaps": (0.5, "not"),
}
"""A phrase that follows a word with some probability; this distinguishes it from its class or topic."""

CLASS_FOLLOWED: dict[str, tuple[float, str]] = {
    "animal": (0.3, "with wet fur"),
    "animals": (0.3, "with wet fur"),
    "food": (0.3, "for supper"),
    "tool": (0.3, "without handle"),
    "month": (0.3, "of that year"),
    "feeling": (0.3, "indeed"),
    "weather": (0.3, "from above"),
}
"""The same for the words of a class that are not in FOLLOWED."""

LEADING = 0.3
"""Share of the words of such a class that are its leading one, where classes have one (`planted:absorption`)."""

LEADERS: dict[str, tuple[str, float, str]] = {
    "animal": ("horse", 0.9, "without a rider"),
    "colour": ("red", 0.9, "and golden"),
    "number": ("seven", 0.9, "hundred"),
    "moved": ("ran", 0.9, "for dear life"),
    "food": ("bread", 0.9, "from the baker"),
    "tool": ("knife", 0.9, "made of bone"),
    "name": ("Mary", 0.9, "herself"),
    "month": ("January", 0.9, "at its coldest"),
    "feeling": ("happy", 0.9, "beyond measure"),
    "weather": ("rain", 0.9, "in buckets"),
}
"""By a symbol of each class concept: its leading word, and the phrase that follows it with some probability."""

WORDS = (*FOLLOWED, "because", "suddenly", "twice", "said")
"""Concepts of kind "word": these words, in any case."""

STATES = ("quotation", "parenthesis", "list", "second language", "letter", "question")
"""Concepts of kind "state", in addition to one per topic."""
