"""Text, conversations and token ids to tokens: a tokenizer, and what begins or ends documents.

Shapes: N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from engine.corpus.conversations import Turn
from engine.corpus.documents import Document
from engine.data.chat_template import chat_text
from engine.data.token_offsets import SPACE_MARKS, Offsets, offsets_in_turns, spans_of
from store.files.errors import MonosemError
from store.index.text_spans import TokenSpans
from store.settings.roles import role_code


class EncodedChat(NamedTuple):
    """A conversation in its template."""

    text: str
    ids: list[int]
    role_N: NDArray[np.uint8]
    """The role of each token's turn (store.settings.roles); 0 for the template's own tokens."""
    offsets: Offsets
    """The range of characters of `text` that each token has."""
    turns: tuple[tuple[int, int, int], ...]
    """See `ChatText.spans`."""


class EncodedDocument(NamedTuple):
    """Token ids of a document, with what begins or ends it."""

    number: int
    ids: list[int]
    role_N: NDArray[np.uint8] | None = None
    """The role of each token's turn, in a conversation."""
    spans: TokenSpans | None = None
    """The bytes of its text that each token covers; None unless asked for."""


@dataclass(frozen=True)
class Encoding:
    """A tokenizer, and the ids that begin or end documents."""

    tokenizer: PreTrainedTokenizerBase
    bos_id: int | None
    separator_id: int | None
    name: str = "the model"
    """The name of its model, for errors."""

    @property
    def excluded(self) -> str:
        """The position that does not count: "bos" or "first"."""
        return "bos" if self.bos_id is not None else "first"

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token ids, untruncated, with no special tokens added or recognised."""
        backend = self._backend()
        if backend is None:
            plain = {"add_special_tokens": False, "split_special_tokens": True}
            return [self.tokenizer.encode(text, **plain) for text in texts]
        return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def located(self, text: str, *, markers: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
        """Return a text's token ids and the half-open character range of each; `markers` recognises special tokens.

        Errors: MonosemError for a tokenizer not made with the `tokenizers` library.
        """
        backend = self._backend(markers=markers)
        if backend is None:
            raise MonosemError(
                f"{type(self.tokenizer).__name__} does not give the positions of its tokens in a text",
                "Use a model whose folder holds a tokenizer.json.",
            )
        found = backend.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    def conversation(self, turns: Sequence[Turn], *, answer: bool = False) -> EncodedChat:
        """Encode a conversation in the chat template; a token belongs to a turn if one of its characters does.

        Raises:
            MonosemError: there is no chat template, or it does not take these turns.
        """
        chat = chat_text(self.tokenizer, self.name, turns, answer=answer)
        ids, offsets = self.located(chat.text, markers=True)
        first_N, end_N = np.array(offsets, np.int64).reshape(-1, 2).T
        role_N = np.zeros(len(ids), np.uint8)
        for number, start, end in chat.spans:
            role_N[(first_N < end) & (end_N > start)] = role_code(turns[number].role)
        return EncodedChat(chat.text, ids, role_N, offsets, chat.spans)

    def documents(self, documents: Sequence[Document], *, located: bool = False) -> list[EncodedDocument]:
        """Return the token ids of documents with what begins or ends each, and the roles of conversations' tokens.

        With `located`, also what they cover of the text: of the messages in conversations, nothing for given ids.

        Raises:
            MonosemError: a conversation does not fit the chat template, or an id is beyond the vocabulary.
        """
        texts = [one.text for one in documents if one.ids is None and not one.turns]
        if located and self.locates:
            return self._located_documents(documents, iter(self._located_texts(texts)))
        found = iter(self.encode(texts))
        encoded = []
        for one in documents:
            if one.turns:
                chat = self.conversation(one.turns)
                encoded.append(EncodedDocument(one.number, chat.ids, chat.role_N))
            elif one.ids is None:
                encoded.append(EncodedDocument(one.number, self.frame(next(found))))
            else:
                encoded.append(EncodedDocument(one.number, self._known(one)))
        return encoded

    @property
    def locates(self) -> bool:
        """Whether the tokenizer tells the places of its tokens in a text."""
        return getattr(self.tokenizer, "backend_tokenizer", None) is not None

    def _located_texts(self, texts: Sequence[str]) -> list[tuple[list[int], Offsets]]:
        """Return ids and offsets of texts, with leading spaces: a post-processor would take them off."""
        backend = self._backend()
        trims, backend.post_processor = backend.post_processor, None
        try:
            found = backend.encode_batch(list(texts), add_special_tokens=False)
        finally:
            backend.post_processor = trims
        return [(one.ids, one.offsets) for one in found]

    def _located_documents(
        self, documents: Sequence[Document], texts: Iterator[tuple[list[int], Offsets]]
    ) -> list[EncodedDocument]:
        marks = {self._backend().token_to_id(mark) for mark in SPACE_MARKS}
        encoded = []
        for one in documents:
            if one.turns:
                chat = self.conversation(one.turns)
                contents = [turn.content for turn in one.turns]
                offsets = offsets_in_turns(chat.offsets, chat.turns, chat.text, contents)
                spans = spans_of(one.number, one.text, offsets)
                encoded.append(EncodedDocument(one.number, chat.ids, chat.role_N, spans))
            elif one.ids is None:
                ids, offsets = next(texts)
                if ids and ids[0] in marks and not one.text.startswith((" ", *SPACE_MARKS)):
                    offsets[0] = (0, 0)  # a space that the tokenizer puts before the text
                framed = self.frame(ids)
                before = int(self.bos_id is not None)
                spans = spans_of(one.number, one.text, offsets, before, len(framed) - len(ids) - before)
                encoded.append(EncodedDocument(one.number, framed, None, spans))
            else:
                ids = self._known(one)
                encoded.append(EncodedDocument(one.number, ids, None, TokenSpans.nothing(len(ids))))
        return encoded

    def _known(self, document: Document) -> list[int]:
        ids, size = list(document.ids or ()), len(self.tokenizer)
        if max(ids) >= size:
            raise MonosemError(
                f"document {document.number + 1} has the token id {max(ids)}, and {self.name} knows {size}",
                "Use ids of this model's own tokenizer.",
            )
        return ids

    def _backend(self, *, markers: bool = False) -> Any:
        """Return the fast tokenizer, set to neither add, recognise (but `markers`), truncate nor pad, or None."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:
            backend.encode_special_tokens = not markers
            backend.no_truncation()  # tokenizer.json may ask for either
            backend.no_padding()
        return backend

    def frame(self, ids: list[int]) -> list[int]:
        """Return a document's ids with BOS before them, or without a BOS token the separator after them."""
        if self.bos_id is not None:
            return [self.bos_id, *ids]
        return [*ids, self.separator_id] if self.separator_id is not None else ids

    def counted(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return True for tokens that count; the last axis of `tokens` runs over a context's positions."""
        counted = np.ones(tokens.shape, bool)
        if self.bos_id is not None:
            counted[tokens == self.bos_id] = False
        else:
            counted[..., 0] = False
        return counted
