"""Concepts and words of tokens from spans of characters, for any tokenizer and any stream of contexts.

A token has a concept if at least one of its characters is in one of the concept's spans. Characters are those of the
fast tokenizer's offset mapping: a token that is part of a character has that character, and the space before a word
belongs to the word's token if the tokenizer puts it there. Tokens without characters (BOS, separators) have no concept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.corpus.planted.generator import ConceptSpan, PlantedCorpus
from engine.data.contexts import ContextBatch
from engine.data.text_encoder import Encoding

TokenConcepts = tuple[int, ...]
"""Concepts of a token by number, ascending."""


class TokenLabel(NamedTuple):
    """The truth about a token."""

    concepts: TokenConcepts
    word: str
    """The word whose last character it has, as the lexicon writes it; empty where it ends none."""


def token_concepts(offsets: Sequence[tuple[int, int]], spans: Sequence[ConceptSpan]) -> list[TokenConcepts]:
    """Return the concepts of each token of a document.

    Args:
        offsets: half-open character range of each token.
        spans: in any order; they may overlap.
    """
    of_character: dict[int, set[int]] = {}
    for span in spans:
        for character in range(span.start, span.end):
            of_character.setdefault(character, set()).add(span.concept)
    nothing: set[int] = set()
    return [
        tuple(sorted(set().union(*(of_character.get(character, nothing) for character in range(start, end)))))
        for start, end in offsets
    ]


def token_words(offsets: Sequence[tuple[int, int]], words: Sequence[tuple[str, int]]) -> list[str]:
    """Return the word that each token of a document ends, "" where it ends none; of several the last.

    Args:
        offsets: half-open character range of each token.
        words: words and their first characters.
    """
    ending_at = {start + len(word) - 1: word for word, start in words}
    found = []
    for start, end in offsets:
        ended = [ending_at[character] for character in range(start, end) if character in ending_at]
        found.append(ended[-1] if ended else "")
    return found


class _Open(NamedTuple):
    """A document with tokens still to come."""

    ids: list[int]
    labels: list[TokenLabel]


class Labeller:
    """Returns the labels of the tokens of packed contexts, batch after batch from the start of the stream."""

    def __init__(self, corpus: PlantedCorpus, encoding: Encoding) -> None:
        self._corpus = corpus
        self._encoding = encoding
        self._open: dict[int, _Open] = {}
        self._done: dict[int, int] = {}

    def label(self, batch: ContextBatch) -> list[TokenLabel]:
        """Return the labels of each counted token of a batch, in the order of its activations.

        Errors: ValueError if the tokens are not those of the corpus in packed order.
        """
        found: list[TokenLabel] = []
        rows = zip(batch.tokens_BT, batch.mask_BT, batch.counted_BT, batch.document_BT, strict=True)
        for tokens_T, mask_T, counted_T, document_T in rows:
            for token, counted, number in zip(
                tokens_T[mask_T].tolist(), counted_T[mask_T].tolist(), document_T[mask_T].tolist(), strict=True
            ):
                if token == self._encoding.bos_id:
                    continue
                label = self._next(number, token)
                if counted:
                    found.append(label)
        return found

    def _next(self, number: int, token: int) -> TokenLabel:
        """Return the label of a document's next token."""
        if number not in self._open:
            self._open[number] = self._encoded(number)
        document, at = self._open[number], self._done.get(number, 0)
        if at >= len(document.ids) or document.ids[at] != token:
            raise ValueError(f"token {at} of document {number} is not {token}: not the planted corpus in packed order")
        self._done[number] = at + 1
        if at + 1 == len(document.ids):
            del self._open[number], self._done[number]
        return document.labels[at]

    def _encoded(self, number: int) -> _Open:
        text = self._corpus.text(number)
        ids, offsets = self._encoding.located(text)
        concepts = token_concepts(offsets, self._corpus.spans(number))
        words = token_words(offsets, self._corpus.words(number))
        ids, labels = self._encoding.frame(ids), list(map(TokenLabel, concepts, words))
        if self._encoding.bos_id is not None:
            ids = ids[1:]
        return _Open(ids, labels + [TokenLabel((), "")] * (len(ids) - len(labels)))
