"""The bytes every token stands for, read out of a tokenizer's own description of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.files.errors import MonosemError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
_DROPS_SPACE = {"Whitespace", "WhitespaceSplit", "BertPreTokenizer", "CharDelimiterSplit"}


def token_bytes(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    """The raw bytes of token 0, 1, 2, …: joined, those of an encoded text are that text again in UTF-8.

    Byte-level tokens give exactly their bytes, which may be part of a character. Three kinds of tokenizer change the
    white space of a text before they cut it, and the joined bytes show the text so changed:

    - those that mark a space as "▁" and put one in front of the text (LLaMA 2): "▁the" is b" the", and a text begins
      with a space it did not have; a "▁" in the text itself becomes a space;
    - WordPiece (BERT): "the" is b" the" and "##re" is b"re", so that every word, and every mark of punctuation, has
      one space before it;
    - words told apart at white space: "the" is b" the", likewise. Where a token marks the end of its word ("the</w>",
      as in GPT and CLIP), the space is behind it: b"the ".

    Added tokens (<s>, <|endoftext|>) are their literal text. Ids that no token has, below the highest, read b"<id>".
    Errors: MonosemError for a tokenizer that is not made with the `tokenizers` library.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise MonosemError(
            f"{type(tokenizer).__name__} does not say which bytes its tokens stand for",
            "Use a model whose folder holds a tokenizer.json.",
        )
    described = json.loads(backend.to_str())
    spelling = _spelling(described)
    literal = {added["id"] for added in described["added_tokens"] if added["special"] or not spelling.marked_spaces}
    vocabulary = backend.get_vocab(with_added_tokens=True)
    size = max([len(tokenizer), *(token + 1 for token in vocabulary.values())])
    out = numbered_vocabulary(size)
    for text, token in vocabulary.items():
        out[token] = text.encode() if token in literal else spelling.bytes_of(text)
    return out


def numbered_vocabulary(size: int) -> list[bytes]:
    """For a model without tokenizer: b"<0>", b"<1>", …"""
    return [b"<%d>" % token for token in range(size)]


@dataclass(frozen=True)
class _Spelling:
    """How a tokenizer writes text as tokens of its vocabulary."""

    byte_level: bool
    """Each character of a token stands for a byte."""
    byte_tokens: bool
    """<0x0A> stands for a byte."""
    marked_spaces: tuple[str, ...]
    """Characters that stand for a space."""
    continued: str
    """In front of a token that continues a word; "" where tokens do not tell."""
    ended: str
    """Behind a token that ends a word; "" where tokens do not tell."""
    spaced: bool
    """White space is dropped from the text, and stands before every token that continues no word."""

    def bytes_of(self, token: str) -> bytes:
        """The bytes of one token of the model's own vocabulary."""
        if self.byte_tokens and (found := _BYTE_TOKEN.fullmatch(token)):
            return bytes([int(found[1], 16)])
        after = b""
        if self.ended and token.endswith(self.ended):
            token, after = token.removesuffix(self.ended), b" "
        if self.byte_level:
            return _unspelt(token) + after
        for mark in self.marked_spaces:
            token = token.replace(mark, " ")
        if self.continued and token.startswith(self.continued):
            return token.removeprefix(self.continued).encode() + after
        return b" " * self.spaced + token.encode() + after


def _spelling(described: dict[str, Any]) -> _Spelling:
    model = described["model"]
    decoders = list(_parts(described["decoder"]))
    cutters = list(_parts(described["pre_tokenizer"]))
    changes = list(_parts(described["normalizer"]))
    kinds = {part["type"] for part in decoders + cutters + changes}
    marks = [part["replacement"] for part in decoders + cutters if part["type"] == "Metaspace"]
    marks += [part["pattern"].get("String") for part in decoders if _replaces(part) and part["content"] == " "]
    marks += [part["content"] for part in changes if _replaces(part) and part["pattern"].get("String") == " "]
    wordpiece = [part["prefix"] for part in decoders if part["type"] == "WordPiece"]
    continued = (wordpiece or [model.get("continuing_subword_prefix") or ""])[0]
    words = [part["suffix"] for part in decoders if part["type"] == "BPEDecoder"]
    ended = (words or [model.get("end_of_word_suffix") or ""])[0]
    drops = any(p["type"] in _DROPS_SPACE or p.get("behavior") == "Removed" for p in cutters)
    return _Spelling(
        byte_level="ByteLevel" in kinds,
        byte_tokens=bool(model.get("byte_fallback")) or "ByteFallback" in kinds,
        marked_spaces=tuple(dict.fromkeys(mark for mark in marks if mark)),
        continued=continued,
        ended=ended,
        spaced=not marks and not ended and (bool(continued) or drops),
    )


def _parts(node: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a decoder, pre-tokenizer or normaliser, sequences of them opened."""
    if node is None:
        return
    if node["type"] != "Sequence":
        yield node
        return
    for name in ("decoders", "pretokenizers", "normalizers"):
        for part in node.get(name, ()):
            yield from _parts(part)


def _replaces(part: dict[str, Any]) -> bool:
    return bool(part["type"] == "Replace")


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies, as GPT-2's encoder.py chose them.

    Printable bytes of Latin-1 stand for themselves; the others are given characters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def _unspelt(token: str) -> bytes:
    """A byte-level token's bytes; one with other characters than the alphabet's stands for itself, as when decoded."""
    try:
        return bytes([_BYTES[character] for character in token])
    except KeyError:
        return token.encode()
