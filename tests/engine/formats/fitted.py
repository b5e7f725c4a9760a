"""Autoencoders and transcoders fitted to places of a tiny model, so that only the right reading explains them.

Places are read by hooks on transformers' own modules, and computed by hand in float64. Encoders are random directions
around the mean, decoders the least squares fit to what they are to explain. Shapes: N tokens, D = d_in, O = d_out, F.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from engine.jobs.subject import open_subject
from engine.runtime.progress import Silent
from store.settings.train import TrainSettings
from tests.engine.small import random_texts
from tests.engine.tiny_models import tiny
from tests.engine.trained import contexts_of, model_folder, text_file

F64 = NDArray[np.float64]
LAYER, F, K = 1, 400, 48
Act = Literal["relu", "jumprelu", "topk"]


@dataclass(frozen=True)
class Case:
    """A tiny model of a family in a folder, a text, and what its layer 1 computes on it."""

    model: Path
    text: Path
    places: dict[str, F64]
    """By module of the layer and side, as in "mlp:input"; "" is the layer itself. Positions without BOS."""

    @classmethod
    def of(cls, folder: Path, family: str, change: Callable[[PreTrainedModel], None] | None = None) -> Case:
        """Write model (changed if wished) and text, and run the model on the contexts of the self-check."""
        model, text = model_folder(folder / "model", family), text_file(folder / "text.txt", random_texts(120, 30))
        if change is not None:
            network = tiny(family).network
            change(network)
            network.save_pretrained(model)
        settings = TrainSettings(model=str(model), data=str(text), device="cpu", dtype="float32", context=64)
        subject = open_subject(settings, Silent())
        network = subject.lm.load().network
        name, block = next(one for one in network.named_modules() if one[0].endswith(f"layers.{LAYER}"))
        del name
        seen: dict[str, list[torch.Tensor]] = {}

        def keep(place: str, value: Any) -> None:
            first = value[0] if isinstance(value, tuple) else value
            if isinstance(first, torch.Tensor) and first.ndim == 3:
                seen.setdefault(place, []).append(first[0].detach().clone())

        counted = []
        with ExitStack() as hooks, torch.no_grad():
            for path, module in block.named_modules():
                hooks.enter_context(
                    module.register_forward_pre_hook(
                        lambda _m, args, kwargs, path=path: keep(f"{path}:input", args or kwargs.get("hidden_states")),
                        with_kwargs=True,
                    )
                )
                hooks.enter_context(module.register_forward_hook(lambda _m, _a, out, path=path: keep(path, out)))
            for context in contexts_of(subject, "all"):
                network(input_ids=torch.from_numpy(context.tokens_BT).long(), use_cache=False)
                counted.append(context.counted_BT[0])
        counted_N = np.concatenate(counted)
        found = {place: torch.cat(parts).double().numpy() for place, parts in seen.items()}
        return cls(model, text, {place: x[counted_N] for place, x in found.items() if len(x) == len(counted_N)})


@dataclass(frozen=True)
class Fitted:
    """f = act(x W_enc + b_enc), ŷ = f W_dec + b_dec + x skip; the tensors in float32, as files hold them."""

    act: Act
    W_enc: F64
    b_enc: F64
    W_dec: F64
    b_dec: F64
    threshold: F64
    skip: F64
    """[D, O]; zeros for none."""
    explained_variance: float
    l0: float

    @classmethod
    def to(cls, x_ND: F64, y_NO: F64, act: Act, *, skips: bool = False, rank: int | None = None) -> Fitted:
        """Fit a dictionary that reads x, or only its first principal components."""
        rng = np.random.default_rng(0)
        mean_D, spread = x_ND.mean(0), float(x_ND.std(0).mean())
        W_enc = rng.standard_normal((x_ND.shape[1], F)) / (spread * x_ND.shape[1] ** 0.5)
        if rank is not None:
            axes_RD = np.linalg.svd(x_ND - mean_D, full_matrices=False)[2][:rank]
            W_enc = (x_ND.shape[1] / rank) ** 0.5 * axes_RD.T @ (axes_RD @ W_enc)
        b_enc = -mean_D @ W_enc - 0.3
        threshold = rng.uniform(0.05, 0.2, F) if act == "jumprelu" else np.zeros(F)
        W_enc, b_enc, threshold = (one.astype(np.float32).astype(np.float64) for one in (W_enc, b_enc, threshold))
        f_NF = acts_of(act, x_ND @ W_enc + b_enc, threshold)
        ones_N1 = np.ones((len(x_ND), 1))
        columns = np.concatenate([f_NF, ones_N1, *([x_ND] if skips else [])], axis=1)
        gram = columns.T @ columns
        solved = np.linalg.solve(gram + 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram)), columns.T @ y_NO)
        skip = solved[F + 1 :] if skips else np.zeros((x_ND.shape[1], y_NO.shape[1]))
        W_dec, b_dec, skip = (one.astype(np.float32).astype(np.float64) for one in (solved[:F], solved[F], skip))
        error = y_NO - (f_NF @ W_dec + b_dec + x_ND @ skip)
        explained = 1 - np.square(error).sum() / np.square(y_NO - y_NO.mean(0)).sum()
        return cls(act, W_enc, b_enc, W_dec, b_dec, threshold, skip, float(explained), float((f_NF > 0).sum(1).mean()))

    def acts(self, x_ND: F64) -> F64:
        """Return the activations [N, F] of inputs as the source reads them."""
        return acts_of(self.act, x_ND @ self.W_enc + self.b_enc, self.threshold)

    def out(self, x_ND: F64) -> F64:
        """Return what is explained [N, O]."""
        return self.acts(x_ND) @ self.W_dec + self.b_dec + x_ND @ self.skip

    def tensor(self, name: str) -> torch.Tensor:
        """Return one of its tensors, float32."""
        return torch.from_numpy(getattr(self, name).astype(np.float32))


def acts_of(act: Act, z_NF: F64, threshold_F: F64) -> F64:
    """Return z where it is above the threshold and 0, and for topk among the K largest."""
    if act == "topk":
        z_NF = np.where(z_NF >= np.sort(z_NF, axis=1)[:, -K][:, None], z_NF, 0)
    return np.where(z_NF > threshold_F, np.maximum(z_NF, 0), 0)
