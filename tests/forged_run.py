"""Sealed files that make no sense: what a forger, or a writer with a fault, could have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.store.raw import reseal

Change = Callable[[h5py.File], None]
VAST = 10**11


def forge(path: Path, change: Change) -> None:
    """Change a sealed file and seal it again."""
    with h5py.File(path, "r+", locking=False) as file:
        change(file)
    reseal(path)


def put(name: str, at: Any, value: Any) -> Change:
    """Other values in a dataset."""

    def apply(file: h5py.File) -> None:
        file[name][at] = value

    return apply


def replace(name: str, make: Callable[[h5py.Group, str, h5py.Dataset], object]) -> Change:
    """Another object under the name of a dataset."""

    def apply(file: h5py.File) -> None:
        group, old = file[name].parent, file[name]
        last = name.rpartition("/")[2]
        del group[last]
        make(group, last, old)

    return apply


def cast(name: str, dtype: Any) -> Change:
    """The same shape in another dtype."""
    return replace(name, lambda group, last, old: group.create_dataset(last, old.shape, dtype))


def resize(name: str, shape: tuple[int, ...], **how: Any) -> Change:
    """A dataset of another shape, of which no value was written."""
    return replace(name, lambda group, last, old: group.create_dataset(last, shape, old.dtype, **how))


def add(name: str, shape: tuple[int, ...], dtype: Any) -> Change:
    """A dataset that monosem does not write."""

    def apply(file: h5py.File) -> None:
        file.create_dataset(name, shape, dtype)

    return apply


def attribute(name: str, value: Any, group: str = "/") -> Change:
    """Another attribute."""

    def apply(file: h5py.File) -> None:
        file[group].attrs[name] = value

    return apply


def spec(**changes: Any) -> Change:
    """Another description of the autoencoder."""

    def apply(file: h5py.File) -> None:
        file["sae"].attrs["spec"] = json.dumps(json.loads(file["sae"].attrs["spec"]) | changes)

    return apply


def loop(file: h5py.File) -> None:
    """A group that holds itself."""
    file["feature/again"] = file["/"]


def deep(file: h5py.File) -> None:
    """More groups inside each other than a stack can hold."""
    group = file
    for _ in range(2_000):
        group = group.create_group("g")


FORGERIES: dict[str, Change] = {
    "a vocabulary of 10^12 entries": resize("vocab/offsets", (10**12,), chunks=(1 << 20,), compression="gzip"),
    "a vocabulary that was never written": resize("vocab/strings", (10**12,)),
    "a column of 10^11 values": resize("feature/max", (VAST,), chunks=(1024,)),
    "an order of 10^11 entries": resize("inverted/act", (VAST,)),
    "a column too long": resize("feature/max", (49,)),
    "a column of text": cast("feature/max", h5py.string_dtype()),
    "a column of integers": cast("feature/sum", "i8"),
    "big-endian activations": cast("inverted/act", ">f2"),
    "a compound column": cast("feature/count", np.dtype([("a", "i8"), ("b", "f4")])),
    "a group in place of strings": replace("vocab/strings", lambda group, last, _: group.create_group(last)),
    "a number in place of a column": replace(
        "feature/count", lambda group, last, _: group.create_dataset(last, data=7)
    ),
    "an empty column": replace("feature/count", lambda g, last, _: g.create_dataset(last, data=h5py.Empty("i8"))),
    "a flat matrix": resize("feature/neighbour_id", (480,)),
    "lists of no length": resize("feature/logit_top_id", (48, 0)),
    "no group of columns": lambda file: file.pop("feature"),
    "no vocabulary": lambda file: file.pop("vocab"),
    "no weights": lambda file: file.pop("sae"),
    "negative starts of contexts": put("corpus/contexts/start", 1, -5),
    "contexts that begin late": put("corpus/contexts/start", slice(None), 900),
    "contexts out of order": put("corpus/contexts/start", slice(3, 5), [900, 3]),
    "a context of 2^31 tokens": put("corpus/contexts/length", 2, 2**31 - 1),
    "no contexts": lambda file: [resize(f"corpus/contexts/{n}", (0,))(file) for n in ("start", "length", "document")],
    "negative starts of documents": put("corpus/documents/start", 2, -(10**12)),
    "a document beyond the corpus": put("corpus/documents/start", -1, 10**12),
    "vocabulary offsets that fall": put("vocab/offsets", 5, 0),
    "vocabulary offsets beyond all": put("vocab/offsets", -1, 2**60),
    "negative vocabulary offsets": put("vocab/offsets", 4, -(2**60)),
    "negative tokens": put("corpus/tokens", slice(40, 60), -7),
    "tokens beyond any vocabulary": put("corpus/tokens", slice(40, 60), 2**31 - 1),
    "tokens beyond this vocabulary": put("corpus/tokens", slice(40, 60), 5_000),
    "features beyond all": put("forward/feature", slice(0, 99), 60_000),
    "postings beyond the corpus": put("inverted/token", slice(0, 99), 2**32 - 1),
    "postings that overlap": put("inverted/indptr", slice(1, 9), 700),
    "postings that fall": put("inverted/indptr", slice(2, 4), [500, 3]),
    "negative postings": put("inverted/indptr", 3, -(2**62)),
    "rows that fall": put("forward/indptr", slice(40, 42), [700, 3]),
    "rows beyond all": put("forward/indptr", slice(40, 960), 2**62),
    "activations that are NaN": put("inverted/act", slice(0, 99), np.nan),
    "negative activations": put("forward/act", slice(0, 99), -1.0),
    "infinite activations": put("inverted/act", 0, np.inf),
    "counts of 2^62": put("feature/count", slice(None), 2**62),
    "negative counts": put("feature/count", 3, -4),
    "counts of others": put("feature/count", 3, 2),
    "maxima that are NaN": put("feature/max", slice(None), np.nan),
    "infinite sums": put("feature/sum", 3, np.inf),
    "norms that are NaN": put("feature/decoder_norm", slice(None), np.nan),
    "quantiles that are NaN": put("feature/quantiles", slice(None), np.nan),
    "neighbours beyond all": put("feature/neighbour_id", slice(None), 2**31 - 1),
    "negative neighbours": put("feature/neighbour_id", slice(None), -3),
    "cosines that are NaN": put("feature/neighbour_cosine", slice(None), np.nan),
    "negative logit tokens": put("feature/logit_top_id", slice(None), -9),
    "logits that are NaN": put("feature/logit_top_value", slice(None), np.nan),
    "infinite logits": put("feature/logit_bottom_value", slice(None), -np.inf),
    "neurons that are negative": put("feature/neuron_id", slice(None), -1),
    "weights that are NaN": put("sae/W_dec", slice(None), np.nan),
    "weights of text": cast("sae/W_enc", h5py.string_dtype()),
    "wide weights": cast("sae/b_dec", "f8"),
    "top tokens beyond all": put("feature/top_token", slice(None), 2**31 - 1),
    "negative top tokens": put("feature/top_token", slice(None), -(2**31)),
    "a first token that is negative": attribute("first_token", -5),
    "a first token that is late": attribute("first_token", 10**15),
    "a first token that is text": attribute("first_token", "none"),
    "counted tokens of 2^62": attribute("n_counted", 2**62),
    "no plan": lambda file: file.attrs.pop("plan"),
    "a plan that is no JSON": attribute("plan", "{"),
    "a plan of lists": attribute("plan", "[[], {}]"),
    "a plan of numbers": attribute("plan", 7),
    "a spec of another size": spec(d_sae=10**12),
    "a spec of text": spec(d_sae="many"),
    "a spec of another width": spec(d_in=10**9),
    "a spec of no name": spec(model=5),
    "a layer that is a list": spec(layer=[1]),
    "a group that holds itself": loop,
    "groups too deep": deep,
}
"""Changes of a features.h5 of 48 features and 960 tokens in 30 contexts."""
