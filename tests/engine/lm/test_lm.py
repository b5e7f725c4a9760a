"""Language models from scratch: the tokenizer, the folder as transformers reads it, the figures, and resuming.

Shapes: T positions of a context, V vocabulary.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerFast

from engine.commands import train_lm as module
from engine.commands.train_lm import LmReport, train_lm
from engine.corpus.documents import Document
from engine.corpus.reading_order import ordered
from engine.lm.tokenizer import END_OF_TEXT, train_tokenizer
from engine.lm.trainer import LmTrainer, network_config
from engine.model.token_bytes import token_bytes
from engine.runtime.progress import Silent
from store.files.errors import MonosemError, WorkFailed
from store.run.folder import RunFolder, RunRecord
from store.settings.lm import LmSettings
from tests.engine.small import Texts
from tests.tiny_text import documents, write_corpus

CONTEXT = 32
SMALL: dict[str, Any] = {
    "vocab": 300,
    "layers": 2,
    "d_model": 16,
    "heads": 2,
    "context": CONTEXT,
    "tokens": 60_000,
    "batch": 256,
    "samples": 0,
    "device": "cpu",
    "dtype": "float32",
}
SHORT = {"tokens": 60 * 256, "checkpoint_every": 7}


@dataclass(frozen=True)
class Trained:
    """A trained model and what is known of it."""

    run: RunFolder
    data: Path
    report: LmReport

    @property
    def folder(self) -> str:
        return str(self.run.model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model of two layers on sixty stories."""
    folder = tmp_path_factory.mktemp("lm")
    data, run = write_corpus(folder / "text.txt"), RunFolder(folder / "run")
    return Trained(
        run, data, train_lm(run, LmSettings(**(SMALL | {"data": str(data), "samples": 2})), Silent(), resume=False)
    )


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return learn(330)


@pytest.fixture(scope="module")
def bare() -> PreTrainedTokenizerFast:
    return learn(257)


def learn(vocab: int, texts: list[str] | None = None) -> PreTrainedTokenizerFast:
    found = documents() if texts is None else texts
    return train_tokenizer((Document(number, text) for number, text in enumerate(found)), vocab, CONTEXT)


def test_the_end_of_the_text_is_reported_before_the_merges() -> None:
    found: list[int] = []
    train_tokenizer([Document(0, "ab ab"), Document(1, "ba")], 258, CONTEXT, found.append)
    assert found == [7]


@settings(max_examples=300)
@given(text=st.text())
def test_any_text_comes_back(text: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """Scripts, controls, emoji, white space at either end: byte for byte, decoded or as the bytes of the tokens."""
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text
    spelt = token_bytes(tokenizer)
    assert b"".join(spelt[token] for token in ids) == text.encode()


@settings(max_examples=100)
@given(text=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_comes_back_where_nothing_was_learnt(text: str, bare: PreTrainedTokenizerFast) -> None:
    """Bytes alone: one token each."""
    ids = bare.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert len(ids) == len(text.encode())
    assert bare.decode(ids) == text


def test_one_special_token_opens_and_closes(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.convert_tokens_to_ids(END_OF_TEXT) == 0
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert tokenizer.all_special_ids == [0]
    assert tokenizer.model_max_length == CONTEXT
    assert tokenizer.encode(END_OF_TEXT) == [0]
    assert 0 not in tokenizer.encode(END_OF_TEXT, split_special_tokens=True)


@pytest.mark.parametrize("vocab", [257, 258, 300, 320])
def test_the_vocabulary_has_the_size_asked_for(vocab: int) -> None:
    assert len(learn(vocab)) == vocab


def test_a_vocabulary_no_larger_than_the_text_gives() -> None:
    """Two words cannot give 10 000 tokens: the model then has as many as were learnt."""
    assert 257 < len(learn(10_000, ["one two"] * 3)) < 270


def test_frequent_words_become_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer.encode(" said")) == 1
    assert len(tokenizer.encode(" dais")) > 1


def test_plain_transformers_reads_the_folder(trained: Trained) -> None:
    network = AutoModelForCausalLM.from_pretrained(trained.folder)
    assert type(network) is GPT2LMHeadModel
    assert len(AutoTokenizer.from_pretrained(trained.folder)) == network.config.vocab_size == SMALL["vocab"]
    assert network.config.bos_token_id == network.config.eos_token_id == 0
    assert not list(trained.run.model.glob("*.bin"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == trained.report.parameters == count_by_hand(300, CONTEXT, 16, 2, 64)


def count_by_hand(vocab: int, context: int, d: int, layers: int, d_mlp: int) -> int:
    """Parameters of a GPT-2 whose unembedding is its embedding."""
    attention, mlp, norms = 4 * d * d + 4 * d, 2 * d * d_mlp + d + d_mlp, 4 * d
    return vocab * d + context * d + layers * (attention + mlp + norms) + 2 * d


def held_out_contexts(trained: Trained) -> list[list[int]]:
    """Contexts of the held-out documents, packed by hand: a BOS before every document and at every start."""
    tokenizer = AutoTokenizer.from_pretrained(trained.folder)
    texts = Texts(tuple(documents()))
    contexts: list[list[int]] = [[]]
    for document in ordered(texts, split="heldout", seed=0, epoch=0):
        for token in [0, *tokenizer.encode(document.text)]:
            if len(contexts[-1]) == CONTEXT:
                contexts.append([])
            if not contexts[-1] and token != 0:
                contexts[-1].append(0)
            contexts[-1].append(token)
    return contexts


def test_the_held_out_loss_and_the_unigram_entropy(trained: Trained) -> None:
    """With plain transformers, context by context, in float64; the held-out documents are those no training saw."""
    network = AutoModelForCausalLM.from_pretrained(trained.folder).double().eval()
    contexts = held_out_contexts(trained)
    texts = list(documents())
    read = {text for number, text in enumerate(texts) if number % 20 != 19}
    assert {number for number in (19, 39, 59) if texts[number] not in read} == {
        one.number for one in ordered(Texts(tuple(texts)), split="heldout", seed=0, epoch=0)
    }
    losses: list[float] = []
    seen: Counter[int] = Counter()
    for ids in contexts:
        with torch.no_grad():
            log_p_TV = network(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(log_p_TV[place, token]) for place, token in enumerate(ids[1:])]
        seen.update(ids[1:])
    shares = np.array(list(seen.values())) / seen.total()
    report = trained.report
    assert report.held_out_tokens == len(losses) == seen.total()
    assert report.held_out_loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert report.unigram_entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-9)


def test_it_learns_more_than_token_frequencies(trained: Trained) -> None:
    assert trained.report.held_out_loss < 0.5 * trained.report.unigram_entropy
    assert trained.report.tokens == LmSettings(**SMALL).steps * LmSettings(**SMALL).batch_tokens > 59_000


def test_samples_are_text_of_the_model(trained: Trained) -> None:
    assert len(trained.report.samples) == 2
    assert trained.report.samples[0] != trained.report.samples[1]
    assert all(END_OF_TEXT not in text and len(text) > 10 for text in trained.report.samples)


def test_what_run_json_says(trained: Trained) -> None:
    record = trained.run.record()
    assert record.status == "done"
    assert record.config["lm"]["data"] == str(trained.data)
    assert SMALL.items() <= (record.config["lm"] | {"samples": 0}).items()
    assert record.provenance.corpus == str(trained.data)
    assert len(record.provenance.corpus_digest) == 64
    assert not (trained.run.checkpoints / "lm").exists()


def test_the_default_is_the_papers_one_layer_transformer() -> None:
    config = network_config(LmSettings(), 4096, 0)
    assert (config.n_layer, config.n_embd, config.n_inner, config.activation_function) == (1, 128, 512, "relu")
    assert (config.n_head, config.n_positions, config.vocab_size) == (4, 256, 4096)
    assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0, 0, 0)
    assert LmSettings().data == "stdlib"


def test_settings_shape_the_network() -> None:
    asked = LmSettings(layers=8, d_model=256, activation="gelu", context=64, vocab=1000)
    config = network_config(asked, 1000, 0)
    assert (config.n_layer, config.n_embd, config.n_inner, config.n_head) == (8, 256, 1024, 8)
    assert (config.activation_function, config.n_positions) == ("gelu", 64)
    config = network_config(LmSettings(d_model=96, heads=6, d_mlp=100), 4096, 0)
    assert (config.n_head, config.n_inner) == (6, 100)
    network = GPT2LMHeadModel(network_config(asked, 1000, 0))
    assert sum(one.numel() for one in network.parameters()) == count_by_hand(1000, 64, 256, 8, 1024)


@pytest.mark.parametrize(
    "asked",
    [
        {"vocab": 256},
        {"d_model": 100, "heads": 3},
        {"activation": "tanhh"},
        {"dtype": "float16"},
        {"context": 1},
        {"context": 4096, "batch": 1024},
        {"tokens": 100},
        {"batch": 2_000_000, "tokens": 1_000_000},
        {"seed": -1},
        {"layers": 0},
        {"d_model": 0},
        {"heads": 0},
        {"d_mlp": 0},
        {"batch": 0},
        {"heads": -2},
        {"d_mlp": -4},
        {"lr": 0.0},
        {"lr": -1.0},
        {"checkpoint_every": 0},
        {"samples": -1},
    ],
    ids=lambda asked: " ".join(f"{name}={value}" for name, value in asked.items()),
)
def test_impossible_settings(asked: dict[str, Any]) -> None:
    with pytest.raises(MonosemError) as caught:
        LmSettings(**asked).check()
    assert any(str(value) in caught.value.what for value in asked.values())
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) <= 2


def weights_of(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.model / "model.safetensors")


@pytest.fixture
def short(tiny_text: Path) -> dict[str, Any]:
    """Settings of a training of 60 steps, several epochs, that checkpoints every 7."""
    return SMALL | SHORT | {"data": str(tiny_text)}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, LmReport]:
    """That training, never stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    data, run = write_corpus(folder / "text.txt"), RunFolder(folder / "run")
    return run, train_lm(run, LmSettings(**(SMALL | SHORT | {"data": str(data)})), Silent(), resume=False)


class Killed(BaseException):
    """An interruption at a bad moment."""


def dying_at(step: int) -> Callable[[LmTrainer, Any], torch.Tensor]:
    """A step that kills the process."""
    plain = LmTrainer.step

    def go(self: LmTrainer, batch: Any) -> torch.Tensor:
        if self.step_count == step:
            raise Killed
        return plain(self, batch)

    return go


@pytest.mark.parametrize("step", [3, 7, 40])
def test_killed_and_resumed_it_is_the_same_to_the_bit(
    step: int,
    short: dict[str, Any],
    unbroken: tuple[RunFolder, LmReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first checkpoint, right after it, and between two, in a later epoch."""
    (whole, wanted), run = unbroken, RunFolder(tmp_path / "run")
    with monkeypatch.context() as inside, pytest.raises(Killed):
        inside.setattr(LmTrainer, "step", dying_at(step))
        train_lm(run, LmSettings(**short), Silent(), resume=False)
    assert not run.model.exists()
    kept = sorted(path.name for path in (run.checkpoints / "lm").glob("step-*.h5"))
    assert len(kept) == (step >= 7)
    monkeypatch.setattr(module, "train_tokenizer", lambda *args: pytest.fail("learnt the vocabulary again"))
    found = train_lm(run, LmSettings(), Silent(), resume=True)
    assert_equal_runs(run, whole)
    assert (found.held_out_loss, found.unigram_entropy) == (wanted.held_out_loss, wanted.unigram_entropy)


def assert_equal_runs(run: RunFolder, whole: RunFolder) -> None:
    ours, theirs = weights_of(run), weights_of(whole)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert (run.model / "tokenizer.json").read_bytes() == (whole.model / "tokenizer.json").read_bytes()


def test_stopped_on_request_it_leaves_a_checkpoint_of_that_step(
    short: dict[str, Any],
    unbroken: tuple[RunFolder, LmReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (whole, _), run = unbroken, RunFolder(tmp_path / "run")
    plain = LmTrainer.step

    def interrupt(self: LmTrainer, batch: Any) -> torch.Tensor:
        if self.step_count == 23:
            os.kill(os.getpid(), 2)
        return plain(self, batch)

    with monkeypatch.context() as inside, pytest.raises(KeyboardInterrupt):
        inside.setattr(LmTrainer, "step", interrupt)
        train_lm(run, LmSettings(**short), Silent(), resume=False)
    assert run.record().status == "stopped"
    assert [path.name for path in (run.checkpoints / "lm").glob("step-*.h5")] == ["step-24.h5"]
    train_lm(run, LmSettings(), Silent(), resume=True)
    assert_equal_runs(run, whole)
    assert run.record().status == "done"


def test_it_resumes_only_with_what_it_began_with(
    short: dict[str, Any], tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    with monkeypatch.context() as inside, pytest.raises(Killed):
        inside.setattr(LmTrainer, "step", dying_at(10))
        train_lm(run, LmSettings(**short), Silent(), resume=False)
    with pytest.raises(MonosemError, match="`resume=True`"):
        train_lm(run, LmSettings(**short), Silent(), resume=False)
    with pytest.raises(MonosemError, match="`d_model=16`, not 32"):
        train_lm(run, LmSettings(d_model=32), Silent(), resume=True)
    write_corpus(tiny_text, count=61)
    with pytest.raises(MonosemError, match="content has changed"):
        train_lm(run, LmSettings(), Silent(), resume=True)


def test_a_model_is_never_replaced(trained: Trained, tmp_path: Path) -> None:
    before = (trained.run.model / "model.safetensors").read_bytes()
    with pytest.raises(MonosemError, match="already holds a model"):
        train_lm(trained.run, LmSettings(**SMALL), Silent(), resume=False)
    assert train_lm(trained.run, LmSettings(), Silent(), resume=True) == trained.report
    trained.run.update(lm={})  # as where no figures were kept
    assert train_lm(trained.run, LmSettings(), Silent(), resume=True) is None
    trained.run.update(lm=asdict(trained.report))
    assert (trained.run.model / "model.safetensors").read_bytes() == before
    given = RunFolder(tmp_path)
    given.create(RunRecord())
    given.model.mkdir()
    for resume in (False, True):
        with pytest.raises(MonosemError, match="already holds a model"):
            train_lm(given, LmSettings(**SMALL), Silent(), resume=resume)


def test_killed_behind_its_model_it_ends_as_if_it_had_not_been(
    short: dict[str, Any], unbroken: tuple[RunFolder, LmReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")

    def die(folder: Path) -> None:
        if folder == run.path and run.model.is_dir():
            raise Killed

    with monkeypatch.context() as inside, pytest.raises(Killed):
        inside.setattr("store.files.atomic.sync", die)
        inside.setattr(RunFolder, "_close", lambda *_: None)
        train_lm(run, LmSettings(**short), Silent(), resume=False)
    assert run.record().status == "training lm"
    assert (run.checkpoints / "lm").is_dir()
    found = train_lm(run, LmSettings(), Silent(), resume=True)
    assert found is not None
    assert replace(found, seconds=0) == replace(unbroken[1], seconds=0)
    assert_equal_runs(run, unbroken[0])
    assert (run.record().status, run.record().pid) == ("done", 0)
    assert not (run.checkpoints / "lm").exists()
    run.update(status="stopped", config=run.record().config | {"train": {}})
    train_lm(run, LmSettings(), Silent(), resume=True)
    assert run.record().status == "stopped"


def test_a_loss_that_is_no_number_is_a_failure(short: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(WorkFailed) as caught:
        train_lm(run, LmSettings(**(short | {"lr": 1e30, "checkpoint_every": 1000})), Silent(), resume=False)
    assert "`lr`" in caught.value.hint
    assert caught.value.exit_code == 1
    assert run.record().status == "failed"
    assert not run.model.exists()


def test_learning_rate_rises_and_falls(tiny_text: Path) -> None:
    asked = LmSettings(**SMALL | {"tokens": 100 * 256, "lr": 0.01})
    assert asked.steps == 100
    trainer = LmTrainer(GPT2LMHeadModel(network_config(asked, 300, 0)), asked, torch.device("cpu"))
    rates = []
    for step in range(100):
        trainer.step_count = step
        rates.append(trainer.lr())
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    assert max(rates) == pytest.approx(0.01)
    assert all(a > b for a, b in pairwise(rates[5:]))
    assert rates[-1] == pytest.approx(0.001, rel=0.05)


def test_matrices_decay_and_vectors_do_not() -> None:
    asked = LmSettings(**SMALL)
    network = GPT2LMHeadModel(network_config(asked, 300, 0))
    groups = LmTrainer(network, asked, torch.device("cpu")).optimizer.param_groups
    decayed = {id(p) for group in groups for p in group["params"] if group["weight_decay"]}
    for name, parameter in network.named_parameters():
        assert (id(parameter) in decayed) == (not name.endswith("bias") and ".ln_" not in name), name


def test_stale_folders_of_killed_processes_are_cleared(short: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    stale = run.path / ".model.tmp-999999"
    stale.mkdir(parents=True)
    (stale / "config.json").write_text("{")
    train_lm(run, LmSettings(**short), Silent(), resume=False)
    assert not stale.exists()
    assert json.loads((run.model / "config.json").read_text())["n_embd"] == 16
