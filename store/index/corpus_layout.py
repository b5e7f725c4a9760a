"""Places of contexts and documents in the indexed corpus; which tokens count, are outliers, and are whose turn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.index.index_part import IndexPart
from store.settings.roles import Role, role_code

if TYPE_CHECKING:
    from store.index.text_spans import TextColumns

Places = NDArray[np.int64]


class Contexts(NamedTuple):
    """Contexts as the model saw them, in corpus order; [C] each."""

    start: Places
    """Corpus place of the first token."""
    length: NDArray[np.int32]
    document: Places
    """Number of the document of the first token."""


class Documents(NamedTuple):
    """Runs of consecutive tokens of one document, in corpus order. Contexts that follow each other do not cut a run."""

    start: Places
    """Corpus place of the first token."""
    number: Places
    """Number of the document in the corpus."""


class CorpusLayout:
    """Layout of an index's corpus, read on first use. N tokens."""

    def __init__(self, path: Path, parts: Sequence[IndexPart]) -> None:
        self._path, self._parts = path, parts

    @cached_property
    def contexts(self) -> Contexts:
        """All contexts."""
        start, length = self._column("contexts/start", shifted=True), self._column("contexts/length")
        with reading(self._path):
            ends = np.append(start[1:], sum(part.n_tokens for part in self._parts))
            if (start + length != ends).any():
                raise ValueError("corpus/contexts/length does not follow from corpus/contexts/start")
        return Contexts(start, length, self._column("contexts/document"))

    @cached_property
    def documents(self) -> Documents:
        """All runs of documents."""
        start, number = self._column("documents/start", shifted=True), self._column("documents/id")
        begins = np.diff(number, prepend=number[:1] - 1) != 0  # a part may continue the document of the one before
        return Documents(start[begins], number[begins])

    @cached_property
    def text(self) -> TextColumns | None:
        """The bytes of the original text that each token covers; None for an index that does not know them."""
        # Modules that few commands need.
        from store.index.offsets_file import offsets_beside
        from store.index.text_spans import BY_RUN, BY_TOKEN, checked_columns, read_spans

        if not any("corpus/text/length" in part.file.names for part in self._parts):
            return offsets_beside(self._path, self.contexts.start, self.documents.start)
        start, number = self._column("documents/start", shifted=True), self._column("documents/id")
        begins = np.diff(number, prepend=number[:1] - 1) != 0
        with reading(self._path):
            skipped, length = (self._known(name, "N") for name in BY_TOKEN)
            n_bytes, digest = (self._known(name, "R")[begins] for name in BY_RUN)
            columns = read_spans(skipped, length, self._known("start", "C"), self.contexts.start, start)
            return checked_columns(*columns, n_bytes, digest, self.documents.start)

    def _known(self, name: str, axis: str) -> NDArray[Any]:
        """Read a column of the text, zeros for parts that have none."""
        from store.index.text_spans import DIGEST_BYTES

        pieces = []
        for part in self._parts:
            if f"corpus/text/{name}" in part.file.names:
                pieces.append(part.file.whole(f"corpus/text/{name}"))
            else:
                n_rows = part.file.lengths[axis]
                pieces.append(np.zeros((n_rows, DIGEST_BYTES) if name == "digest" else n_rows, np.uint8))
        return np.concatenate(pieces)

    @cached_property
    def roles(self) -> NDArray[np.uint8] | None:
        """The role of each token's turn [N] (store.settings.roles); None for a corpus without conversations."""
        if not any("corpus/role" in part.file.names for part in self._parts):
            return None
        with reading(self._path):
            return np.concatenate(
                [
                    part.file.whole("corpus/role")
                    if "corpus/role" in part.file.names
                    else np.zeros(part.n_tokens, np.uint8)
                    for part in self._parts
                ]
            )

    def tokens_of(self, role: Role) -> NDArray[np.bool_]:
        """Return which tokens belong to turns of a role [N].

        Raises:
            MonosemError: the corpus has no conversations.
        """
        if self.roles is None:
            raise MonosemError(
                f"{self._path} has no conversations",
                "Index some: `data=FILE.jsonl:messages`, for a model with a template.",
            )
        of_role_N: NDArray[np.bool_] = self.roles == role_code(role)
        return of_role_N

    def counted_tokens(self, *, ordinary: bool = False) -> NDArray[np.bool_]:
        """Read which tokens count [N]; with `ordinary`, outliers do not."""
        counted_N = self._column("counted")
        if ordinary:
            counted_N[self.outliers] = False
        return counted_N

    @cached_property
    def outliers(self) -> NDArray[np.int64]:
        """Places of outlier tokens, ascending; empty in indexes of older versions."""
        having = [part for part in self._parts if "corpus/outliers" in part.file.names]
        with reading(self._path):
            pieces = [part.file.whole("corpus/outliers") + part.first_token for part in having]
        return np.concatenate([np.empty(0, np.int64), *pieces])

    def is_outlier(self, place: int) -> bool:
        """Return whether the token at a corpus place is an outlier."""
        at = int(np.searchsorted(self.outliers, place))
        return at < len(self.outliers) and int(self.outliers[at]) == place

    def _column(self, name: str, *, shifted: bool = False) -> NDArray[Any]:
        """Read a column of all parts; `shifted` turns places in a part into places in the corpus."""
        with reading(self._path):
            pieces = [(part.file.whole(f"corpus/{name}"), part.first_token) for part in self._parts]
        return np.concatenate([piece + first if shifted else piece for piece, first in pieces])

    def counted(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which of corpus places start … stop-1 count."""
        first = start // 8
        bits = np.unpackbits(self._counted_bits[first : -(-stop // 8)])[start - 8 * first :]
        return bits[: max(0, stop - start)].astype(bool)

    @cached_property
    def _counted_bits(self) -> NDArray[np.uint8]:
        """A bit per token: the column is compressed, so any look needs all of it, and pages look often."""
        return np.packbits(self.counted_tokens())
