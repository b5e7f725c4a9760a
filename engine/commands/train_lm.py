"""`monosem lm`: a corpus to a tokenizer and a language model in `model/` of a run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
import transformers
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from engine.corpus.data_argument import open_corpus
from engine.corpus.documents import Corpus, Document
from engine.corpus.reading_order import Split, has_held_out, ordered
from engine.data.contexts import ContextSettings, ContextStream, StreamPosition
from engine.data.text_encoder import Encoding
from engine.jobs.resume import agreeing, begin, has_begun
from engine.jobs.subject import pinned
from engine.lm.tokenizer import END_OF_TEXT, fast_tokenizer, train_tokenizer
from engine.lm.trainer import LmTrainer, network_config, next_token_loss
from engine.resources.limits import check_room
from engine.resources.plans import lm_plan
from engine.runtime.devices import made_on, pick_device, products_in_bfloat16
from engine.runtime.interrupt import StopRequest, stop_request
from engine.runtime.progress import Progress, Task
from engine.training.schedule import CheckpointClock, diverged
from store.files.atomic import atomic_path, new_folder, sync
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.typed_json import decode
from store.run.checkpoint import Checkpoint, forget_others, latest_checkpoint, load_checkpoint, save_checkpoint
from store.run.folder import RunFolder
from store.settings.lm import LmSettings

HELD_OUT_CONTEXTS = 400
LOG_EVERY = 10
TOKENIZER = "tokenizer.json"
LONG_TEXT = 1 << 22
"""Characters from which on merging the pairs of a text into tokens takes seconds."""


@dataclass(frozen=True)
class LmReport:
    """Quality of a language model. Losses are in nats per token."""

    tokens: int
    """Tokens trained on."""
    parameters: int
    held_out_loss: float
    unigram_entropy: float
    """Loss on the same tokens of a model that knows only token frequencies."""
    held_out_tokens: int
    seconds: float
    samples: list[str]


def train_lm(run: RunFolder, asked: LmSettings, progress: Progress, *, resume: bool) -> LmReport | None:
    """Train a tokenizer and a GPT-2-architecture model, and save them as an ordinary Hugging Face folder.

    Return the model's report, or None where none was kept with a model that is there.

    Args:
        run: the folder; it may hold no model but the one that is resumed.
        asked: what to train.
        progress: receives reports.
        resume: go on with the training that is in the folder. Settings must agree with those it began with.

    Raises:
        MonosemError: a setting is impossible, the corpus is too small, or the folder already holds a model.
        KeyboardInterrupt: stopped on request, after a checkpoint.
    """
    settings = wanted_settings(run, pinned(asked), resume=resume)
    with run.locked():
        if run.model.is_dir():
            config = run.record().config
            if "lm" not in config:
                raise MonosemError(f"{run.model} already holds a model", "Choose another `out`.")
            progress.say(f"{run.model} is trained already")
            shutil.rmtree(run.checkpoints / "lm", ignore_errors=True)
            if len(config) == 1:  # else the status is that of later work
                run.update(status="done", message="", pid=0)
            return run.lm_figures(LmReport)
        corpus = open_corpus(settings.data, progress)
        progress.say(corpus.describe())
        device = pick_device(settings.device)
        plan = lm_plan(settings, corpus, bf16=products_in_bfloat16(settings.dtype, device))
        check_room(plan, run.path, device)
        _begin(run, settings, corpus, device, progress, resume=resume)
        with run.working("training lm"):
            tokenizer = _tokenizer(run, settings, corpus, progress)
            return _train(run, settings, corpus, tokenizer, device, progress)


def wanted_settings(run: RunFolder, asked: LmSettings, *, resume: bool) -> LmSettings:
    """Return the given settings, or those of the training to resume.

    Raises:
        MonosemError: the run holds a training and `resume` is not asked for, or does not agree with it.
    """
    begun = has_begun(run, "lm", asked, resume=resume)
    if begun and not resume:
        raise MonosemError(
            f"{run.path} already holds a model", "Go on with it by `resume=True`, or choose another `out`."
        )
    if not begun:
        asked.check()
        return asked
    stored = run.settings("lm", LmSettings)
    assert stored is not None
    return agreeing(stored, asked, run, free={"device"})


def _begin(
    run: RunFolder, settings: LmSettings, corpus: Corpus, device: torch.device, progress: Progress, *, resume: bool
) -> None:
    if not has_held_out(corpus, settings.held_out):
        progress.say("fewer than 20 texts: nothing can be held out, so the loss at the end is on the training text")
    read = replace(made_on(device), corpus=corpus.spec, corpus_digest=corpus.digest())
    begin(run, "lm", settings, replace(read, model="trained here", seed=settings.seed), resume=resume)


def _tokenizer(run: RunFolder, settings: LmSettings, corpus: Corpus, progress: Progress) -> PreTrainedTokenizerFast:
    """Learn the tokenizer, or take the one that an earlier, stopped call has learnt."""
    kept = run.checkpoints / "lm" / TOKENIZER
    if kept.is_file():
        return fast_tokenizer(settings.context, tokenizer_file=str(kept))
    documents = ordered(corpus, split="train", seed=settings.seed, epoch=0, rule=settings.held_out)

    def on_read(characters: int) -> None:
        if characters > LONG_TEXT:
            progress.say(f"{characters:,} characters are read; merging frequent pairs into tokens")

    with progress.task(f"learning a vocabulary of {settings.vocab:,} tokens", None, "documents") as bar:
        tokenizer = train_tokenizer(_counted(documents, bar), settings.vocab, settings.context, on_read)
    with atomic_path(kept) as temporary:
        tokenizer.backend_tokenizer.save(str(temporary))
    return tokenizer


def _counted(documents: Iterable[Document], bar: Task) -> Iterator[Document]:
    for document in documents:
        yield document
        bar.advance(1)


def _train(
    run: RunFolder,
    settings: LmSettings,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    device: torch.device,
    progress: Progress,
) -> LmReport:
    torch.manual_seed(settings.seed)
    end_of_text = int(tokenizer.convert_tokens_to_ids(END_OF_TEXT))
    network = GPT2LMHeadModel(network_config(settings, len(tokenizer), end_of_text))
    trainer = LmTrainer(network, settings, device)
    encoding = Encoding(tokenizer, end_of_text, end_of_text)
    began = time.perf_counter()
    _fit(run, trainer, corpus, encoding, progress)
    if not trainer.is_sound():
        raise diverged("the model's weights are not all finite numbers any more", run.checkpoints / "lm")
    loss, entropy, n = _held_out(trainer, _stream(settings, corpus, encoding, "heldout"), device, progress)
    network.eval()
    report = LmReport(
        tokens=settings.steps * settings.batch_tokens,
        parameters=sum(p.numel() for p in network.parameters()),
        held_out_loss=loss,
        unigram_entropy=entropy,
        held_out_tokens=n,
        seconds=time.perf_counter() - began,
        samples=[sample(network, tokenizer, settings.seed + i) for i in range(settings.samples)],
    )
    run.update(lm=asdict(report))
    _save(run, network, tokenizer)
    shutil.rmtree(run.checkpoints / "lm", ignore_errors=True)
    return report


def _stream(
    settings: LmSettings, corpus: Corpus, encoding: Encoding, split: Split, position: StreamPosition | None = None
) -> ContextStream:
    epochs = None if split == "train" else 1
    wanted = ContextSettings(settings.context, "packed", settings.seed, split, epochs, settings.held_out)
    return ContextStream(corpus, encoding, wanted, position)


def _fit(run: RunFolder, trainer: LmTrainer, corpus: Corpus, encoding: Encoding, progress: Progress) -> None:
    settings, folder = trainer.settings, run.checkpoints / "lm"
    position = None
    if found := latest_checkpoint(folder):
        checkpoint = load_checkpoint(found)
        with reading(found):
            trainer.restore(checkpoint.step, checkpoint.arrays)
            position = decode(StreamPosition, checkpoint.state["position"])
        progress.say(f"resumed at step {checkpoint.step} of {settings.steps}")
    stream = _stream(settings, corpus, encoding, "train", position)
    task = progress.task(
        "training the model",
        settings.steps * settings.batch_tokens,
        "tokens",
        trainer.step_count * settings.batch_tokens,
    )
    with stop_request() as request, task as bar:
        _steps(run, trainer, stream, request, bar)


def _steps(run: RunFolder, trainer: LmTrainer, stream: ContextStream, request: StopRequest, bar: Task) -> None:
    settings, folder = trainer.settings, run.checkpoints / "lm"
    clock = CheckpointClock(settings.checkpoint_every)
    shown = trainer.step_count
    for batch in stream.batches(settings.batch_contexts, (settings.steps - shown) * settings.batch_contexts):
        loss = trainer.step(batch)
        step = trainer.step_count
        if step % LOG_EVERY == 0 or step == settings.steps:
            if not torch.isfinite(loss):
                raise diverged(f"the model's loss is {loss.item()} at step {step}", folder)
            bar.advance((step - shown) * settings.batch_tokens, loss=loss.item())
            shown = step
        if request.asked or clock.is_due(step):
            if not trainer.is_sound():
                raise diverged(f"the model's weights are not all finite numbers at step {step}", folder)
            state = {"position": asdict(stream.position)}
            forget_others(save_checkpoint(folder, Checkpoint(step, trainer.state(), state)))
            clock.reset()
        if request.asked:
            raise KeyboardInterrupt


@torch.no_grad()
def _held_out(
    trainer: LmTrainer, stream: ContextStream, device: torch.device, progress: Progress
) -> tuple[float, float, int]:
    """Mean held-out loss, entropy of the same tokens' frequencies, and how many there were."""
    trainer.network.eval()
    counts = np.zeros(trainer.network.config.vocab_size, np.int64)
    total = 0.0
    with progress.task("measuring the loss on held-out text", HELD_OUT_CONTEXTS, "contexts") as bar:
        for batch in stream.batches(trainer.settings.batch_contexts, HELD_OUT_CONTEXTS):
            total += float(next_token_loss(trainer.network, batch, device).cpu().double().sum())
            counts += np.bincount(batch.tokens_BT[:, 1:][batch.mask_BT[:, 1:]], minlength=len(counts))
            bar.advance(len(batch.tokens_BT))
    n = int(counts.sum())
    share = counts[counts > 0] / max(n, 1)
    return total / max(n, 1), float(-(share * np.log(share)).sum()), n


def _save(run: RunFolder, network: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write model/, all or nothing."""
    transformers.utils.logging.disable_progress_bar()
    with new_folder(run.model) as temporary:
        network.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        for file in temporary.iterdir():
            sync(file)


@torch.no_grad()
def sample(network: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, seed: int, tokens: int = 80) -> str:
    """Text drawn from the model at temperature 0.8, from the start of a document, no longer than a context."""
    torch.manual_seed(seed)
    tokens = min(tokens, network.config.n_positions - 1)
    start = torch.tensor([[network.config.bos_token_id]], device=network.device)
    ids = network.generate(
        start, attention_mask=torch.ones_like(start), do_sample=True, temperature=0.8, top_k=0, max_new_tokens=tokens
    )
    return str(tokenizer.decode(ids[0, 1:], skip_special_tokens=True)).strip()
