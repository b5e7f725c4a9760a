"""Load language models without output, and describe them to the rest of the engine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import transformers
from huggingface_hub.utils.tqdm import disable_progress_bars
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from engine.model.config_file import CONTEXT, first_number
from engine.model.configuration import read_config, shell
from engine.model.extra_packages import check_placing
from engine.model.model_files import SHORT_NAMES, ModelFiles, find_model
from engine.model.placement import Placement, at_hand
from engine.model.quantisation import check_kernels, quantise
from engine.model.token_ids import check_token_ids
from engine.model.weights import Cut, check_room, cut_after, is_tied, load_network, stored_unembedding
from engine.runtime.devices import dtype_name, dtype_remark, pick_dtype
from engine.runtime.free_memory import gigabytes
from engine.runtime.hub import one_line
from engine.runtime.progress import Progress, Silent, sha256_of
from store.files.errors import MonosemError
from store.settings.subject import FULL, SPREAD, Weights

T = TypeVar("T")
LARGE = 10**8
"""Bytes of a model from which loading it is announced."""
STORED = {"BF16": torch.bfloat16, "F16": torch.float16}
"""Dtypes of weights that a network may be computed in; from all others it is computed in float32."""

__all__ = ["SHORT_NAMES", "LanguageModel", "describe_model", "load_model", "rehearsed"]


class Origin(NamedTuple):
    """The source of the weights of a model, and its network without them."""

    files: ModelFiles
    config: PreTrainedConfig
    shell: PreTrainedModel
    """The whole network on the meta device, in the dtype to compute in."""
    progress: Progress


@dataclass(eq=False)
class LanguageModel:
    """A causal language model, frozen and in evaluation mode, with its tokenizer.

    One that `describe_model` returned has neither weights nor a tokenizer: its modules, on the meta device, are enough
    for sites, shapes and refusals. `load` loads the weights as far as they are needed; running it does so too.
    """

    name: str
    """The model's name as the user wrote it."""
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    """None where the model's folder has no tokenizer, and before `read_tokenizer`."""
    device: torch.device
    revision: str = ""
    """Commit of the hub repository; empty for a local folder."""
    weight_files: tuple[Path, ...] = ()
    origin: Origin | None = None
    """None for a network made otherwise."""
    loaded: Cut | bool = True
    """Whether the weights are loaded, or up to where."""
    weights: Weights = FULL
    """The precision of the matrices of its blocks."""
    placement: Placement | None = None
    """Where its parts lie, if on more than `device`, which has its inputs and results."""

    def load(self, upto: Sequence[str] = ()) -> LanguageModel:
        """Load the weights of the blocks up to the last of these modules, or all, and return the model itself.

        What is loaded already stays, and is not read again.

        Raises:
            MonosemError: the weights are unusable.
            WorkFailed: they do not fit into the device's memory.
        """
        if self.origin is None or self.loaded is True:
            return self
        files, config, whole, progress = self.origin
        check_placing(self.weights, SPREAD if self.placement else "")
        if not (size := self.missing(upto)):
            return self
        check_room(self.name, size, None if self.placement else self.device)
        cut = cut_after(whole, upto)
        if size >= LARGE:
            part = f", {cut.kept} of {self.n_layers} layers" if cut else ""
            progress.say(f"loading {self.name}: {gigabytes(size)}{part}")
        self.network, self.loaded = whole, False  # a part of the weights is not held twice
        with _silence():
            self.network = load_network(files, config, whole.dtype, self.device, cut, self.placement)
            if self.weights != FULL:
                quantise(self.network, self.weights, self.device, progress)
        self.loaded = cut or True
        return self

    @property
    def has_weights(self) -> bool:
        """Whether there are weights to load, or they are loaded."""
        return self.origin is None or bool(self.origin.files.weights)

    def missing(self, upto: Sequence[str] = ()) -> int:
        """Return the bytes of weights that `load` would load."""
        if self.origin is None or self.loaded is True:
            return 0
        files, _, whole, _ = self.origin
        cut = cut_after(whole, upto)
        if cut is not None and isinstance(self.loaded, Cut) and self.loaded.kept >= cut.kept:
            return 0
        sizes = {name: tensor.size for name, tensor in files.tensors.items()}
        sizes = sizes or {name: tensor.numel() for name, tensor in whole.named_parameters()}
        return sum(size for name, size in sizes.items() if cut is None or not cut.skips(name)) * int(
            whole.dtype.itemsize
        )

    def read_tokenizer(self) -> None:
        """Read the tokenizer, where there is one and it is not read yet.

        Raises:
            MonosemError: its files are damaged.
        """
        if self.tokenizer is None and self.origin is not None and self.origin.files.has_tokenizer:
            with _silence():
                self.tokenizer = _load_tokenizer(self.origin.files)

    @property
    def whole(self) -> PreTrainedModel:
        """The network with all its blocks, whose weights may not be loaded."""
        return self.network if self.origin is None else self.origin.shell

    @property
    def input_device(self) -> torch.device:
        """Where its tokens go: its device, or the meta device before there are weights."""
        return self.network.device if self.loaded is False or self.placement is None else self.device

    def unembedding(self) -> torch.Tensor:
        """Return the matrix that turns the stream into logits [V, d_model], which is loaded alone if it is not yet."""
        weight_VM = getattr(self.network.get_output_embeddings(), "weight", None)
        if self.origin is not None and (weight_VM is None or weight_VM.is_meta):
            whole = self.origin.shell
            weight_VM = None if is_tied(whole) else stored_unembedding(self.origin.files)
            if weight_VM is None or weight_VM.shape != whole.get_output_embeddings().weight.shape:
                weight_VM = self.load().network.get_output_embeddings().weight
        assert isinstance(weight_VM, torch.Tensor)
        with at_hand(self.network.get_output_embeddings()):
            if weight_VM.is_meta:
                weight_VM = self.network.get_output_embeddings().weight
            return weight_VM.detach().to(self.device, self.network.dtype)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the safetensors files in order of name; empty for a model without files.

        For a single file it is the digest that the hub and `sha256sum` show. The first access reads all weights.
        """
        if not self.weight_files:
            return ""
        size = sum(path.stat().st_size for path in self.weight_files)
        shown = Silent() if self.origin is None else self.origin.progress
        return sha256_of(self._weight_blocks(), size, "reading the weights for their digest", shown)

    @cached_property
    def tokenizer_digest(self) -> str:
        """SHA-256 over the tokenizer's files and the version of transformers, which reads them; empty without files."""
        if self.origin is None or not self.origin.files.tokenizer_files:
            return ""
        digest = sha256(transformers.__version__.encode())
        for path in self.origin.files.tokenizer_files:
            digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def _weight_blocks(self) -> Iterator[bytes]:
        for path in sorted(self.weight_files, key=lambda file: file.name):
            with path.open("rb") as stream:
                while block := stream.read(1 << 22):
                    yield block

    @property
    def text_config(self) -> Any:
        """The configuration of the language part; for text-only models the whole configuration."""
        return self.network.config.get_text_config()

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.text_config.hidden_size)

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.text_config.num_hidden_layers)

    @property
    def vocab_size(self) -> int:
        """Number of logits; may exceed the tokenizer's number of tokens."""
        return int(self.text_config.vocab_size)

    @property
    def max_context(self) -> int | None:
        """The longest context of the model in tokens; None if its configuration does not give it."""
        return first_number({name: getattr(self.text_config, name, None) for name in CONTEXT}, CONTEXT)

    @property
    def bos_id(self) -> int | None:
        """The token that begins every context; None if the model has none.

        The tokenizer takes precedence: Qwen's configuration names a BOS token that its tokenizer never uses.
        """
        return self._special("bos_token_id")

    @property
    def separator_id(self) -> int | None:
        """The token between documents: BOS, or else the end-of-text token."""
        return self._special("eos_token_id") if self.bos_id is None else self.bos_id

    def _special(self, key: str) -> int | None:
        found = getattr(self.text_config if self.tokenizer is None else self.tokenizer, key, None)
        if isinstance(found, list | tuple):  # configurations may list several end-of-text tokens
            found = found[0] if found else None
        return None if found is None else int(found)


def load_model(
    name: str, *, device: torch.device, dtype: torch.dtype, progress: Progress | None = None
) -> LanguageModel:
    """Load a model and its tokenizer; see `describe_model` and `LanguageModel.load`."""
    lm = describe_model(name, device=device, dtype=dtype_name(dtype), progress=progress)
    lm.load()
    lm.read_tokenizer()
    return lm


def describe_model(
    name: str,
    *,
    device: torch.device,
    dtype: str,
    weights: Weights = FULL,
    placement: Placement | None = None,
    progress: Progress | None = None,
    for_plan: bool = False,
) -> LanguageModel:
    """Find a model in a folder, a run, under a short name or a hub id, and describe it without reading its weights.

    Code that comes with it is not run. Silences transformers and the hub's client for the rest of the process:
    standard output is for results, and the terminal may belong to the app.

    Args:
        name: the model's.
        device: where it will run.
        dtype: type to compute in; `auto` picks one by the weights and the device, and reports another than theirs.
        weights: precision of the matrices of its blocks.
        placement: where its parts lie, if on more than `device`.
        progress: receives reports, also of loading.
        for_plan: its weights need not be here, and are not digested.

    Raises:
        MonosemError: there is no such model, or it is unusable.
    """
    progress = progress or Silent()
    check_kernels(weights, device)
    with _silence():
        files = find_model(name, progress, needs_weights=not for_plan)
        config = read_config(files)
        own = STORED.get(files.dtype, torch.float32) if files.weights else config.dtype or torch.float32
        chosen = pick_dtype(dtype, device, own)
        network = shell(files, config, chosen)
    if remark := dtype_remark(dtype, chosen, own, device):
        progress.say(remark)
    if not files.weights:
        progress.say(
            f"the weights of {name} are not here: its speed is estimated from config.json and a matrix product"
        )
    origin, found = Origin(files, config, network, progress), () if for_plan else files.weights
    return LanguageModel(
        name,
        network,
        None,
        device,
        files.revision,
        found,
        origin,
        loaded=False,
        weights=weights,
        placement=placement,
    )


def rehearsed(lm: LanguageModel, run: Callable[[], T], upto: Sequence[str] = ()) -> T:
    """Return what `run` sees of a forward pass whose numbers do not matter: a large model's is on no real tensors.

    Where an architecture cannot run without numbers, the weights are loaded, as far as these modules or all.
    """
    if lm.loaded is False and lm.origin is not None and (not lm.has_weights or lm.origin.files.n_bytes >= LARGE):
        from torch._subclasses.fake_tensor import FakeTensorMode

        with suppress(Exception), FakeTensorMode(allow_non_fake_inputs=True):
            return run()
    lm.load(upto)
    return run()


@contextmanager
def _silence() -> Iterator[None]:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("huggingface_hub", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disable_progress_bars()
        yield


def _load_tokenizer(files: ModelFiles) -> PreTrainedTokenizerBase:
    if not files.source:
        check_token_ids(files.folder)
    try:
        return AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False, **files.source
        )
    except Exception as error:  # JSON errors, KeyErrors, missing packages
        raise MonosemError(
            f"the tokenizer in {files.weights[0] if files.source else files.folder} cannot be read: {one_line(error)}"
        ) from error
