"""Activation shards against the model by hand, and what a killed extraction leaves and goes on with.

Shapes: N counted tokens, D = d_in.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.commands import extract as module
from engine.commands.extract import extract
from engine.corpus.data_argument import open_corpus
from engine.data.contexts import ContextSettings, ContextStream
from engine.data.text_encoder import Encoding
from engine.model.language_model import load_model
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.run.folder import Provenance, RunFolder, RunRecord
from store.run.shards import ShardInfo, ShardReader, complete_shards, shard_path, write_shard
from store.run.spec import SaeSpec
from store.settings.extract import ExtractSettings
from tests.engine.small import random_texts
from tests.engine.tiny_models import D_MODEL
from tests.engine.trained import CONTEXT, F64, double, model_folder, site_by_hand, small_forwards, text_file

CPU = torch.device("cpu")


class Killed(BaseException):
    """An interruption at a bad moment."""


class Wanted(NamedTuple):
    """The counted rows of a stream's first contexts."""

    x_ND: F64
    token_N: list[int]
    context_N: list[int]
    position_N: list[int]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards of 4 contexts; shards of 8 in float16 and bfloat16, of 4 in float32."""
    small_forwards(monkeypatch)
    monkeypatch.setattr(module, "SHARD_BYTES", 2 * D_MODEL * CONTEXT * 9)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Settings of an extraction that takes more than one epoch of a small corpus."""
    return {
        "model": str(model_folder(tmp_path / "model")),
        "data": str(text_file(tmp_path / "text.txt", random_texts(40))),
        "layer": 0,
        "context": CONTEXT,
        "device": "cpu",
        "tokens": 400,
    }


def rows_by_hand(given: dict[str, Any]) -> Wanted:
    """Context by context through the model in float64, until `tokens` rows are there."""
    lm = double(load_model(given["model"], device=CPU, dtype=torch.float32))
    assert lm.tokenizer is not None
    settings = ContextSettings(CONTEXT, given.get("packing", "packed"), given.get("seed", 0), "train", None)
    stream = ContextStream(
        open_corpus(given["data"]), Encoding(lm.tokenizer, lm.bos_id, lm.separator_id), settings
    ).batches(1)
    x_ND: list[F64] = []
    token_N: list[int] = []
    context_N: list[int] = []
    position_N: list[int] = []
    while len(token_N) < given["tokens"]:
        number = len(x_ND)
        one = next(stream)
        x_ND.append(site_by_hand(lm, ("resid_post", 0), one.tokens_BT[0])[one.counted_BT[0]])
        for position in np.flatnonzero(one.counted_BT[0]):
            token_N.append(int(one.tokens_BT[0, position]))
            context_N.append(number)
            position_N.append(int(position))
    return Wanted(np.concatenate(x_ND), token_N, context_N, position_N)


def shards(run: RunFolder) -> list[dict[str, NDArray[Any]]]:
    found = []
    for number in range(complete_shards(run.activations)):
        with h5py.File(shard_path(run.activations, number)) as file:
            found.append({name: item[()] for name, item in file.items()})
    return found


def values(acts_ND: NDArray[Any]) -> F64:
    """Stored activations as numbers; uint16 are the upper halves of float32."""
    if acts_ND.dtype == np.uint16:
        return (acts_ND.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return acts_ND.astype(np.float64)


@pytest.mark.parametrize(
    ("keep", "dtype", "rtol"),
    [("float32", np.float32, 1e-4), ("float16", np.float16, 6e-4), ("bfloat16", np.uint16, 4e-3)],
)
@pytest.mark.parametrize("packing", ["packed", "documents"])
def test_shards_hold_the_counted_rows_in_order(
    keep: str, dtype: type, rtol: float, packing: str, given: dict[str, Any], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    info = extract(run, ExtractSettings(**(given | {"keep": keep, "packing": packing})), Silent(), resume=False)
    wanted = rows_by_hand(given | {"packing": packing})
    found = shards(run)
    assert len(found) >= 3
    per_shard = 4 if keep == "float32" else 8
    assert info.contexts_per_shard == per_shard
    for number, shard in enumerate(found):
        assert set((shard["context"] // per_shard).tolist()) == {number}
        assert shard["acts"].dtype == dtype
    together = {name: np.concatenate([shard[name] for shard in found]) for name in found[0]}
    assert together["token"].tolist() == wanted.token_N
    assert together["context"].tolist() == wanted.context_N
    assert together["position"].tolist() == wanted.position_N
    np.testing.assert_allclose(values(together["acts"]), wanted.x_ND, rtol=rtol, atol=1e-5)
    assert info.n_contexts == wanted.context_N[-1] + 1
    assert len(wanted.token_N) >= given["tokens"]


def test_shards_go_on_into_further_epochs(given: dict[str, Any], tmp_path: Path) -> None:
    """A small corpus comes again, in another order, and not with held-out documents."""
    extract(RunFolder(tmp_path / "run"), ExtractSettings(**given), Silent(), resume=False)
    texts = random_texts(40).texts
    held = [number % 20 == 19 for number in range(40)]
    one_epoch = sum(len(text.split()) for text, is_held in zip(texts, held, strict=True) if not is_held)
    assert one_epoch < given["tokens"]
    token_N = np.concatenate([shard["token"] for shard in shards(RunFolder(tmp_path / "run"))])
    first, second = token_N[:one_epoch], token_N[one_epoch:]
    in_training = [int(word[1:]) + 3 for text, out in zip(texts, held, strict=True) if not out for word in text.split()]
    assert sorted(first.tolist()) == sorted(in_training)
    assert not np.array_equal(second, first[: len(second)])


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(("scale", "what"), [(2e5, "reach"), (1e-6, "are about")])
def test_by_default_a_range_that_float16_lacks_is_kept(
    scale: float, what: str, given: dict[str, Any], tmp_path: Path
) -> None:
    given |= {"model": str(model_folder(tmp_path / "scaled", scale=scale)), "site": "resid_pre"}
    run, exact, said = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "exact"), Listening()
    assert extract(run, ExtractSettings(**given), said, resume=False).dtype == "bfloat16"
    (line,) = [line for line in said.lines if "bfloat16" in line]
    assert what in line
    assert run.settings("extract", ExtractSettings).keep == "bfloat16"
    extract(run, ExtractSettings(keep="auto"), Silent(), resume=True)
    extract(exact, ExtractSettings(**(given | {"keep": "float32"})), Silent(), resume=False)
    kept, full = (np.concatenate([values(shard["acts"]) for shard in shards(one)]) for one in (run, exact))
    assert (np.abs(full) > 65_504).any() == (scale > 1)
    np.testing.assert_allclose(kept, full, rtol=4e-3)


def test_float16_never_clips(given: dict[str, Any], tmp_path: Path) -> None:
    given |= {"model": str(model_folder(tmp_path / "large", scale=2e5)), "keep": "float16"}
    run = RunFolder(tmp_path / "run")
    with pytest.raises(MonosemError, match="and float16 holds up to 65 504") as caught:
        extract(run, ExtractSettings(**given), Silent(), resume=False)
    assert "bfloat16" in caught.value.hint
    assert complete_shards(run.activations) == 0


def test_float16_that_loses_bits_is_reported(given: dict[str, Any], tmp_path: Path) -> None:
    given |= {"model": str(model_folder(tmp_path / "small", scale=1e-6)), "keep": "float16", "site": "resid_pre"}
    said = Listening()
    assert extract(RunFolder(tmp_path / "run"), ExtractSettings(**given), said, resume=False).dtype == "float16"
    assert [line for line in said.lines if "float16 loses bits" in line]


def test_a_model_that_overflows_is_refused_as_train_does(given: dict[str, Any], tmp_path: Path) -> None:
    given |= {"model": str(model_folder(tmp_path / "large", scale=1e7)), "dtype": "float16"}
    with pytest.raises(MonosemError, match="activations are NaN or infinite") as caught:
        extract(RunFolder(tmp_path / "run"), ExtractSettings(**given), Silent(), resume=False)
    assert "`dtype=float32`" in caught.value.hint
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_in_half_precision_is_kept_in_float32_as_it_is(
    dtype: str, given: dict[str, Any], tmp_path: Path
) -> None:
    """Widening loses nothing: what is kept in the model's own dtype and in float32 is the same."""
    own, wide = RunFolder(tmp_path / "own"), RunFolder(tmp_path / "wide")
    extract(own, ExtractSettings(**(given | {"dtype": dtype, "keep": dtype})), Silent(), resume=False)
    extract(wide, ExtractSettings(**(given | {"dtype": dtype, "keep": "float32"})), Silent(), resume=False)
    kept, full = (np.concatenate([values(shard["acts"]) for shard in shards(one)]) for one in (own, wide))
    np.testing.assert_array_equal(kept, full)


@pytest.mark.parametrize("packing", ["packed", "documents"])
@pytest.mark.parametrize("shards_left", [0, 1, 2])
def test_resumed_it_is_the_same_to_the_byte(
    shards_left: int, packing: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given["packing"] = packing
    whole, run = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    extract(whole, ExtractSettings(**given), Silent(), resume=False)
    killed_behind(shards_left, run, given, monkeypatch)
    assert complete_shards(run.activations) == shards_left
    if shards_left:
        with pytest.raises(MonosemError, match="already holds activations") as caught:
            extract(run, ExtractSettings(**given), Silent(), resume=False)
        assert "`resume=True`" in caught.value.hint
    extract(run, ExtractSettings(), Silent(), resume=True)
    files = sorted(path.name for path in whole.activations.iterdir())
    assert sorted(path.name for path in run.activations.iterdir()) == files
    assert len(files) > 2
    for name in files:
        assert (run.activations / name).read_bytes() == (whole.activations / name).read_bytes()
    assert run.record().status == "done"


def killed_behind(count: int, run: RunFolder, given: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    """An extraction that dies while it makes shard number `count`."""
    written = 0

    def write_or_die(*args: Any) -> Path:
        nonlocal written
        if written == count:
            raise Killed
        written += 1
        return write_shard(*args)

    with patch.context() as inside, pytest.raises(Killed):
        inside.setattr(module, "write_shard", write_or_die)
        extract(run, ExtractSettings(**given), Silent(), resume=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("layer", 1),
        ("site", "mlp_out"),
        ("tokens", 500),
        ("keep", "float32"),
        ("packing", "documents"),
        ("context", 8),
    ],
)
def test_it_does_not_go_on_with_other_settings(
    name: str, value: Any, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    killed_behind(1, run, given, monkeypatch)
    before = shard_path(run.activations, 0).read_bytes()
    with pytest.raises(MonosemError) as caught:
        extract(run, ExtractSettings(**(given | {name: value})), Silent(), resume=True)
    assert name in caught.value.fields
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert complete_shards(run.activations) == 1
    assert shard_path(run.activations, 0).read_bytes() == before


@pytest.mark.parametrize("changed", ["model", "data"])
def test_it_does_not_go_on_when_model_or_text_have_changed(
    changed: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go by the same name, but their content differs."""
    run = RunFolder(tmp_path / "run")
    killed_behind(1, run, given, monkeypatch)
    if changed == "model":
        model_folder(Path(given["model"]), scale=1.5)
    else:
        text_file(Path(given["data"]), random_texts(40, seed=1))
    with pytest.raises(MonosemError) as caught:
        extract(run, ExtractSettings(), Silent(), resume=True)
    assert caught.value.hint
    assert complete_shards(run.activations) == 1


def test_what_is_recorded(given: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    info = extract(run, ExtractSettings(**given), Silent(), resume=False)
    record = run.record()
    lm = load_model(given["model"], device=CPU, dtype=torch.float32)
    assert (record.status, record.spec.d_sae) == ("done", 0)
    spec = record.spec
    assert (spec.model, spec.layer, spec.site, spec.d_in) == (given["model"], 0, "resid_post", D_MODEL)
    assert spec.excluded == "bos"
    provenance = record.provenance
    assert provenance.model_digest == lm.digest != ""
    assert provenance.corpus_digest == open_corpus(given["data"]).digest() != ""
    assert provenance.versions["torch"] == torch.__version__
    assert given.items() <= record.config["extract"].items()
    assert record.config["extract"]["keep"] == "float16"
    for number in range(complete_shards(run.activations)):
        with h5py.File(shard_path(run.activations, number)) as file:
            assert ShardInfo(**json.loads(file.attrs["info"])) == info
    assert (info.model_digest, info.corpus_digest) == (provenance.model_digest, provenance.corpus_digest)
    said = {"data": given["data"], "site": "resid_post", "dtype": "float16", "excluded": "bos"}
    assert said.items() <= asdict(info).items()


def test_a_reader_finds_any_range_of_contexts(given: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    extract(run, ExtractSettings(**given), Silent(), resume=False)
    wanted, reader = rows_by_hand(given), ShardReader(run.activations)
    context_N = np.array(wanted.context_N)
    assert reader.n_contexts == context_N[-1] + 1
    for start, stop in ((0, 3), (6, 19), (5, 6), (0, reader.n_contexts)):
        rows, inside = reader.contexts(start, stop), (context_N >= start) & (context_N < stop)
        np.testing.assert_array_equal(rows.context_N, context_N[inside])
        np.testing.assert_allclose(values(rows.acts_ND), wanted.x_ND[inside], rtol=6e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("tokens", 0), ("keep", "float8"), ("seed", -1), ("context", 1)])
def test_impossible_settings(name: str, value: Any, given: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(MonosemError) as caught:
        extract(run, ExtractSettings(**(given | {name: value})), Silent(), resume=False)
    assert str(value) in caught.value.what
    assert not run.activations.exists()


def test_the_default_layer_is_recorded_as_a_number(given: dict[str, Any], tmp_path: Path) -> None:
    """The middle one: resuming must not depend on how it is found."""
    run = RunFolder(tmp_path / "run")
    del given["layer"]
    assert extract(run, ExtractSettings(**given), Silent(), resume=False).layer == 1
    assert run.record().config["extract"]["layer"] == 1


def test_a_trained_run_stays_what_it_is(given: dict[str, Any], tmp_path: Path) -> None:
    """Activations may be put beside an autoencoder: the run still says what that is of."""
    run = RunFolder(tmp_path / "run")
    spec = SaeSpec(model="gpt2", layer=3, site="mlp_out", arch="relu", d_in=768, d_sae=4096)
    known = RunRecord(spec=spec, provenance=Provenance(model="gpt2", seed=4), config={"train": {"layer": 3}})
    run.path.mkdir()
    run.create(known)
    extract(run, ExtractSettings(**given), Silent(), resume=False)
    record = run.record()
    assert (record.spec, record.provenance) == (spec, known.provenance)
    assert record.config["train"] == {"layer": 3}
    assert record.config["extract"]["layer"] == 0
