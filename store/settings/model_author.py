"""Settings of explanations that a language model writes and judges."""

from __future__ import annotations

from dataclasses import dataclass

from store.settings.setting import LARGEST_SEED, MAX, Settings, setting

KEY_NAME = "MONOSEM_API_KEY"
"""Environment variable of the key. Not that of any one company: its key would go to whatever address is named."""


@dataclass(frozen=True, kw_only=True)
class AuthorSettings(Settings):
    """The model that explains features, and how thoroughly its explanations are tested."""

    model: str = setting("", "Name of the model on its server", "NAME", unset="the server's only one")
    key_name: str = setting(KEY_NAME, "Environment variable that holds the server's key", "VARIABLE")
    price: str | None = setting(None, "Price per million tokens, of prompts and of answers", "IN,OUT")
    budget: float | None = setting(
        None, "Stop before this much is spent, in the currency of `price`", "X", unset="no limit", least=0, most=MAX
    )
    parallel: int = setting(4, "Calls to the server at a time", "N", least=1, most=256)
    patience: float = setting(120.0, "Seconds in which a call must be answered", "SECONDS", least=0.1, most=86_400)
    reasoning: int = setting(0, "Tokens that the model may think before each answer", "N", most=100_000)
    texts: int = setting(
        20, "Texts that a feature fires in to judge by; half as many silent ones of each kind", "N", least=4, most=1000
    )
    controls: int = setting(10, "Features to judge by another feature's explanation as well", "N", most=10_000)
    seed: int = setting(0, "Seed of the texts that are drawn", "N", most=LARGEST_SEED)
    device: str = setting("auto", "Where a model of hf:FOLDER runs: auto, cpu, cuda, cuda:1 or mps", "DEVICE")
