"""One file of the index, opened: the rules for its datasets, and checked reads of them.

Axes: N tokens, Q outliers, C contexts, R runs of documents, E entries, F features, V vocabulary tokens, B bytes, T
listed tokens, K neighbours, M neurons, H bins, D and O widths of encoder and decoder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import SAE_RULES, ArrayRule, Lengths, Rules, ValueRange, check_shapes
from store.files.contiguous import ArraySpan, OpenArray
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import open_described
from store.index.exponents import EXPONENT_RULE, Exponents, units
from store.settings.roles import ROLES

_TOKENS = str(1 << 24)
"""End (exclusive) of token ids, as `store.index.columns` packs them; embeddings may be padded beyond the vocabulary."""
_OF_TEXT: Rules = {
    "corpus/text/skipped": ArrayRule("i4", "N"),
    "corpus/text/length": ArrayRule("i4", "N", low=0),
    "corpus/text/start": ArrayRule("i8", "C", low=0),
    "corpus/text/bytes": ArrayRule("i8", "R", low=0),
    "corpus/text/digest": ArrayRule("u1", "R 16"),
}
"""Rules for the columns of `store.index.text_spans`."""
_BY_TOKEN: Rules = {
    "corpus/tokens": ArrayRule("i4", "N", low=0, end=_TOKENS),
    "corpus/counted": ArrayRule("?", "N"),
    "corpus/role": ArrayRule("u1", "N", end=str(1 + len(ROLES)), optional=True),
    "corpus/outliers": ArrayRule("i8", "Q", low=0, end="N", optional=True),
    "corpus/contexts/start": ArrayRule("i8", "C", end="N", order="starts"),
    "corpus/contexts/length": ArrayRule("i4", "C", low=1, end="N+1"),
    "corpus/contexts/document": ArrayRule("i8", "C"),
    "corpus/documents/start": ArrayRule("i8", "R", end="N", order="starts"),
    "corpus/documents/id": ArrayRule("i8", "R"),
    **{name: replace(rule, optional=True) for name, rule in _OF_TEXT.items()},
    "forward/indptr": ArrayRule("i8", "N+1", low=0, end="E+1", order="offsets"),
    "forward/feature": ArrayRule("u2 u4", "E"),
    "forward/feature_high": ArrayRule("u1", "E", optional=True),
    "forward/act": ArrayRule("f2", "E"),
    "inverted/indptr": ArrayRule("i8", "F+1", low=0, end="E+1", order="offsets"),
    "inverted/token": ArrayRule("u4", "E", end="N"),
    "inverted/act": ArrayRule("f2", "E"),
    "feature/count": ArrayRule("i8", "F", low=0, end="N+1"),
    "feature/max": ArrayRule("f4", "F", low=0),
    "feature/sum": ArrayRule("f8", "F", low=0),
    "feature/top_token": ArrayRule("i4", "F", low=-1, end=_TOKENS),
    "feature/top_sum": ArrayRule("f8", "F", low=0),
    "feature/quantiles": ArrayRule("f4", "F 5", low=0, optional=True),
    "feature/exponent": EXPONENT_RULE,
}
_OF_WEIGHTS: Rules = {
    "vocab/offsets": ArrayRule("i8", "V+1", low=0, end="B+1", order="offsets"),
    "vocab/strings": ArrayRule("u1", "B"),
    "feature/decoder_norm": ArrayRule("f4", "F", low=0),
    "feature/logit_top_id": ArrayRule("i4", "F T", low=0),
    "feature/logit_top_value": ArrayRule("f4", "F T"),
    "feature/logit_bottom_id": ArrayRule("i4", "F T", low=0),
    "feature/logit_bottom_value": ArrayRule("f4", "F T"),
    "feature/logit_histogram": ArrayRule("u2 u4", "F H", optional=True),
    "feature/neighbour_id": ArrayRule("i4", "F K", low=0, end="F"),
    "feature/neighbour_cosine": ArrayRule("f4", "F K"),
    "feature/neuron_id": ArrayRule("i4", "F M", low=0, optional=True),
    "feature/neuron_cosine": ArrayRule("f4", "F M", optional=True),
    "feature/exponent": EXPONENT_RULE,
    **{f"sae/{name}": rule for name, rule in SAE_RULES.items()},
}
RULES: Mapping[str, Rules] = {
    "segment": _BY_TOKEN,
    "common": _OF_WEIGHTS,
    "features": {**_BY_TOKEN, **_OF_WEIGHTS},
    "offsets": _OF_TEXT,
}


class IndexFile:
    """An open features.h5, segment or common.h5. Its reads raise ValueError for values that are impossible."""

    def __init__(self, file: h5py.File, rules: Rules, names: Collection[str], lengths: Lengths) -> None:
        self.file, self.names, self.lengths = file, names, lengths
        self._rules = rules

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.file.close()

    @classmethod
    def open(cls, path: Path, kind: str, known: Mapping[str, int] | None = None) -> Self:
        """Open a file of the kind `features`, `segment` or `common`, and compare the shapes of its datasets.

        Raises:
            MonosemError: it is damaged, refers to other files, or its datasets fit neither each other nor `known`
                lengths.
        """
        file, found = open_described(path, kind)
        rules = RULES[kind]
        with reading(path):
            return cls(file, rules, found.keys() & rules.keys(), check_shapes(found, rules, known))

    def number(self, name: str, most: int = 2**62) -> int:
        """Return a count in the file's attributes.

        Raises:
            ValueError: there is none from 0 to `most`.
        """
        value = self.file.attrs.get(name)
        if not isinstance(value, int | np.integer) or not 0 <= value <= most:
            raise ValueError(f"the attribute {name} is not a number from 0 to {most}")
        return int(value)

    def values(self, name: str) -> ValueRange:
        """Return the possible values of a dataset."""
        return ValueRange.of(name, self._rules[name], self.lengths)

    def array(self, name: str) -> OpenArray:
        """Open a dataset for reading slices."""
        return OpenArray(self.file, name, self.values(name))

    def span(self, name: str) -> ArraySpan:
        """Return the location of a dataset, for reading after the file is closed."""
        return ArraySpan.of(Path(self.file.filename), self.file[name], self.values(name))

    def whole(self, name: str) -> NDArray[Any]:
        """Read a dataset."""
        return self.values(name).checked(np.asarray(self.file[name][()]), whole=True)

    @cached_property
    def exponent_F(self) -> Exponents | None:
        """Exponents of the activations; None where all are 0 (see `store.index.exponents`)."""
        return self.whole("feature/exponent") if "feature/exponent" in self.names else None

    @cached_property
    def unit_F(self) -> NDArray[np.float32] | None:
        """Powers of two by which stored activations are multiplied; None where all are 1."""
        return None if self.exponent_F is None else units(self.exponent_F)

    def check_values(self, block: int) -> None:
        """Check all values of every dataset, `block` rows at a time.

        Raises:
            ValueError: one is impossible; the message names its dataset.
        """
        for name in sorted(self.names):
            possible, dataset = self.values(name), self.file[name]
            step = max(1, len(dataset) if possible.order else block)
            for start in range(0, max(1, len(dataset)), step):
                possible.checked(dataset[start : start + step], whole=step >= len(dataset))


def open_segment(path: Path, common: IndexFile) -> IndexFile:
    """Open a segment of the index that a common.h5 belongs to, as `IndexFile.open` does."""
    file = IndexFile.open(path, "segment", {axis: common.lengths[axis] for axis in "FV"})
    with reading(path):
        if not _same(file.exponent_F, common.exponent_F):
            raise ValueError("feature/exponent differs from the index's")
    return file


def _same(one_F: Exponents | None, other_F: Exponents | None) -> bool:
    return one_F is other_F or (one_F is not None and other_F is not None and bool((one_F == other_F).all()))


def check_consecutive(spans: Sequence[tuple[int, int]]) -> None:
    """Check that parts of a corpus, each as its first token and number of tokens, follow each other from token 0.

    Raises:
        ValueError: one does not begin where the one before ends.
    """
    at = 0
    for number, (first, n_tokens) in enumerate(spans):
        if first != at:
            raise ValueError(f"part {number} begins at token {first}, not {at}")
        at += n_tokens
