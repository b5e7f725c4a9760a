"""What language model to train, and on how much."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import GPT2Config

from engine.training.schedule import nearest_power_of_two
from store.files.errors import MonosemError

ACTIVATIONS = ("relu", "gelu_new", "gelu", "silu")
DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class LmSettings:
    """Settings of `monosem lm`. The defaults are the one-layer transformer of Bricken et al. 2023."""

    data: str = "stdlib"
    tokens: int = 10_000_000
    vocab: int = 4096
    layers: int = 1
    d_model: int = 128
    heads: int | None = None
    """None for heads of 32."""
    d_mlp: int | None = None
    """None for four times d_model."""
    activation: str = "relu"
    context: int = 256
    lr: float | None = None
    """Peak learning rate; None for 0.002 at a width of 128, falling with its root (docs/log.md)."""
    batch: int | None = None
    """Tokens a step, about; None for about 3 000 steps, within 1 024 and 65 536 tokens."""
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    """Of matrix products while training; weights are float32. auto: bfloat16 where the hardware multiplies in it."""
    samples: int = 2
    """Texts written at the end."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; None for one every two minutes."""

    def __post_init__(self) -> None:
        for name in ("layers", "d_model", "heads", "d_mlp", "lr", "batch", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise MonosemError(f"--{name.replace('_', '-')} must be positive, not {value}")
        if self.vocab < 257:
            raise MonosemError(f"--vocab {self.vocab} is too small", "256 bytes and one special token need 257.")
        if self.d_model % self.n_heads:
            raise MonosemError(f"--d-model {self.d_model} does not divide into {self.n_heads} heads", "Change --heads.")
        if self.activation not in ACTIVATIONS:
            raise MonosemError(f"unknown activation {self.activation!r}", f"Choose one of: {', '.join(ACTIVATIONS)}.")
        if self.dtype not in DTYPES:
            raise MonosemError(f"a model cannot be trained in {self.dtype}", f"Choose one of: {', '.join(DTYPES)}.")
        if not 2 <= self.context <= self._wanted_batch <= self.tokens:
            raise MonosemError(
                f"--context {self.context}, --batch {self._wanted_batch}, --tokens {self.tokens} do not fit together",
                "Each must be at most the next.",
            )
        for what, number in (("seed", self.seed), ("number of samples", self.samples)):
            if number < 0:
                raise MonosemError(f"the {what} must not be negative: {number}")

    @property
    def n_heads(self) -> int:
        """Attention heads of a layer."""
        return self.heads or max(1, self.d_model // 32)

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // self.batch_tokens

    @property
    def batch_contexts(self) -> int:
        """Contexts a step."""
        return self._wanted_batch // self.context

    @property
    def batch_tokens(self) -> int:
        """Tokens a step: whole contexts."""
        return self.batch_contexts * self.context

    @property
    def _wanted_batch(self) -> int:
        return self.batch or nearest_power_of_two(self.tokens / 3000, max(1024, self.context), 65_536)

    @property
    def peak_lr(self) -> float:
        """The highest learning rate, the default filled in."""
        return self.lr or 2e-3 * (128 / self.d_model) ** 0.5

    def network_config(self, vocab_size: int, end_of_text: int) -> GPT2Config:
        """As transformers describes such a model."""
        return GPT2Config(
            vocab_size=vocab_size,
            n_positions=self.context,
            n_embd=self.d_model,
            n_layer=self.layers,
            n_head=self.n_heads,
            n_inner=self.d_mlp or 4 * self.d_model,
            activation_function=self.activation,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
        )
