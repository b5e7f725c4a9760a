"""The bytes that each token stands for, from the tokenizer's own description (tokenizer.json)."""

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
    """Return the raw bytes of tokens 0, 1, 2, …; those of an encoded text, joined, are the text in UTF-8.

    Byte-level tokens give exactly their bytes, which may be part of a character. Three kinds of tokenizer change a
    text's white space before cutting it, and the joined bytes are the changed text:

    - those that mark a space as "▁" and prepend one to the text (LLaMA 2): "▁the" is b" the", a text begins with an
      additional space, and a "▁" in the text itself becomes a space;
    - WordPiece (BERT): "the" is b" the" and "##re" is b"re", so that every word and punctuation mark follows a space;
    - those that split words at white space: "the" is b" the" too. If tokens mark the end of a word ("the</w>", as in
      GPT and CLIP), the space comes after it: b"the ".

    Added tokens (<s>, <|endoftext|>) are their literal text. Unused ids below the highest are b"<id>".
    Errors: MonosemError for a tokenizer not made with the `tokenizers` library.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise MonosemError(
            f"{type(tokenizer).__name__} does not define the bytes of its tokens",
            "Use a model whose folder holds a tokenizer.json.",
        )
    described = _described(backend)
    spelling = _spelling(described)
    literal = {added["id"] for added in described["added_tokens"] if added["special"] or not spelling.marked_spaces}
    vocabulary = backend.get_vocab(with_added_tokens=True)
    size = max([len(tokenizer), *(token + 1 for token in vocabulary.values())])
    out = numbered_vocabulary(size)
    for text, token in vocabulary.items():
        out[token] = text.encode() if token in literal else spelling.bytes_of(text)
    return out


def _described(backend: Any) -> dict[str, Any]:
    """Return tokenizer.json without its vocabulary and merges: those of Gemma take two seconds to write and parse."""
    model = backend.model
    if type(model).__name__ not in ("BPE", "WordPiece", "WordLevel"):
        return dict(json.loads(backend.to_str()))
    names = ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix")
    added = backend.get_added_tokens_decoder()
    parts = {name: getattr(backend, name) for name in ("decoder", "pre_tokenizer", "normalizer")}
    return {
        "model": {name: getattr(model, name, None) for name in names},
        "added_tokens": [{"id": token, "special": one.special} for token, one in added.items()],
        **{name: part and json.loads(part.__getstate__()) for name, part in parts.items()},
    }


def numbered_vocabulary(size: int) -> list[bytes]:
    """Return b"<0>", b"<1>", …, for models without a tokenizer."""
    return [b"<%d>" % token for token in range(size)]


@dataclass(frozen=True)
class _Spelling:
    """A tokenizer's spelling of text in its vocabulary."""

    byte_level: bool
    """Whether each character of a token stands for a byte."""
    byte_tokens: bool
    """Whether tokens such as <0x0A> stand for a byte."""
    marked_spaces: tuple[str, ...]
    """Characters that stand for a space."""
    continued: str
    """Prefix of tokens that continue a word; "" if there is none."""
    ended: str
    """Suffix of tokens that end a word; "" if there is none."""
    spaced: bool
    """Whether white space is dropped, and restored before every token that does not continue a word."""

    def bytes_of(self, token: str) -> bytes:
        """Return the bytes of a token that is not an added one."""
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
    """Yield the steps of a decoder, pre-tokenizer or normaliser, with sequences flattened."""
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
    """Return the byte of each character of byte-level vocabularies, as defined by GPT-2's encoder.py.

    Printable Latin-1 bytes stand for themselves; the others have the characters from U+0100, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def _unspelt(token: str) -> bytes:
    """Return a byte-level token's bytes; a token with other characters stands for itself, as in decoding."""
    try:
        return bytes([_BYTES[character] for character in token])
    except KeyError:
        return token.encode()
