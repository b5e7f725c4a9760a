"""Small corpora of real text as indexes, and every predicate evaluated on them token by token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np

from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, segment_path, write_common
from store.index.vocabulary import Vocabulary
from store.rules.grammar import Predicate, Rule
from store.run.folder import RunFolder
from tests.store.raw import Raw, RawToken, as_rows, plan_of, static_columns, weights

TEXTS = (
    'Mary said "the dog ran. It was big" and left (a cat, two).\n- one\n- two\nThe sea was 12 blue.',
    "def add(x):\n    # the sum\n    return 'a' + x\nimport os\nx = f(1)\n",
    "Der Hund und die Katze ist nicht mit dem Ball von der See zu Mary auf ein Haus.\n\nThe END of it? Yes!",
    "the the the dog sea said Mary. 日本 dog",
)
_PIECE = re.compile(r"\n| ?[^\W\d_]+| ?\d|[^\w]|_")


def pieces(text: str) -> list[bytes]:
    """Tokens of a text: words with their space, single digits and signs; 日 is cut inside its bytes."""
    return [part for piece in _PIECE.findall(text) for part in _cut(piece.encode())]


def _cut(raw: bytes) -> list[bytes]:
    return [raw[:2], raw[2:]] if raw.startswith("日".encode()) else [raw]


def vocab_of(texts: Sequence[str]) -> list[bytes]:
    """Every token of some texts, once."""
    return sorted({piece for text in texts for piece in pieces(text)})


@contextmanager
def text_store(
    texts: Sequence[str], acts: Sequence[Sequence[dict[int, float]]], d_sae: int, context: int = 12
) -> Iterator[FeatureStore]:
    """An index of texts, a document each; contexts are packed across documents."""
    vocab = vocab_of(texts)
    tokens = [
        RawToken(vocab.index(piece), number, True, acts[number][at] if acts else {0: 1.0})
        for number, text in enumerate(texts)
        for at, piece in enumerate(pieces(text))
    ]
    tokens = [token._replace(counted=i % context > 0 or i == 0) for i, token in enumerate(tokens)]
    raw = Raw(d_sae, [tokens[i : i + context] for i in range(0, len(tokens), context)])
    with TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        columns = replace(static_columns(d_sae), exponent_F=None)
        write_common(run.index, plan_of(raw), Vocabulary.from_tokens(vocab), weights(d_sae), columns)
        builder = SegmentBuilder(d_sae, None)
        builder.add(*as_rows(raw.contexts))
        builder.seal(segment_path(run.index, 0), 0, 0)
        merge(run.index, run.features)
        with FeatureStore.open(run.path) as store:
            yield store


class SlowTruth:
    """Predicates by their definitions, one token at a time, for a store of `text_store`."""

    def __init__(self, store: FeatureStore) -> None:
        self.raw = store.vocabulary.tokens(store.tokens(0, store.n_tokens).tolist())
        self.text = [raw.decode("utf-8", "replace") for raw in self.raw]
        starts = store.layout.contexts.start.tolist()
        self.context = [max(start for start in starts if start <= i) for i in range(len(self.raw))]
        self.document = store.layout.documents.number[
            np.searchsorted(store.layout.documents.start, np.arange(len(self.raw)), side="right") - 1
        ].tolist()
        self.ids = store.tokens(0, store.n_tokens).tolist()

    def rule(self, rule: Rule) -> list[bool]:
        """Where a rule holds."""
        return [
            any(all(self.holds(term.predicate, i) != term.negated for term in clause) for clause in rule.clauses)
            for i in range(len(self.raw))
        ]

    def holds(self, predicate: Predicate, i: int) -> bool:
        """Whether a predicate holds for one token."""
        name = predicate.name
        if name == "at":
            j = i + predicate.numbers[0]
            return 0 <= j < len(self.raw) and self.context[j] == self.context[i] and self.of_token(predicate.inner, j)
        if name == "within":
            first = max(self.context[i], i - predicate.numbers[0])
            return any(self.of_token(predicate.inner, j) for j in range(first, i))
        if name == "document":
            same = [j for j in range(len(self.raw)) if self.document[j] == self.document[i]]
            return any(self.of_token(predicate.inner, j) for j in same)
        if name in ("ngram", "phrase"):
            return any(self._ends(name, cast("tuple[str | int, ...]", one), i) for one in predicate.args)
        if name == "position":
            return predicate.numbers[0] <= i - self.context[i] < predicate.numbers[1]
        return self.of_token(predicate, i)

    def _ends(self, name: str, sequence: tuple[str | int, ...], i: int) -> bool:
        first, inner = i - len(sequence) + 1, "token" if name == "ngram" else "word"
        return first >= self.context[i] and all(
            self.of_token(Predicate(inner, (one,)), first + k) for k, one in enumerate(sequence)
        )

    def _is(self, name: str | int, i: int) -> bool:
        return self.ids[i] == name if isinstance(name, int) else self.raw[i] == name.encode()

    def of_token(self, predicate: Predicate, i: int) -> bool:
        """Whether a predicate of single tokens holds."""
        name, text = predicate.name, self.text[i]
        letters = [one for one in text if one.isalpha()]
        strings = [one for one in predicate.texts if isinstance(one, str)]
        if name == "token":
            return any(self._is(one, i) for one in predicate.texts)
        if name == "word":
            return text.strip(" ").lower() in [one.strip(" ").lower() for one in strings]
        if name == "starts":
            return any(text.removeprefix(" ")[: len(one)] == one for one in strings)
        if name == "ends":
            return any(text[-len(one) :] == one for one in strings)
        if name == "match":
            return re.search(strings[0], text) is not None
        return {
            "digits": any(one.isdigit() for one in text) and not letters,
            "capital": bool(letters) and letters[0].isupper(),
            "capitals": len(letters) > 1 and all(one.isupper() for one in letters),
            "punctuation": bool(text.strip()) and "\ufffd" not in text and not any(map(str.isalnum, text)),
            "space": text.strip() == "" and text != "",
            "newline": "\n" in text,
            "spaced": text[:1] == " " and text.strip() != "",
        }[name]
