"""One sparse autoencoder in training: a step, its counters, and its complete state as arrays.

Shapes: B tokens of a batch, N tokens of a sample, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.sae.base import SaeSettings, StepLoss
from engine.sae.registry import architecture
from engine.sae.shard import FeatureShard
from engine.training.optim import MOMENTUM, Adam, adam_arrays, adam_state, all_finite, clipped_norm, forget, resample
from engine.training.schedule import lr_factor, resampling_steps, warmth
from store.files.errors import WorkFailed

ADAM_BETAS = (0.9, 0.999)
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """An autoencoder and how it is optimised."""

    arch: str
    sae: SaeSettings
    lr: float
    batch: int
    steps: int
    warmup: int
    """Steps over which the learning rate and the sparsity penalty rise."""
    decay: int
    """Steps at the end over which the learning rate falls to 0."""
    dead_after: int
    """Tokens of silence after which a feature counts as dead."""
    seed: int
    products: str = "float32"
    """Dtype of the encoder's product, float32 or bfloat16; all else is float32."""

    @property
    def tokens(self) -> int:
        """Activations of all steps."""
        return self.steps * self.batch


def _mean_and_scale(sample_ND: Tensor) -> tuple[Tensor, float]:
    """Return the mean of raw activations [D], and the factor that scales them to E‖x - mean‖² = d."""
    mean_D = sample_ND.mean(0)
    spread = (sample_ND - mean_D).square().sum(1).mean().item()
    if not math.isfinite(spread):
        raise WorkFailed(
            "some activations are NaN or infinite", "Extract them again with `dtype=float32`, or mend the array."
        )
    if spread == 0:
        raise WorkFailed("the activations are the same for every token: there is nothing to learn")
    return mean_D, (sample_ND.shape[1] / spread) ** 0.5


Sum = Tensor | float
"""A running sum on the device: reading it waits for the device."""


@dataclass
class Tally:
    """Sums over the steps since the last log line."""

    steps: int = 0
    loss: Sum = 0.0
    squared_error: Sum = 0.0
    variance: Sum = 0.0
    n_active: Sum = 0
    grad_norm: Sum = 0.0
    terms: dict[str, Sum] = field(default_factory=dict)

    def add(self, loss: StepLoss, grad_norm: Tensor) -> None:
        """Add one step."""
        self.steps += 1
        self.loss = self.loss + loss.total.detach()
        self.squared_error = self.squared_error + loss.squared_error
        self.variance = self.variance + loss.variance
        self.n_active = self.n_active + loss.n_active
        self.grad_norm = self.grad_norm + grad_norm
        for name, value in loss.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value

    def to_json(self) -> dict[str, Any]:
        """Return the sums as JSON values; float32 sums survive exactly."""
        sums = {name: _number(getattr(self, name)) for name in SUMS}
        return sums | {"steps": self.steps, "terms": {name: _number(value) for name, value in self.terms.items()}}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tally:
        """Restore what `to_json` returned."""
        return cls(**values)


def _number(value: Sum) -> float:
    return value.item() if isinstance(value, Tensor) else value


SUMS = ("loss", "squared_error", "variance", "n_active", "grad_norm")


class SaeTrainer:
    """Trains an autoencoder on batches of activations given by the caller."""

    def __init__(self, settings: TrainerSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.step_count = 0
        self.scale = 1.0
        """Factor that scales inputs to E‖x - mean‖² = d_in; folded into the weights when they are saved."""
        self.y_scale: float | None = None
        """The same factor for a transcoder's target, E‖y - mean‖² = d_out."""
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.sae = architecture(settings.arch)(settings.sae).to(device)
        self.sae.product_dtype = torch.bfloat16 if settings.products == "bfloat16" else None
        self.optimizer = Adam(self.sae.parameters(), lr=settings.lr, betas=ADAM_BETAS, fused=True)
        self.silent_F = torch.zeros(settings.sae.n_features, dtype=torch.int64, device=device)
        """Tokens since each feature of this rank last fired."""
        self.tally = Tally()
        self._last: tuple[Tensor, Tensor] | None = None
        """Errors and targets of the last batch, scaled."""
        self._resampling = frozenset(resampling_steps(settings.steps)) if self.sae.resamples else frozenset()

    def start(self, sample_ND: Tensor, y_NO: Tensor | None = None) -> None:
        """Before the first step: set scale, mean and random weights from a sample of activations.

        Args:
            sample_ND: raw inputs.
            y_NO: a transcoder's raw targets for the same tokens.

        Raises:
            WorkFailed: the activations are not finite, or all equal.
        """
        mean_D, self.scale = _mean_and_scale(sample_ND)
        scaled_O = None
        if y_NO is not None:
            mean_O, self.y_scale = _mean_and_scale(y_NO)
            scaled_O = mean_O * self.y_scale
        self.sae.initialise(mean_D * self.scale, self.generator, scaled_O)

    @property
    def shard(self) -> FeatureShard:
        """The features that this process trains."""
        return self.settings.sae.shard

    def is_sound(self) -> bool:
        """Return whether all weights are finite."""
        return not self.shard.ranks.largest([int(not all_finite(self.sae))])[0]

    @property
    def n_dead(self) -> int:
        """Features silent for `dead_after` tokens."""
        return int(self.shard.total((self.silent_F >= self.settings.dead_after).sum()))

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        s = self.settings
        return s.lr * lr_factor(step, s.steps, s.warmup, s.decay)

    def step(self, x_BD: Tensor, y_BO: Tensor | None = None) -> None:
        """Take one optimizer step on raw activations; `y_BO` is a transcoder's target."""
        x_BD = x_BD.to(self.device) * self.scale
        if y_BO is not None:
            assert self.y_scale is not None
            y_BO = y_BO.to(self.device) * self.y_scale
        dead_F = self.silent_F >= self.settings.dead_after
        warm = warmth(self.step_count, self.settings.warmup)
        some_dead = bool(self.shard.total(dead_F.any().int()))
        loss = self.sae.loss(x_BD, dead_F if some_dead else None, warm, y_BO)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        self.sae.project_gradient()
        grad_norm = clipped_norm(self.sae, MAX_GRAD_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_at(self.step_count)
        self.optimizer.step()
        if "aux" in loss.terms:
            # After a long silence Adam's second moment is near 0, and one gradient would go on to move a weight by some
            # thirty learning rates: a feature that AuxK woke would end up firing on every token.
            forget(self.sae, self.optimizer, (dead_F & loss.fired_F).nonzero().squeeze(1), MOMENTUM)
        self.sae.constrain()
        self.silent_F += len(x_BD)
        self.silent_F[loss.fired_F] = 0
        self.step_count += 1
        if self.step_count in self._resampling:
            self._resample(x_BD)
        self.tally.add(loss, grad_norm)
        self._last = loss.error_BO, x_BD if y_BO is None else y_BO

    def standardised_variance(self) -> float:
        """Return the explained variance of the last batch with every dimension scaled to the same variance."""
        assert self._last is not None
        error_BO, y_BO = self._last
        variance_O = y_BO.var(0, unbiased=False)
        explained_O = 1 - error_BO.square().mean(0) / variance_O
        return float(explained_O[variance_O > 0].mean().nan_to_num())

    @torch.no_grad()
    def counted_variance(self, tally: Tally, share: float, x_ND: Tensor, y_NO: Tensor | None = None) -> float:
        """Return the explained variance of all counted tokens, outliers among them, estimated.

        Ordinary tokens have the sums of `tally` and, as their mean, that of the last batch; outliers are encoded with
        the present weights, as when the autoencoder is used.

        Args:
            tally: sums over ordinary tokens.
            share: the share of outliers among the counted tokens.
            x_ND: raw outliers.
            y_NO: a transcoder's target for them.
        """
        assert self._last is not None
        x_ND = x_ND.to(self.device) * self.scale
        wanted_NO = x_ND if y_NO is None else y_NO.to(self.device) * (self.y_scale or 1.0)
        error = float((wanted_NO - self.sae(x_ND)).square().sum(1).mean())
        away_NO = wanted_NO - self._last[1].mean(0)
        rows = tally.steps * self.settings.batch
        missed = (1 - share) * float(tally.squared_error) / rows + share * error
        variance = (1 - share) * float(tally.variance) / rows + share * float(away_NO.square().sum(1).mean())
        variance -= share**2 * float(away_NO.mean(0).square().sum())  # about the mean of all
        return 1.0 - missed / max(variance, 1e-30)

    def _resample(self, x_BD: Tensor) -> None:
        dead_F = self.silent_F >= self.settings.dead_after
        resample(self.sae, self.optimizer, dead_F, x_BD, self.generator)
        self.silent_F[dead_F] = 0

    def forget_gradients(self) -> None:
        """Free the gradients and moments, after the last step: weights of all ranks may need their room."""
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the autoencoder's tensors for raw activations, by their names in files.

        Of several ranks with parts of the features only the first one gets them; the others give it theirs.
        """
        tensors, axes = self.sae.unscaled(self.scale, self.y_scale), self.axes
        found = {}
        for name in list(tensors):
            axis, tensor = axes.get(f"sae.{name}"), tensors.pop(name)
            whole = tensor if axis is None else self.shard.collected(tensor, axis, self.settings.sae.d_sae)
            if whole is not None and self.shard.ranks.first:
                found[name] = whole.cpu().numpy()
        return found

    @property
    def axes(self) -> dict[str, int]:
        """The axis of features of those arrays of `state` that have one."""
        found = {"silent": 0}
        for name, parameter in self.sae.named_parameters():
            if parameter is not self.sae.b_dec:
                kinds = "sae", "adam.exp_avg", "adam.exp_avg_sq"
                found |= {f"{kind}.{name}": int(parameter is self.sae.W_enc) for kind in kinds}
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that the next step depends on: JSON values, and arrays by name."""
        arrays = {f"sae.{name}": tensor.cpu().numpy() for name, tensor in self.sae.state_dict().items()}
        for name, parameter in self.sae.named_parameters():
            arrays |= adam_arrays(name, self.optimizer.state[parameter])
        arrays["silent"] = self.silent_F.cpu().numpy()
        arrays["generator"] = self.generator.get_state().numpy()
        values = {"step": self.step_count, "scale": self.scale, "tally": self.tally.to_json()}
        return values | {"y_scale": self.y_scale}, arrays

    @torch.no_grad()
    def restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Continue exactly where `state` was taken."""
        self.step_count, self.scale, self.y_scale = int(values["step"]), float(values["scale"]), values.get("y_scale")
        self.tally = Tally.from_json(values["tally"])
        self.sae.load_state_dict({name: torch.from_numpy(arrays[f"sae.{name}"]) for name in self.sae.state_dict()})
        for name, parameter in self.sae.named_parameters():
            self.optimizer.state[parameter] = adam_state(name, parameter, arrays)
        self.silent_F = torch.from_numpy(arrays["silent"]).to(self.device)
        self.generator.set_state(torch.from_numpy(arrays["generator"]))
