"""A clamp sweep: one text per strength of a feature, and its divergence from the unclamped model.

Shapes: S strengths, T positions, N tokens of a response, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.live.decoder import Decoder
from engine.live.generation import GenerationRow, GrowingText, divergence
from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt
from engine.live.row_clamps import RowClamps, clamped
from engine.model.hooks import logits
from engine.runtime.progress import Progress
from store.live.clamp import Clamp
from store.live.model_outputs import ClampSweep, SweptStrength
from store.live.sampling import Sampling


def sweep(
    live: LiveModel,
    prompt: Prompt,
    strengths: Sequence[Clamp],
    clamps: Sequence[Clamp],
    sampling: Sampling,
    progress: Progress,
) -> ClampSweep:
    """Continue a prompt under each of the strengths, all as one batch; `clamps` hold in each of them.

    Raises:
        MonosemError: a clamp does not fit the run or the prompt.
    """
    in_force = [RowClamps(live, [*clamps, one], prompt.layout) for one in strengths]
    rows = [GenerationRow(live, prompt, sampling) for _ in range(1 + len(strengths))]
    decoder = Decoder(live)
    with progress.task("sweep", sampling.max_new, "tokens") as bar:
        while any(row.text.end is None for row in rows):
            began, written = time.perf_counter(), max(len(row.text.tokens) for row in rows)
            stop = len(prompt.tokens) + written
            logits_RV = decoder.feed([row.upcoming(decoder.length, stop) for row in rows], [None, *in_force])
            for row, logits_V in zip(rows, logits_RV, strict=True):
                if row.text.end is None:
                    row.draw(logits_V, functional.log_softmax(logits_V, dim=-1))
                    row.text.seconds += (time.perf_counter() - began) * (written > 0)
            bar.advance(1)
    found = zip(strengths, in_force, rows[1:], strict=True)
    scored = (_scored(live, prompt, clamp, row.text, force) for clamp, force, row in found)
    return ClampSweep(rows[0].text.complete(), tuple(scored))


def _scored(live: LiveModel, prompt: Prompt, clamp: Clamp, text: GrowingText, force: RowClamps) -> SweptStrength:
    tokens = [*prompt.tokens, *text.tokens]
    own_NV, clamped_NV = (_log_probs(live, tokens, len(text.tokens), row) for row in (None, force))
    kl = tuple(divergence(p_V, q_V) for p_V, q_V in zip(clamped_NV, own_NV, strict=True))
    own = tuple(float(q_V[token]) for q_V, token in zip(own_NV, text.tokens, strict=True))
    return SweptStrength(str(clamp), text.complete(), kl, own)


@torch.inference_mode()
def _log_probs(live: LiveModel, tokens: Sequence[int], response: int, row: RowClamps | None) -> Tensor:
    """Return log-probabilities of the last `response` tokens [N, V], with the whole text read at once."""
    array_T = np.array(tokens[:-1], np.int64)[None]
    with clamped(live, [row], 0, live.encoding.counted(array_T)):
        logits_TV = logits(live.lm, torch.from_numpy(array_T))[0]
    return functional.log_softmax(logits_TV[len(logits_TV) - response :].float(), dim=-1)
