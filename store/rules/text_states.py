"""States of the text at each token: inside a quotation, brackets, a string, a comment or a list; starts of sentences.

Each is decided by the stretch of text that the model saw in one piece. A token is inside where one of its bytes is.
Quotations end with their line. Strings and comments are those of documents that look like code: at least a fifth of
their lines have the form of statements. Shapes: N tokens, R runs of documents.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask, TextBlock, opening_token, stretch_starts, text_blocks
from store.index.reader import FeatureStore

CODE_LINES = 0.2
"""Share of a document's lines that look like statements, from which on it is code."""
LEAST_WORDS = 8
"""Words of a document below which its language is not judged."""
_QUOTED = re.compile(r'"([^"\n]*)"?|“([^”\n]*)|«([^»\n]*)')
_BRACKETS = re.compile(r"[()\[\]{}]|\n[ \t]*\n")
_SENTENCE = re.compile(r"(?:\A\s*|[.!?][\"”’')\]]*\s+|\n\s*)([^\s.!?])")
_LINE = re.compile(r"^[ \t]*(\S)", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*((?:[-*•]|\d{1,3}[.)])[ \t]+[^\n]*)", re.MULTILINE)
_CODE = re.compile(
    r"(?P<string>\"\"\"(?:.|\n)*?(?:\"\"\"|\Z)|'''(?:.|\n)*?(?:'''|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?)"
    r"|(?P<comment>\#[^\n]*|//[^\n]*|/\*(?:.|\n)*?(?:\*/|\Z))"
)
_STATEMENT = re.compile(
    r"^[ \t]*(?:(?:def|class|import|from|return|if|elif|else|for|while|try|except|with|raise|assert|public|private|"
    r"static|var|let|const|function|func|fn|struct|include)\b.*[:;({)]|#include|import \w|from \w+ import|return\b|"
    r"@\w+|[})\]]|[\w.]+ ?[-+*/|&]?= ?\S|[\w.]+\(.*\)[;:]?$|.*[;{]$)",
    re.MULTILINE,
)
_FULL_LINE = re.compile(r"^[^\n]*\S", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]+")
_FREQUENT = {
    "en": "the of and to in a is that it was for with he she they you",
    "de": "der die und das ist nicht ein eine den von mit zu auf für dem sich",
    "fr": "le la les des est et un une que dans pour qui il pas sur du",
    "es": "el los las que es una por con para del se un no su y al",
    "it": "il che di una per non sono della del con è gli le si ha al",
    "nl": "de het een van en is dat niet op te zijn voor met aan er hij",
    "pt": "o os que não uma para com em do da é um se por mais ao",
    "ru": "и в не на что он с как это по но из у за",
    "uk": "і в не на що він з як це та але до у за",
}
"""Words that are frequent in a language; a word of several languages counts for each."""
_SCRIPTS = (("el", "Ͱ-Ͽ"), ("he", "֐-׿"), ("ar", "؀-ۿ"), ("ja", "\u3040-ヿ"), ("ko", "가-힯"), ("zh", "一-鿿"))
_OF_SCRIPT = tuple((language, re.compile(f"[{letters}]")) for language, letters in _SCRIPTS)
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in _FREQUENT.items():
    for _one in _words.split():
        _LANGUAGES_OF.setdefault(_one, []).append(_language)

Spans = Iterator[tuple[int, int]]


class TextStates:
    """The states of a store's text, each computed when it is asked for first."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._known: dict[str, Mask] = {}
        self._languages: list[str] | None = None

    def mask(self, name: str) -> Mask:
        """Return which tokens are in a state: `quote`, `bracket`, `string`, `comment`, `item`, `sentence_start`,
        `line_start` or `code`.
        """
        if name not in self._known:
            self._known[name] = self._code() if name == "code" else self._held(SPANS[name], only_code=name in IN_CODE)
        return self._known[name]

    def language(self, name: str) -> Mask:
        """Return which tokens are in documents of a language."""
        if self._languages is None:
            self._languages = self._judged()
        return self._of_runs(np.array([language == name for language in self._languages], bool))

    def _blocks(self) -> Iterator[TextBlock]:
        store = self._store
        return text_blocks(store, stretch_starts(store), opening_token(store, store.layout.counted_tokens()))

    def _held(self, spans: Callable[[str], Spans], *, only_code: bool) -> Mask:
        is_code_N = self.mask("code") if only_code else None
        masks = []
        for block in self._blocks():
            first, last = [], []
            for start, stop in zip(block.first_S, block.last_S, strict=True):
                for a, b in spans(block.text[start:stop]):
                    if a < b:
                        first.append(start + a)
                        last.append(start + b)
            held = block.holding(first, last)
            if is_code_N is not None:
                held &= is_code_N[block.start : block.start + len(held)]
            masks.append(held)
        return np.concatenate(masks) if masks else np.zeros(0, bool)

    def _documents(self) -> Iterator[tuple[int, str]]:
        """Yield every stretch's text with the number of its run of documents."""
        starts, begins, number = self._store.layout.documents.start, stretch_starts(self._store), 0
        run_S = np.searchsorted(starts, begins, side="right") - 1
        for block in self._blocks():
            for start, stop in zip(block.first_S, block.last_S, strict=True):
                yield int(run_S[number]), block.text[start:stop]
                number += 1

    def _of_runs(self, holds_R: Mask) -> Mask:
        starts = self._store.layout.documents.start
        return np.repeat(holds_R, np.diff(starts, append=self._store.n_tokens))

    def _code(self) -> Mask:
        lines_R, statements_R = np.zeros((2, len(self._store.layout.documents.start)), np.int64)
        for run, text in self._documents():
            lines_R[run] += sum(1 for _ in _FULL_LINE.finditer(text))
            statements_R[run] += sum(1 for _ in _STATEMENT.finditer(text))
        return self._of_runs((statements_R >= CODE_LINES * lines_R) & (statements_R >= 2))

    def _judged(self) -> list[str]:
        found: list[Counter[str]] = [Counter() for _ in self._store.layout.documents.start]
        for run, text in self._documents():
            words = _WORD.findall(text.lower())
            found[run]["words"] += len(words)
            for word in words:
                for language in _LANGUAGES_OF.get(word, ()):
                    found[run][language] += 1
            for language, letters in _OF_SCRIPT:
                found[run][language] += len(letters.findall(text))
        return [_language_of(counts) for counts in found]


def _language_of(counts: Counter[str]) -> str:
    """Return the language with the most evidence; kana decide for Japanese, whose texts have Chinese letters too."""
    words = counts.pop("words", 0)
    if counts["ja"] > counts["zh"] / 8:
        counts["ja"] += counts.pop("zh", 0)
    (language, most), *others = counts.most_common(2) or [("", 0)]
    second = others[0][1] if others else 0
    clear = most > second and (most >= words / 8 or most >= 2 * LEAST_WORDS)
    return language if clear and max(words, most) >= LEAST_WORDS else ""


def _groups(pattern: re.Pattern[str]) -> Callable[[str], Spans]:
    """Return the spans of the group that took part in each match."""

    def spans(text: str) -> Spans:
        return (found.span(found.lastindex or 0) for found in pattern.finditer(text))

    return spans


def _bracketed(text: str) -> Spans:
    """Yield the insides of outermost brackets; a blank line ends those that are still open."""
    depth, begin = 0, 0
    for found in _BRACKETS.finditer(text):
        sign = found[0]
        if sign in "([{":
            begin = found.end() if depth == 0 else begin
            depth += 1
        elif depth and (len(sign) > 1 or depth == 1):
            yield begin, found.start()
            depth = 0
        elif depth:
            depth -= 1
    if depth:
        yield begin, len(text)


def _named(name: str) -> Callable[[str], Spans]:
    def spans(text: str) -> Spans:
        return (found.span(name) for found in _CODE.finditer(text) if found.lastgroup == name)

    return spans


SPANS: dict[str, Callable[[str], Spans]] = {
    "quote": _groups(_QUOTED),
    "bracket": _bracketed,
    "item": _groups(_ITEM),
    "sentence_start": _groups(_SENTENCE),
    "line_start": _groups(_LINE),
    "string": _named("string"),
    "comment": _named("comment"),
}
IN_CODE = frozenset({"string", "comment"})


def numbered(starts_N: Mask, breaks: Iterable[int]) -> NDArray[np.int64]:
    """Return the number of the piece of each token, where pieces begin at marked tokens and at some places."""
    begins_N = starts_N.copy()
    begins_N[np.fromiter(breaks, np.int64)] = True
    return np.cumsum(begins_N)
