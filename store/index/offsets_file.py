"""offsets.h5: the bytes that tokens cover of the original text, beside a features.h5 that was made without it.

It has the datasets of `corpus/text` and names the features.h5 it belongs to by its seal; beside another one it counts
for nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files.hdf5_arrays import reading
from store.files.schema import NEWEST_VERSION
from store.files.sealed_hdf5 import create_sealed, read_seal
from store.index.index_file import IndexFile
from store.index.text_spans import (
    BY_RUN,
    BY_TOKEN,
    GROUP,
    TextColumns,
    TokenSpans,
    checked_columns,
    read_spans,
    write_spans,
)

KIND = "offsets"


def offsets_path(features: Path) -> Path:
    """Return the path of the offsets.h5 beside a features.h5."""
    return features.with_name("offsets.h5")


def save_offsets(features: Path, spans: TokenSpans, document_N: NDArray[np.int64], start_C: NDArray[np.int64]) -> None:
    """Write the offsets.h5 of a features.h5, all or nothing.

    Args:
        features: the index.
        spans: of all its tokens.
        document_N: the document of each token.
        start_C: the first token of each context.
    """
    with create_sealed(offsets_path(features), KIND, NEWEST_VERSION) as file:
        file.attrs["index"] = read_seal(features).sha256
        write_spans(file.create_group("corpus"), spans, document_N, start_C)


def offsets_beside(features: Path, start_C: NDArray[np.int64], start_R: NDArray[np.int64]) -> TextColumns | None:
    """Read the offsets beside a features.h5; None where there are none, or they are of another index.

    Args:
        features: the index; segments have no offsets beside.
        start_C: the first token of each context.
        start_R: the first token of each run of documents.

    Raises:
        MonosemError: the file is damaged.
    """
    path = offsets_path(features)
    if not features.is_file() or not path.is_file():
        return None
    with IndexFile.open(path, KIND, {"C": len(start_C), "R": len(start_R)}) as file, reading(path):
        if file.file.attrs.get("index") != read_seal(features).sha256:
            return None
        skipped_N, length_N, text_start_C, bytes_R, digest_R = (
            file.whole(f"{GROUP}/{name}") for name in (*BY_TOKEN, "start", *BY_RUN)
        )
        if len(start_R) and start_R[-1] >= len(skipped_N):
            raise ValueError(f"{GROUP} has {len(skipped_N)} tokens, fewer than the index")
        columns = read_spans(skipped_N, length_N, text_start_C, start_C, start_R)
        return checked_columns(*columns, bytes_R, digest_R, start_R)
