"""How much text an evaluation reads where nobody says: as much as costs an eighth of the training.

Costs are arithmetic in multiply-adds from widths, layers and vocabulary, never measured times, so that the same
training is always evaluated on the same tokens (docs/decisions/017-evaluation-size.md).
"""

from __future__ import annotations

from typing import NamedTuple

from engine.model.language_model import LanguageModel
from store.run.spec import SaeSpec
from store.settings.train import TrainSettings

PART = 16
"""Tokens of a training per token of reconstruction, which costs no more; CE has as much time again."""
LEAST, MOST = 2048, 500_000
"""Fewest and most tokens."""
PASSES = 4
"""Passes of the model from the site on: with reconstructions, and with three ablations."""
PER_LOGIT = 200
"""Multiply-adds that take as long as the loss of one logit: a softmax is bound by memory."""


class Size(NamedTuple):
    """How much text an evaluation reads, in tokens."""

    tokens: int
    ce_tokens: int
    """Tokens of the same text, from its start, on which the CE figures are measured; at most `tokens`."""


def evaluation_size(settings: TrainSettings, spec: SaeSpec, lm: LanguageModel | None, *, whole: bool = False) -> Size:
    """Return the size of the evaluation of an autoencoder that was trained with these settings.

    `lm` is None for a training on an array. `whole` asks for MOST tokens of reconstruction, which F1 on planted
    concepts needs.
    """
    if settings.eval_tokens is not None:
        return Size(settings.eval_tokens, settings.eval_tokens)
    tokens = MOST if whole else max(LEAST, min(MOST, settings.tokens // PART))
    if lm is None:
        return Size(tokens, 0)
    return Size(tokens, max(LEAST, min(tokens, int(settings.tokens / PART * _share(spec, lm)))))


def _share(spec: SaeSpec, lm: LanguageModel) -> float:
    """Return the work of a pass up to the site, divided by that of all passes behind the CE figures."""
    inner = getattr(lm.text_config, "intermediate_size", None)
    block = 4 * lm.d_model**2 + 3 * lm.d_model * (inner if isinstance(inner, int) else 4 * lm.d_model)
    last = spec.layer if spec.layer_out is None else spec.layer_out
    before = block * (lm.n_layers if last is None else last + 1)
    every = block * lm.n_layers
    head = lm.vocab_size * (lm.d_model + PER_LOGIT)
    return before / (every + head + PASSES * (every - before + head))
