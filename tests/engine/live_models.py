"""LoadedRun runs on tiny random models, and what clamps do to a text written out by hand in float64.

Shapes: T positions, D = d_in, O = d_out, F = d_sae, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt
from engine.model.language_model import LanguageModel
from engine.model.sites import resolve_site
from engine.sae.base import SaeSettings
from engine.sae.token_norm import TokenNorm
from store.live.clamp import Clamp
from tests.engine.architectures import (
    F64,
    arrays,
    encoded_by_hand,
    normalised_by_hand,
    random_sae,
    sae_settings,
    unit_by_hand,
)
from tests.engine.by_hand import run_by_hand
from tests.engine.model_zoo import ZOO, zoo_model
from tests.engine.small import BOS, words_encoding, words_tokenizer
from tests.engine.tiny_models import tiny
from tests.engine.trained import double, in_double

D_SAE = 20


def live_model(
    arch: str = "relu",
    family: str = "llama",
    site: str = "resid_post",
    layer: int = 0,
    *roles: str,
    site_out: str = "",
    layer_out: int = 0,
    seed: int = 0,
    token_norm: TokenNorm = "none",
    skip: bool = False,
) -> LiveModel:
    """A tiny model with a random dictionary; BOS unless `roles` says otherwise."""
    roles = roles or ("bos",)
    lm = (zoo_model if family in ZOO else tiny)(family, tokenizer=words_tokenizer(*roles))
    lm.network.generation_config.eos_token_id = None
    source = resolve_site(lm, site, layer)
    target = resolve_site(lm, site_out, layer_out) if site_out else source
    given = sae_settings(arch, source.d_in, D_SAE)
    settings = SaeSettings(
        d_in=source.d_in,
        d_sae=D_SAE,
        k=given.k,
        l1=given.l1,
        d_out=target.d_in if site_out else None,
        token_norm=token_norm,
        skip=skip,
    )
    sae = random_sae(arch, seed, settings)
    with torch.no_grad():
        # Of a size with the model's own activations, so that texts change and do not fall apart.
        sae.W_enc.mul_(0.3)
        sae.W_dec.mul_(0.5)
    sae = sae.float().eval().requires_grad_(False)
    max_F = np.linspace(0.5, 3, D_SAE).astype(np.float32)
    return LiveModel(lm, words_encoding(*roles), sae, source, target, 16, max_F)


def acts_by_hand(live: LiveModel, x_TD: F64) -> F64:
    """Every feature's activation [T, F], with what a transcoder centres by in its place."""
    w = arrays(live.sae)
    if "b_in" in w:
        w = w | {"b_dec": w["b_in"]}
    return encoded_by_hand(
        live.sae.arch, w, normalised_by_hand(live.sae.settings.token_norm, x_TD), live.sae.settings.k
    )


def change_by_hand(live: LiveModel, clamps: Sequence[Clamp], prompt: Prompt, tokens: Sequence[int], x_TD: F64) -> F64:
    """Change by the clamps at each position [T, O]: from the definition, one position at a time."""
    acts_TF, W_dec_FO = acts_by_hand(live, x_TD), arrays(live.sae)["W_dec"]
    added_TO = np.zeros((len(tokens), W_dec_FO.shape[1]))
    for place, token in enumerate(tokens):
        if token == BOS if live.encoding.bos_id is not None else place == 0:
            continue
        wanted: dict[int, float] = {}
        for clamp in clamps:
            where, f = clamp.where, acts_TF[place, clamp.feature]
            if place < where.start or (where.stop is not None and place >= where.stop):
                continue
            inside = place < len(prompt.tokens)
            role = (prompt.role_P[place] if inside else "assistant") if prompt.role_P else None
            if where.part not in (None, "prompt" if inside else "response", role):
                continue
            if any(acts_TF[place, c.feature] <= c.above for c in where.conditions):
                continue
            maximum = float(live.max_F[clamp.feature]) if live.max_F is not None else 0.0
            v = clamp.value
            modes = {"set": v, "max": v * maximum, "scale": v * f, "add": f + v, "ablate": 0.0}
            wanted[clamp.feature] = modes[clamp.mode]
        unit = 1.0 if live.sae.settings.d_out else unit_by_hand(live.sae.settings.token_norm, x_TD[place])
        for feature, value in wanted.items():
            added_TO[place] += unit * (value - acts_TF[place, feature]) * W_dec_FO[feature]
    return added_TO


def logits_by_hand(live: LiveModel, clamps: Sequence[Clamp], prompt: Prompt, tokens: Sequence[int]) -> F64:
    """The logits after every token [T, V] of one uncached forward pass."""
    lm: LanguageModel = double(live.lm)
    ids_BT = torch.tensor([list(tokens)])
    source, target = ((site.name, int(site.layer or 0)) for site in (live.source, live.target))
    with in_double():
        seen, _ = run_by_hand(lm, ids_BT)
        x_TD = seen[source][0].numpy()
        added = torch.from_numpy(change_by_hand(live, clamps, prompt, tokens, x_TD))
        _, logits = run_by_hand(lm, ids_BT, target, lambda acts_BTO: acts_BTO + added)
    return logits[0].numpy()


def log_softmax(logits: F64) -> F64:
    """Along the last axis."""
    shifted: Any = logits - logits.max(-1, keepdims=True)
    out: F64 = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return out
