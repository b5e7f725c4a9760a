"""Activation shards: `activations/shard-00000.h5` and so on, memory-mapped for reading.

Shapes: N rows, D = d_in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule, Rules, ValueRange, check_shapes
from store.files.contiguous import ArraySpan
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, put
from store.files.typed_json import decode, parse
from store.settings.subject import FULL, Weights

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
"""Stored dtype by name. numpy has no bfloat16: its bits are stored as uint16, and the attribute `dtype` names it."""
RULES: Rules = {
    "acts": ArrayRule("f4 f2 u2", "N D"),
    "token": ArrayRule("i4", "N", low=0),
    "context": ArrayRule("i8", "N", low=0),
    "position": ArrayRule("i4", "N", low=0, end="context"),
}


@dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """Origin of a folder of shards; the same in each of them."""

    model: str
    model_digest: str
    layer: int | None
    site: str
    d_in: int
    dtype: str
    """float32, float16 or bfloat16."""
    data: str
    corpus_digest: str
    context: int
    """Tokens per context."""
    packing: str
    seed: int
    excluded: str
    held_out: str = "documents"
    """The rule by which text was held out; shards of monosem 0.1 do not say."""
    weights: Weights = FULL
    """The precision of the model's matrices."""
    contexts_per_shard: int
    n_contexts: int
    """Contexts in all shards together, once the extraction is complete."""


class ShardRows(NamedTuple):
    """Activations with the place of each, in corpus order."""

    acts_ND: NDArray[Any]
    token_N: NDArray[np.int32]
    """Vocabulary id of the token."""
    context_N: NDArray[np.int64]
    """Number of the context in the stream of contexts."""
    position_N: NDArray[np.int32]
    """Position in the context, from 0."""


def shard_path(folder: Path, number: int) -> Path:
    """Return `folder/shard-00012.h5`."""
    return folder / f"shard-{number:05d}.h5"


def write_shard(folder: Path, number: int, info: ShardInfo, rows: ShardRows) -> Path:
    """Write one shard, all or nothing, and return its path."""
    path = shard_path(folder, number)
    with create_sealed(path, "activations") as file:
        file.attrs["info"] = json.dumps(asdict(info))
        file.attrs["dtype"] = info.dtype
        put(file, "acts", np.ascontiguousarray(rows.acts_ND, DTYPES[info.dtype]))
        put(file, "token", rows.token_N.astype(np.int32))
        put(file, "context", rows.context_N.astype(np.int64))
        put(file, "position", rows.position_N.astype(np.int32))
    return path


def complete_shards(folder: Path) -> int:
    """Return the number of shards from shard 0 on without a gap."""
    return next(number for number in count() if not shard_path(folder, number).is_file())


def present_shards(folder: Path) -> list[int]:
    """Return the numbers of all shards, with or without a gap in front of them."""
    numbers = (path.stem.rpartition("-")[2] for path in folder.glob("shard-*.h5"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def shard_info(folder: Path, number: int) -> ShardInfo:
    """Read the origin that a shard states.

    Raises:
        MonosemError: it is damaged.
    """
    with _opened(shard_path(folder, number)) as file:
        return _info(file)


class ShardReader:
    """Memory-mapped reading of a folder of shards, addressed by context."""

    def __init__(self, folder: Path) -> None:
        self._paths = [shard_path(folder, number) for number in range(complete_shards(folder))]
        if not self._paths:
            raise MonosemError(f"no activation shards in {folder}", "Make them with monosem extract.")
        with _opened(self._paths[0]) as file:
            self.info = _info(file)
        self._open: dict[int, ShardRows] = {}

    @property
    def n_contexts(self) -> int:
        """Contexts that can be read so far."""
        return min(self.info.n_contexts, len(self._paths) * self.info.contexts_per_shard)

    def contexts(self, start: int, stop: int) -> ShardRows:
        """Return the rows of contexts start … stop-1, as far as they were extracted, copied out of the map.

        Raises:
            MonosemError: a shard is damaged, or from another extraction than the first.
        """
        per = self.info.contexts_per_shard
        numbers = range(start // per, min(-(-stop // per), len(self._paths)))
        return joined_rows([self._cut(number, start, stop) for number in numbers] or [self._cut(0, 0, 0)])

    def _cut(self, number: int, start: int, stop: int) -> ShardRows:
        rows = self._shard(number)
        first, last = np.searchsorted(rows.context_N, (start, stop))
        return ShardRows(*(np.array(column[first:last]) for column in rows))

    def _shard(self, number: int) -> ShardRows:
        if number not in self._open:
            path = self._paths[number]
            with _opened(path) as file:
                if _info(file) != self.info:
                    raise MonosemError(f"{path} is from another extraction than {self._paths[0]}", "Extract again.")
                arrays = [ArraySpan.of(path, file[name]).mapped() for name in ("acts", "token", "context", "position")]
            self._open[number] = ShardRows(*arrays)
        return self._open[number]


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    file, found = open_described(path, "activations")
    with file, reading(path):
        check_shapes(found, RULES, {"D": _info(file).d_in})
        yield file


def check_shard(path: Path, block: int) -> None:
    """Check what a shard's arrays can be: dtypes, shapes, ids and places; `block` rows are read at once.

    Activations themselves may be any numbers.

    Raises:
        MonosemError: it is damaged or senseless.
    """
    with _opened(path) as file:
        info, acts = _info(file), file["acts"]
        if acts.dtype != DTYPES.get(info.dtype):
            raise ValueError(f"acts is {acts.dtype}, which is not how {info.dtype} is stored")
        first = int(path.stem.rpartition("-")[2]) * info.contexts_per_shard
        last = min(first + info.contexts_per_shard, info.n_contexts)
        ranges = [ValueRange.of(name, RULES[name], {"context": info.context}) for name in ("token", "position")]
        ranges.append(ValueRange("context", low=first, end=last))
        before = 0
        for start in range(0, len(acts), block):
            for possible in ranges:
                values = possible.checked(file[possible.name][start : start + block])
            if values[0] < before or (values[1:] < values[:-1]).any():
                raise ValueError("context falls")
            before = values[-1]


def _info(file: h5py.File) -> ShardInfo:
    return decode(ShardInfo, parse(file.attrs["info"]))


def joined_rows(pieces: Sequence[ShardRows]) -> ShardRows:
    """Return the rows of all pieces, one after another."""
    if len(pieces) == 1:
        return pieces[0]
    return ShardRows(*map(np.concatenate, zip(*pieces, strict=True)))
