"""Settings of `monosem lm`: which small language model to train, and on how much text."""

from __future__ import annotations

from dataclasses import dataclass

from store.files.errors import MonosemError
from store.settings.round_numbers import nearest_power_of_two
from store.settings.setting import LARGEST_SEED, Settings, setting
from store.settings.subject import HELD_OUT_HELP, HeldOut, SubjectSettings

ACTIVATIONS = ("relu", "gelu_new", "gelu", "silu")
DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class LmSettings(Settings):
    """A tokenizer and a GPT-2-like network. The defaults are the one-layer transformer of Bricken et al. 2023."""

    data: str = setting("stdlib", SubjectSettings.description("data").help, "DATA")
    tokens: int = setting(10_000_000, "Tokens to train on (500k, 2M)", "COUNT")
    vocab: int = setting(4096, "Size of the vocabulary", "N", least=257, most=10**6)
    layers: int = setting(1, "Transformer blocks", "N", least=1, most=10_000)
    d_model: int = setting(128, "Width of the residual stream", "N", least=1, most=10**6)
    heads: int | None = setting(None, "Attention heads", "N", unset="of 32", least=1, most=10**6)
    d_mlp: int | None = setting(None, "Width of the MLP", "N", unset="4 × `d_model`", least=1, most=10**7)
    activation: str = setting("relu", f"Of the MLP: {', '.join(ACTIVATIONS)}", "NAME")
    context: int = setting(256, "Tokens per context", "N", least=2, most=10**7)
    lr: float | None = setting(
        None, "Peak learning rate", "X", unset="0.002 at a width of 128, falling with its root", least=1e-30
    )
    batch: int | None = setting(
        None, "Tokens per training step, about", "COUNT", unset="1024 to 65536, for about 3000 steps"
    )
    held_out: HeldOut = setting("texts", HELD_OUT_HELP)
    seed: int = setting(0, SubjectSettings.description("seed").help, "N", most=LARGEST_SEED)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 or mps", "DEVICE")
    dtype: str = setting("auto", "Of matrix products: auto, float32 or bfloat16; weights are float32", "TYPE")
    samples: int = setting(2, "Texts written at the end", "N", most=10_000)
    checkpoint_every: int | None = setting(
        None, "Steps between checkpoints", "STEPS", unset="one every two minutes", least=1
    )

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            MonosemError: two do not fit together, or an activation or dtype is unknown.
        """
        if self.d_model % self.n_heads:
            raise MonosemError(f"`d_model={self.d_model}` does not divide into {self.n_heads} heads", "Change `heads`.")
        if self.activation not in ACTIVATIONS:
            raise MonosemError(f"unknown activation {self.activation!r}", f"Choose one of: {', '.join(ACTIVATIONS)}.")
        if self.dtype not in DTYPES:
            raise MonosemError(f"a model cannot be trained in {self.dtype}", f"Choose one of: {', '.join(DTYPES)}.")
        if not 2 <= self.context <= self._wanted_batch <= self.tokens:
            raise MonosemError(
                f"`context={self.context}`, `batch={self._wanted_batch}`, `tokens={self.tokens}` do not fit together",
                "Each must be at most the next.",
            )

    @property
    def n_heads(self) -> int:
        """Attention heads per layer."""
        return self.heads or max(1, self.d_model // 32)

    @property
    def mlp_width(self) -> int:
        """Width of the MLP's hidden layer."""
        return self.d_mlp or 4 * self.d_model

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // self.batch_tokens

    @property
    def batch_contexts(self) -> int:
        """Contexts per step."""
        return self._wanted_batch // self.context

    @property
    def batch_tokens(self) -> int:
        """Tokens per step: whole contexts."""
        return self.batch_contexts * self.context

    @property
    def _wanted_batch(self) -> int:
        return self.batch or nearest_power_of_two(self.tokens / 3000, max(1024, self.context), 65_536)

    @property
    def peak_lr(self) -> float:
        """The highest learning rate, the default filled in (docs/log.md)."""
        return self.lr or 2e-3 * (128 / self.d_model) ** 0.5
