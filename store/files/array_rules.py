"""Rules for the arrays of an HDF5 file: dtype, shape, and the range of values.

A seal is not a signature, so a reader believes no file. Shapes are compared with each other when a file is opened,
which reads no data; values are checked as they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Order = Literal["", "starts", "offsets"]
"""Starts begin at 0 and never fall; offsets also end at the greatest value that is possible."""
Lengths = dict[str, int]
"""Lengths of axes by name."""
_Values = TypeVar("_Values", bound=NDArray[Any])


class ArrayShape(NamedTuple):
    """Shape and dtype that a file states for one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ArrayRule:
    """The form of one array. A length is a number or a name, such as "F" or "F+1", the same throughout a file."""

    dtypes: str
    """Accepted dtypes, as numpy spells them: "u2 u4"."""
    shape: str
    """Length of each axis."""
    low: int | None = None
    """Least value, if there is one; numbers must be finite in any case. Activations (float16) must be above 0."""
    end: str = ""
    """End (exclusive) of the values: a length. Without one, none is too large."""
    order: Order = ""
    optional: bool = False


Rules = Mapping[str, ArrayRule]
"""Rules by the name of the array."""


def check_shapes(found: Mapping[str, ArrayShape], rules: Rules, known: Mapping[str, int] | None = None) -> Lengths:
    """Compare shapes and dtypes with the rules, and return the lengths by name; `known` are those given.

    Raises:
        ValueError: an array is missing, or of another dtype or shape; the message names it.
    """
    lengths = {**(known or {}), "": 0}
    for name, rule in rules.items():
        if name not in found:
            if rule.optional:
                continue
            raise ValueError(f"{name} is missing")
        shape, dtype = found[name]
        axes = rule.shape.split()
        if len(axes) != len(shape) or not any(dtype == np.dtype(one) for one in rule.dtypes.split()):
            raise ValueError(f"{name} is {dtype} {list(shape)}, not {rule.dtypes} [{', '.join(axes)}]")
        for axis, length in zip(axes, shape, strict=True):
            word, plus = _parts(axis)
            if lengths.setdefault(word, length - plus) != length - plus or length < plus:
                raise ValueError(f"{name} has {length} values along {axis}, not {lengths[word] + plus}")
    return lengths


@dataclass(frozen=True)
class ValueRange:
    """The possible values of one array."""

    name: str
    low: int | None = None
    end: int | None = None
    """End (exclusive)."""
    order: Order = ""

    @classmethod
    def of(cls, name: str, rule: ArrayRule, lengths: Mapping[str, int]) -> ValueRange:
        """Return the range that a rule gives; a length that is not known limits nothing."""
        word, plus = _parts(rule.end)
        end = lengths[word] + plus if rule.end and word in lengths else None
        return cls(name, rule.low, end, rule.order)

    def checked(self, values: _Values, *, whole: bool = False) -> _Values:
        """Return values that were read, if all are possible; `whole` says that they are the whole array.

        Raises:
            ValueError: one is not, NaN included.
        """
        if problem := self.problem(values, whole=whole):
            raise ValueError(problem)
        return values

    def problem(self, values: NDArray[Any], *, whole: bool = False) -> str:
        """Return why some values are impossible, or ""."""
        if self.order and self._disordered(values, whole):
            return f"{self.name} does not rise from 0" + ("" if self._last is None else f" to {self._last}")
        if not values.size or values.dtype.kind not in "iuf":
            return ""
        if values.dtype == np.float16:
            bits = values.view(np.uint16)
            return "" if bits.min() > 0 and bits.max() < 0x7C00 else f"{self.name} holds no positive, finite number"
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{self.name} holds NaN or infinite values"
        if self.low is not None and (least := values.min()) < self.low:
            return f"{self.name} holds {least}, below {self.low}"
        if self.end is not None and (most := values.max()) >= self.end:
            return f"{self.name} holds {most}, where the highest can be {self.end - 1}"
        return ""

    @property
    def _last(self) -> int | None:
        return self.end - 1 if self.order == "offsets" and self.end is not None else None

    def _disordered(self, values: NDArray[Any], whole: bool) -> bool:
        ends = whole and (not len(values) or values[0] != 0 or self._last not in (None, values[-1]))
        return bool(ends or (values[1:] < values[:-1]).any())


ANY = ValueRange("the array")
"""Any whole number, and any number that is finite."""
SAE_RULES: Rules = {
    "W_enc": ArrayRule("f4", "D F", optional=True),
    "b_enc": ArrayRule("f4", "F", optional=True),
    "W_dec": ArrayRule("f4", "F O", optional=True),
    "b_dec": ArrayRule("f4", "O", optional=True),
}
"""The weights that every autoencoder has, in sae.h5 and in the index: D and O are its widths, F its features."""


def _parts(length: str) -> tuple[str, int]:
    """Split "F+1" into its name and its number; a number has no name."""
    word, _, plus = length.partition("+")
    return ("", int(word)) if word.isdigit() else (word, int(plus or 0))
