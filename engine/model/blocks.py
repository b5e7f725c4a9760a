"""Propose where a transformer block holds the named sites, from its modules' names and what they pass to each other.

One forward pass of a few tokens shows in which order the parts of a block run and which tensors each reads; their names
say which is attention and which the MLP. resid_mid is the tensor that a part reads after attention and that no part has
returned: the block has added it up itself. What attention or the MLP adds is its output, or that of the module which
reads this output (a norm after it, as in Gemma 2), or, in a part that is given the stream and adds to it (BLOOM), that
of its last matrix. engine/model/site_proof.py checks the proposal by numbers.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from engine.model.language_model import LanguageModel
from engine.model.placement import at_hand
from engine.model.quantisation import plain
from engine.runtime.hub import one_line
from store.files.errors import MonosemError

Side = Literal["input", "output"]
N_CONTEXTS, N_TOKENS = 2, 4
"""Shape of the tokens that a model is tried on."""
PATH_HINT = "Give the path of a module as `site`."
_NORM = re.compile(r"norm|(^|_)ln(_|\d|$)")
_ROLES = {"mlp": re.compile(r"mlp|ffn|feed_?forward|moe|^fc\d$"), "attention": re.compile(r"attn|attention")}
_CLASSES = {"mlp": re.compile(r"Mlp|MLP|FeedForward|Mo[eE](Block)?$"), "attention": re.compile("Attention")}
"""Classes say it where names do not: those of NVIDIA's hybrids are all called mixer."""
_EXPERTS = re.compile(r"expert|router")


class Place(NamedTuple):
    """Where a block holds a site."""

    module: str
    """Path from the root."""
    side: Side
    width: int
    flat: bool
    """Whether contexts lie one after the other, [B·T, width]."""
    overwritten: bool
    """Whether the block changes the tensor in place later on."""


@dataclass(frozen=True)
class Block:
    """A block of a model: the places of its sites, and why others are missing."""

    path: str
    places: dict[str, Place]
    """By site; attn_out is what attention, or what else stands in its place, adds. MLPs beside the first are called
    mlp_out and their path."""
    missing: dict[str, str]
    """By site: why it is refused, as a clause about the block."""
    mixer: str
    """Path of attention, or of what stands in its place; empty for none."""
    mlp: str
    """Path of the MLP; where its matrices are parts of the block itself, of the last one; empty for none."""
    mlp_norm: str
    """Path of the module between the MLP and the stream; empty for none."""
    scale: float
    """Factor on what attention and MLP return before it is added."""


@dataclass(eq=False)
class Event:
    """A module that ran."""

    name: str
    """Path within the block; empty for the block itself."""
    module: nn.Module
    given: torch.Tensor | None
    """Its hidden states, as a hook reaches them."""
    inputs: list[torch.Tensor]
    given_version: int
    """How often `given` had been changed in place by then."""
    output: torch.Tensor | None = None
    output_version: int = 0

    def reads(self, other: Event) -> bool:
        """Return whether it was given what another returned, unchanged."""
        return same_memory(self.given, other.output) and self.given_version == other.output_version


class Reached(BaseException):
    """Ends a forward pass; no `except Exception` in a model can swallow it."""


def tensor_in(value: Any) -> torch.Tensor | None:
    """Return the hidden states in a module's input or output: the tensor itself, or the first entry of a tuple."""
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, torch.Tensor) else None


def hidden_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
    """Return the hidden states that a module is called with: its first argument, or `hidden_states` by keyword."""
    return tensor_in(args if args else kwargs.get("hidden_states"))


def matrix_in_out(module: nn.Module) -> torch.Tensor:
    """Return a linear layer's weight as [d_in, d_out]: the layout of GPT-2's Conv1D; nn.Linear is transposed."""
    with at_hand(module):
        weight = plain(module.get_parameter("weight"))
    return weight.T if isinstance(module, nn.Linear) else weight


def blocks_path(lm: LanguageModel) -> str:
    """Return the path of the list of blocks, in the language part of the model where it has others.

    Raises:
        MonosemError: no list of modules has an entry per layer.
    """
    whole = lm.whole
    decoder = whole.get_decoder()
    inside = next((f"{name}." for name, module in whole.named_modules() if module is decoder and name), "")
    found: list[str] = [
        name
        for name, module in whole.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == lm.n_layers
    ]
    if not found:
        kind = lm.network.config.model_type
        raise MonosemError(f"{lm.name} is a {kind} model, in which monosem finds no list of blocks", PATH_HINT)
    found.sort(key=lambda name: (not name.startswith(inside), name.count(".")))
    return found[0]


def propose_block(lm: LanguageModel, layer: int) -> Block:
    """Return the places of the named sites in a block, unproven.

    Raises:
        MonosemError: the block does not pass on one vector per token, or the model does not run on a few tokens.
    """
    path = f"{blocks_path(lm)}.{layer}"
    *events, whole = _events(lm, path)
    pre, post = whole.given, whole.output
    one_stream = (N_CONTEXTS, N_TOKENS, lm.d_model)
    if pre is None or post is None or not pre.shape == post.shape == one_stream:
        shapes = " to ".join("not a tensor" if one is None else f"{[*one.shape]}" for one in (pre, post))
        what = f"{lm.name} has no named sites: its blocks do not pass on one vector of {lm.d_model} per token"
        raise MonosemError(f"{what} ({shapes} for {N_CONTEXTS} contexts of {N_TOKENS} tokens)", PATH_HINT)
    return _Reading(path, events, whole).block()


def few_tokens(lm: LanguageModel) -> torch.Tensor:
    """Return tokens [B, T], spread over the vocabulary and none of them special."""
    config = lm.network.config.to_dict() | lm.text_config.to_dict()
    special = {str(config[name]) for name in config if name.endswith(("_token_id", "_token_index"))}
    wanted, step = N_CONTEXTS * N_TOKENS, max(1, lm.vocab_size // (N_CONTEXTS * N_TOKENS + 1))
    found = [token for token in range(step, lm.vocab_size, step) if str(token) not in special][:wanted]
    return torch.tensor(found + [0] * (wanted - len(found)), device=lm.input_device).view(N_CONTEXTS, N_TOKENS)


def run_few_tokens(lm: LanguageModel) -> None:
    """Run the model on a few tokens, until a hook ends the pass.

    Raises:
        MonosemError: it fails.
    """
    try:
        with torch.no_grad():
            lm.network(input_ids=few_tokens(lm), use_cache=False)
    except Reached:
        pass
    except Exception as error:  # any of hundreds of architectures
        raise MonosemError(f"{lm.name} cannot be run on a few tokens: {one_line(error)}", PATH_HINT) from error


def _events(lm: LanguageModel, path: str) -> list[Event]:
    """Return the modules of a block in the order in which they end in a forward pass; the block itself is last."""
    going: list[Event] = []
    done: list[Event] = []

    def begin(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = hidden_in(args, kwargs)
        tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
        going.append(Event(name, module, given, tensors, 0 if given is None else given._version))

    def end(output: Any) -> None:
        event = going.pop()
        event.output = tensor_in(output)
        event.output_version = 0 if event.output is None else event.output._version
        done.append(event)
        if not event.name:
            raise Reached

    with ExitStack() as hooks:
        for name, module in lm.network.get_submodule(path).named_modules():

            def before(module: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
                begin(name, module, args, kwargs)

            hooks.enter_context(module.register_forward_pre_hook(before, with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(lambda _module, _args, output: end(output)))
        run_few_tokens(lm)
    if not done or done[-1].name:
        raise MonosemError(f"{path} never runs in {lm.name}", PATH_HINT)
    return done


def same_memory(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Return whether two tensors are the same memory: one, or one a view of all of the other."""
    if one is None or other is None or one.numel() != other.numel():
        return False
    first, second = ((it.untyped_storage()._cdata, it.storage_offset()) for it in (one, other))
    return first == second


def _role(part: Event) -> str:
    """Return norm, mlp, attention, mixer (of tokens, other than attention), or nothing for what only passes on."""
    if isinstance(part.module, nn.Dropout | nn.Identity):
        return ""
    cls = type(part.module).__name__
    if "Norm" in cls or _NORM.search(part.name):
        return "norm"
    for text, roles in ((part.name, _ROLES), (cls, _CLASSES)):
        for role, words in roles.items():
            if words.search(text):
                return role
    return "mixer" if next(part.module.parameters(), None) is not None else ""


class _Reading:
    """Reads the events of a block."""

    def __init__(self, path: str, events: list[Event], whole: Event) -> None:
        self.path, self.events, self.whole = path, events, whole
        self.parts = [event for event in events if "." not in event.name]
        by_role = {role: [part for part in self.parts if _role(part) == role] for role in (*_ROLES, "mixer")}
        self.mixer = next(iter(by_role["attention"] + by_role["mixer"]), None)
        self.mlps = by_role["mlp"]
        self.has_attention = bool(by_role["attention"])

    def block(self) -> Block:
        """Return the proposal."""
        mixer, mlp = self.mixer, self.mlps[0] if self.mlps else None
        middle, added = None, None
        if mixer is not None:
            inside = self._adds_itself(mixer, self.whole.given)
            added = self._last_matrix(mixer) if inside else self._end(mixer)
            middle = self._middle(mixer, mlp, inside) if mlp in self._after(mixer) else None
        tail = self._tail(mlp, middle) if mlp is not None else None
        written = self._end(tail) if tail is not None and tail in self.parts else tail
        down = tail if mlp is not tail else self._last_matrix(mlp) if mlp is not None else None
        missing = self._missing(mlp, middle, down)
        found: dict[str, tuple[Event | None, Side]] = {
            "resid_pre": (self.whole, "input"),
            "resid_mid": (middle, "input"),
            "resid_post": (self.whole, "output"),
            "attn_out": (added, "output"),
            "mlp_in": (mlp, "input"),
            "mlp_out": (written, "output"),
            "mlp_act": (down, "input"),
        }
        siblings = self._siblings(mlp) if mlp is not None else []
        found |= {f"mlp_out {self._full(part)}": (part, "output") for part in siblings}
        places = {}
        for site, (event, side) in found.items():
            place = None if event is None else self._place(event, side)
            if place is not None:
                places[site] = place
            else:
                missing.setdefault(site, "does not hold it as one vector per token")
        return Block(
            path=self.path,
            places=places,
            missing=missing,
            mixer=self._full(mixer),
            mlp=self._full(tail),
            mlp_norm=self._full(written) if written is not tail else "",
            scale=self._scale(),
        )

    def _missing(self, mlp: Event | None, middle: Event | None, down: Event | None) -> dict[str, str]:
        found = {}
        if not self.has_attention:
            mixer = f", and mixes tokens by {self._full(self.mixer)}" if self.mixer else ""
            found["attn_out"] = f"has no attention{mixer}"
        if mlp is None:
            found |= dict.fromkeys(("mlp_in", "mlp_out", "mlp_act"), "has no MLP")
        elif self._siblings(mlp):
            names = ", ".join(self._full(part) for part in (mlp, *self._siblings(mlp)))
            found |= dict.fromkeys(("mlp_out", "mlp_act"), f"adds up several MLPs: {names}")
        elif any(_EXPERTS.search(name) for name, _ in mlp.module.named_modules()):
            found["mlp_act"] = "has a mixture of experts for an MLP"
        elif down is None:
            found["mlp_act"] = "has an MLP that does not end in a matrix"
        if middle is None and mlp is not None and self.mixer is not None:
            found["resid_mid"] = "adds attention and MLP to resid_pre together"
        elif middle is None:
            found["resid_mid"] = "has a single part"
        return found

    def _after(self, part: Event) -> list[Event]:
        return self.parts[self.parts.index(part) + 1 :]

    def _end(self, part: Event) -> Event:
        """Return the last of the modules through which a part's output passes alone; the part itself for none."""
        for later in self._after(part):
            if _role(later) not in ("", "mlp") and later.reads(part):
                part = later
        return part

    def _adds_itself(self, part: Event, stream: torch.Tensor | None) -> bool:
        """Return whether a part is given the stream beside what it reads, to add to it."""
        return any(same_memory(one, stream) for one in part.inputs if one is not part.given)

    def _middle(self, mixer: Event, mlp: Event | None, inside: bool) -> Event | None:
        """Return the part that reads the stream between attention and MLP; None where they run side by side."""
        between = self._after(mixer)
        for part in between[: between.index(mlp) + 1] if mlp is not None else []:
            if _role(part) not in ("norm", "mlp") or same_memory(part.given, self.whole.given):
                continue
            if part.reads(mixer) if inside else not any(part.reads(other) for other in self.parts):
                return part
        return None

    def _siblings(self, mlp: Event) -> list[Event]:
        """Return the other MLPs that read the same."""
        return [part for part in self.mlps if part is not mlp and same_memory(part.given, mlp.given)]

    def _tail(self, mlp: Event, middle: Event | None) -> Event | None:
        """Return the module whose output the MLP's result is, before what follows the MLP."""
        if isinstance(mlp.module, nn.Linear):  # the matrices are parts of the block themselves
            return next(part for part in reversed(self.mlps) if isinstance(part.module, nn.Linear))
        return self._last_matrix(mlp) if middle is not None and self._adds_itself(mlp, middle.given) else mlp

    def _last_matrix(self, part: Event) -> Event | None:
        width = self.whole.output.shape[-1] if self.whole.output is not None else 0
        inside = (event for event in reversed(self.events) if event.name.startswith(f"{part.name}."))
        return next(
            (
                event
                for event in inside
                if isinstance(event.module, nn.Linear | Conv1D)
                and event.output is not None
                and event.output.shape[-1] == width
            ),
            None,
        )

    def _place(self, event: Event, side: Side) -> Place | None:
        acts, version = (event.given, event.given_version) if side == "input" else (event.output, event.output_version)
        if acts is None or acts.shape[:-1] not in ((N_CONTEXTS, N_TOKENS), (N_CONTEXTS * N_TOKENS,)):
            return None
        return Place(self._full(event), side, acts.shape[-1], acts.ndim == 2, acts._version != version)

    def _full(self, event: Event | None) -> str:
        return "" if event is None else f"{self.path}.{event.name}" if event.name else self.path

    def _scale(self) -> float:
        named = vars(self.whole.module).items()
        return next((value for name, value in named if "residual" in name and type(value) is float), 1.0)
