"""Settings of `monosem generate`: prompt, clamps and sampling, given in place of those of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from store.settings.setting import Settings, setting

MAX_NEW, TEMPERATURE, TOP_P, TOP_K, SEED = 100, 0.0, 1.0, 0, 0
"""Defaults of `store.live.sampling.Sampling`."""


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Settings):
    """Settings of one generation. None keeps the recipe's value, or the default of `store.live.recipe.Recipe`."""

    prompt: str | None = setting(None, "What to continue; else what is piped in", "TEXT")
    clamps: tuple[str, ...] = setting(
        (),
        "412=8.5, =max*4, =*0.5, =+3, =off; with @prompt, @response, @12:40, @if:88>2. As often as wanted",
        "ID=VALUE",
        unset="",
    )
    sweep: str | None = setting(None, "One text for each strength: 412=max*1,max*2,max*4@response", "ID=V,…")
    max_new: int | None = setting(None, "Most new tokens", "COUNT", unset=f"{MAX_NEW}")
    temperature: float | None = setting(None, "0 takes the likeliest token", "X", unset=f"{TEMPERATURE:g}", least=0)
    top_p: float | None = setting(None, "Draw from tokens that make up this probability", "X", unset=f"{TOP_P:g}")
    top_k: int | None = setting(None, "Draw from the N likeliest tokens", "N", unset="all", least=0)
    seed: int | None = setting(None, "Seed of everything that is drawn at random", "N", unset=f"{SEED}", least=0)
    samples: int | None = setting(None, "Texts, with one seed after another", "N", unset="1", least=1)
    chat: bool | None = setting(None, "Put the prompt into the model's chat template")
    system: str | None = setting(None, "System message of a chat", "TEXT")
