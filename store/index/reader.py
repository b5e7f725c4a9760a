"""Read the feature index: one class over features.h5 or over the segments written so far."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from store.files.contiguous import OpenArray
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.index.columns import QUANTILES, quantile_ranks
from store.index.feature_postings import FeaturePostings, FeatureWindow
from store.index.index_part import ColumnTotals, FeatureEntries, IndexPart, Postings
from store.index.open_index import OpenIndex
from store.index.results import Context, FeatureColumns, LogitEffects, Quantiles, Weighted
from store.index.segment import SparseRows
from store.index.vocabulary import Vocabulary

if TYPE_CHECKING:
    from store.run.weights import SaeWeights

__all__ = ["Context", "FeatureColumns", "FeatureStore", "LogitEffects", "Quantiles", "Weighted"]


class FeatureStore(OpenIndex):
    """A dictionary of features and its activations on a corpus. Needs neither the model nor its tokenizer.

    Example:
        >>> with FeatureStore.open(Path("runs/demo")) as store:
        ...     store.columns.density_F.argsort()[-10:]
        ...     store.postings(412, 0, 20)
    """

    few = 1 << 14
    """Entries of a feature up to which all are read at once, which takes as long as about three short reads."""
    at_once = 1 << 16
    """Entries that one read may return although only some of them are wanted."""
    tokens_held = 1 << 22
    """Tokens of a corpus up to which all are held in memory (16 MB) after the first read."""
    _entries: tuple[int, FeaturePostings] | None = None
    """Entries of the feature asked for last: a page needs them often."""

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.spec.d_sae

    @property
    def n_tokens(self) -> int:
        """Tokens of the corpus, those that do not count included."""
        return sum(part.n_tokens for part in self._parts)

    @property
    def n_counted(self) -> int:
        """Tokens that densities are relative to."""
        return sum(part.n_counted for part in self._parts)

    @property
    def n_contexts(self) -> int:
        """Contexts indexed so far."""
        return sum(part.file.lengths["C"] for part in self._parts)

    @property
    def n_documents(self) -> int:
        """Runs of documents indexed so far."""
        return len(self.layout.documents.start)

    @property
    def complete(self) -> bool:
        """Whether the index covers the whole plan."""
        return self.n_contexts >= self.plan.n_contexts

    @cached_property
    def columns(self) -> FeatureColumns:
        """Columns of the feature list, [d_sae] each."""
        total = self.totals
        count = total.count_F
        with reading(self.path):
            return FeatureColumns(
                count_F=count,
                density_F=count / max(1, self.n_counted),
                max_F=total.max_F,
                mean_F=(total.sum_F / np.maximum(count, 1)).astype(np.float32),
                top_token_F=total.top_token_F,
                decoder_norm_F=self._common.whole("feature/decoder_norm"),
            )

    @cached_property
    def unit_F(self) -> NDArray[np.float32]:
        """Powers of two by which the stored activations of each feature are multiplied."""
        with reading(self.path):
            unit_F = self._common.unit_F
        return np.ones(self.d_sae, np.float32) if unit_F is None else unit_F

    @cached_property
    def totals(self) -> ColumnTotals:
        """The stored columns that `columns` follow from."""
        with reading(self.path):
            return ColumnTotals.of(self._parts, self._before)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every token."""
        with reading(self.path):
            return Vocabulary.read(self._common)

    def sae(self) -> SaeWeights:
        """Read the autoencoder's weights."""
        from store.run.weights import SaeWeights

        with reading(self.path):
            return SaeWeights.read(self._common.file["sae"])

    def decoder_rows(self) -> Iterator[NDArray[np.float32]]:
        """Yield W_dec [d_sae, d_out] in blocks of rows."""
        with reading(self.path):
            rows, possible = self._common.file["sae/W_dec"], self._common.values("sae/W_dec")
            step = max(1, self.at_once * 64 // max(1, rows.shape[1]))
            for start in range(0, len(rows), step):
                yield possible.checked(rows[start : start + step])

    def decoder_row(self, feature: int) -> NDArray[np.float32]:
        """Read one feature's row of W_dec."""
        self.check_feature(feature)
        with reading(self.path):
            row: NDArray[np.float32] = self._common.array("sae/W_dec").row(feature)
            return row

    def encoder_columns(self) -> NDArray[np.float32]:
        """Read W_enc with a row per feature: [d_sae, d_in]."""
        with reading(self.path):
            rows_DF = self._common.file["sae/W_enc"][()]
            return np.ascontiguousarray(self._common.values("sae/W_enc").checked(rows_DF).T)

    @cached_property
    def signed(self) -> bool:
        """Whether the second half of the features are the first with the other sign (docs/decisions/022)."""
        half, odd = divmod(self.d_sae, 2)
        pairs = {0, half // 2, half - 1} if half and not odd else set()
        rows = [(self.decoder_row(i), self.decoder_row(i + half)) for i in sorted(pairs)]
        return any(row.any() for row, _ in rows) and all(np.array_equal(row, -other) for row, other in rows)

    def twin(self, feature: int) -> int | None:
        """Return the feature that is the other sign of the same latent; None in a dictionary without signs."""
        self.check_feature(feature)
        return (feature + self.d_sae // 2) % self.d_sae if self.signed else None

    def listed_tokens(self) -> Weighted:
        """Read the tokens that each feature raises most, and their effects: [d_sae, T]; T may be 0."""
        with reading(self.path):
            return Weighted(self._static["logit_top_id"].whole(), self._static["logit_top_value"].whole())

    def postings(self, feature: int, start: int = 0, stop: int | None = None) -> Postings:
        """Return a feature's entries of ranks start … stop-1 (0 is the strongest); all of them by default."""
        self.check_feature(feature)
        start = max(start, 0)
        with reading(self.path):
            if (whole := self._whole(feature)) is not None:
                return whole.postings(slice(start, stop if stop is None else max(stop, 0)))
            first, last = self._parts[0].span(feature)
            end = last if stop is None else min(first + stop, last)
            return self._parts[0].entries(feature, min(first + start, end), end)

    def entries_of(self, first: int, stop: int) -> FeatureEntries:
        """Return all entries of features first … stop-1, those of a feature in no particular order."""
        with reading(self.path):
            parts = [part.entries_of(first, stop) for part in self._parts]
        return FeatureEntries(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def at_ranks(self, feature: int, ranks_R: NDArray[np.int64]) -> Postings:
        """Return a feature's entries of some ranks, in the order of `ranks_R`.

        Raises:
            ValueError: a rank is not below the feature's count.
        """
        self.check_feature(feature)
        if not len(ranks_R):
            return self.postings(feature, 0, 0)
        low, high = int(ranks_R.min()), int(ranks_R.max()) + 1
        if low < 0 or high > self.columns.count_F[feature]:
            raise ValueError(f"feature {feature} has no ranks {low} to {high - 1}")
        with reading(self.path):
            if (whole := self._whole(feature)) is not None:
                return whole.postings(ranks_R)
        if high - low <= self.at_once:
            block = self.postings(feature, low, high)
            return Postings(block.token[ranks_R - low], block.act[ranks_R - low])
        pieces = [self.postings(feature, int(rank), int(rank) + 1) for rank in ranks_R]
        return Postings(np.concatenate([p.token for p in pieces]), np.concatenate([p.act for p in pieces]))

    def falling_acts(self, feature: int) -> NDArray[np.float16]:
        """Return a feature's activations as stored, in units of `unit_F`, the strongest first."""
        self.check_feature(feature)
        with reading(self.path):
            if (whole := self._whole(feature)) is not None:
                return whole.act_N
            first, last = self._parts[0].span(feature)
            return np.asarray(self._parts[0].inverted_act[first:last])

    def _whole(self, feature: int) -> FeaturePostings | None:
        """Return all entries of a feature if they are few or lie in several files, else None."""
        kept = self._entries
        if kept is None or kept[0] != feature:
            if len(self._parts) == 1:
                first, last = self._parts[0].span(feature)
                if last - first > self.few:
                    return None
            self._entries = kept = (feature, FeaturePostings.of(self._parts, feature))
        return kept[1]

    def quantiles(self, feature: int) -> Quantiles:
        """Return the quantiles of a feature's non-zero activations; for segments, computed from their entries."""
        self.check_feature(feature)
        n = int(self.columns.count_F[feature])
        if not n:
            return Quantiles(QUANTILES, np.empty(0, np.float32))
        with reading(self.path):
            if len(self._parts) == 1 and "feature/quantiles" in (file := self._parts[0].file).names:
                return Quantiles(QUANTILES, file.array("feature/quantiles").row(feature))
        return Quantiles(QUANTILES, self.at_ranks(feature, quantile_ranks(np.array([n]))[0]).act)

    def places(self, feature: int) -> NDArray[np.int64]:
        """Return every corpus place where a feature fires, in no particular order."""
        self.check_feature(feature)
        with reading(self.path):
            return np.concatenate([part.places(feature) for part in self._parts])

    def firing_on(self, place_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count on how many of some rising corpus places each feature fires: [d_sae].

        Reads the rows of those places block by block; memory does not grow with their number.
        """
        count_F = np.zeros(self.d_sae, np.int64)
        with reading(self.path):
            for part in self._parts:
                first, last = np.searchsorted(place_N, [part.first_token, part.first_token + part.n_tokens])
                for features in part.features_on(place_N[first:last] - part.first_token):
                    count_F += np.bincount(features, minlength=self.d_sae)
        return count_F

    def counted(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which of corpus places start … stop-1 count."""
        return self.layout.counted(max(start, 0), min(stop, self.n_tokens))

    def tokens(self, start: int, stop: int) -> NDArray[np.int32]:
        """Return the vocabulary ids of corpus places start … stop-1."""
        if (held := self._held_tokens) is not None:
            return held[max(start, 0) : max(stop, 0)].copy()
        return self._read_tokens(start, stop)

    def _read_tokens(self, start: int, stop: int) -> NDArray[np.int32]:
        with reading(self.path):
            pieces = [part.tokens[a:b] for part, a, b in self._spans(start, stop)]
        return np.concatenate([np.empty(0, np.int32), *pieces])

    @cached_property
    def _held_tokens(self) -> NDArray[np.int32] | None:
        return self._read_tokens(0, self.n_tokens) if self.n_tokens <= self.tokens_held else None

    def rows(self, start: int, stop: int) -> SparseRows:
        """Return the features that fire on each of corpus places start … stop-1, ascending within a token."""
        indptr, features, acts = [np.zeros(1, np.int64)], [], []
        with reading(self.path):
            for part, a, b in self._spans(start, stop):
                edges = part.forward_indptr[a : b + 1]
                feature, act = part.forward_entries(int(edges[0]), int(edges[-1]))
                features.append(feature.astype(np.int64))
                acts.append(act)
                indptr.append(edges[1:] - edges[0] + indptr[-1][-1])
        empty = np.empty(0, np.float32)
        return SparseRows(
            np.concatenate(indptr), np.concatenate([empty.astype(np.int64), *features]), np.concatenate([empty, *acts])
        )

    def activations(self, feature: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return one feature's activation on each of corpus places start … stop-1; 0 where it does not fire."""
        self.check_feature(feature)
        rows = self.rows(start, stop)
        acts = np.zeros(len(rows.indptr) - 1, np.float32)
        hits = np.flatnonzero(rows.feature == feature)
        acts[np.searchsorted(rows.indptr, hits, side="right") - 1] = rows.act[hits]
        return acts

    def shown(self, feature: int, start_W: NDArray[np.int64], stop_W: NDArray[np.int64]) -> list[FeatureWindow]:
        """Return windows of the corpus, start … stop-1 each: tokens, and one feature's activations on them."""
        self.check_feature(feature)
        with reading(self.path):
            whole = self._whole(feature)
        spans = list(zip(start_W.tolist(), stop_W.tolist(), strict=True))
        acts = whole.on(start_W, stop_W) if whole else [self.activations(feature, *span) for span in spans]
        return [FeatureWindow(self.tokens(*span), act_T) for span, act_T in zip(spans, acts, strict=True)]

    def entries_on(self, vocab: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield features and activations of all entries on tokens with one of the ids `vocab`, in blocks."""
        with reading(self.path):
            for part in self._parts:
                for feature, act in part.entries_on(vocab):
                    yield feature.astype(np.int64), act.astype(np.float64)

    def entries_where(self, wanted_N: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield features and activations of all entries on some of the corpus's tokens [n_tokens], in blocks."""
        with reading(self.path):
            for part in self._parts:
                wanted = wanted_N[part.first_token : part.first_token + part.n_tokens]
                for feature, act in part.entries_where(wanted):
                    yield feature.astype(np.int64), act.astype(np.float64)

    def context_of(self, token: int) -> Context:
        """Return the context of a corpus place.

        Raises:
            MonosemError: there is no such place.
        """
        self._check_place(token)
        start, length, document = self.layout.contexts
        number = int(np.searchsorted(start, token, side="right")) - 1
        return Context(number, int(start[number]), int(length[number]), int(document[number]))

    def contexts_of(self, token_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the context of each of some corpus places."""
        number_N: NDArray[np.int64] = np.searchsorted(self.layout.contexts.start, token_N, side="right") - 1
        return number_N

    def documents_of(self, token_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the document of each of some corpus places."""
        start, ids = self.layout.documents
        return ids[np.searchsorted(start, token_N, side="right") - 1]

    def document_span(self, token: int) -> tuple[int, int]:
        """Return the half-open range of places of the document's run around a corpus place.

        Raises:
            MonosemError: there is no such place.
        """
        self._check_place(token)
        start, _ = self.layout.documents
        number = int(np.searchsorted(start, token, side="right")) - 1
        stop = int(start[number + 1]) if number + 1 < len(start) else self.n_tokens
        return int(start[number]), stop

    def logits(self, feature: int) -> LogitEffects:
        """Return the tokens that a feature raises and lowers most."""
        return LogitEffects(
            self._weighted("logit_top", "value", feature), self._weighted("logit_bottom", "value", feature)
        )

    def neighbours(self, feature: int) -> Weighted:
        """Return the features whose decoder directions are nearest, by cosine."""
        return self._weighted("neighbour", "cosine", feature)

    def neurons(self, feature: int) -> Weighted:
        """Return the MLP neurons whose output directions are nearest, by |cosine|, of layer `SaeSpec.neuron_layer`.

        Empty where the site has none, and for files of versions that did not write them.
        """
        return self._weighted("neuron", "cosine", feature)

    def static(self, name: str, feature: int) -> NDArray[Any] | None:
        """Return one feature's row of a column that follows from the weights; None where the file lacks it."""
        self.check_feature(feature)
        with reading(self.path):
            return self._static[name].row(feature) if name in self._static else None

    def _weighted(self, prefix: str, value: str, feature: int) -> Weighted:
        ids, values = self.static(f"{prefix}_id", feature), self.static(f"{prefix}_{value}", feature)
        if ids is None or values is None:
            return Weighted(np.empty(0, np.int32), np.empty(0, np.float32))
        return Weighted(ids, values)

    @cached_property
    def _static(self) -> dict[str, OpenArray]:
        """Columns that follow from the weights, opened once: finding a name costs more than reading a row."""
        names = (name.removeprefix("feature/") for name in self._common.names if name.startswith("feature/"))
        return {name: self._common.array(f"feature/{name}") for name in names}

    def _spans(self, start: int, stop: int) -> Iterator[tuple[IndexPart, int, int]]:
        """Yield the parts of corpus places start … stop-1, with the range relative to each."""
        for part in self._parts:
            a, b = max(start - part.first_token, 0), min(stop - part.first_token, part.n_tokens)
            if a < b:
                yield part, a, b

    def check_feature(self, feature: int) -> None:
        """Refuse a number that is not a feature.

        Raises:
            MonosemError: it is negative or not below d_sae.
        """
        if not 0 <= feature < self.d_sae:
            raise MonosemError(f"there is no feature {feature}", f"Features of this run are 0 to {self.d_sae - 1}.")

    def _check_place(self, token: int) -> None:
        noun = self.plan.noun
        if not 0 <= token < self.n_tokens:
            raise MonosemError(
                f"there is no {noun.one} {token} in the index", f"Its {noun.many} are 0 to {self.n_tokens - 1}."
            )
