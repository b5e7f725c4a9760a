"""Settings by which the tokens of a text are drawn, and their limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from store.settings.generate import MAX_NEW, SEED, TEMPERATURE, TOP_K, TOP_P, GenerateSettings


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of generation. `check` refuses values out of range; a recipe on disk may hold any."""

    max_new: int = MAX_NEW
    """Tokens of the response at most."""
    temperature: float = TEMPERATURE
    """0 takes the most probable token."""
    top_p: float = TOP_P
    """Draw from the fewest tokens whose probabilities reach this sum."""
    top_k: int = TOP_K
    """Draw from the `top_k` most probable tokens; 0 for all."""
    seed: int = SEED

    def check(self) -> None:
        """Refuse values out of range.

        Raises:
            MonosemError: names the setting.
        """
        for name, value in asdict(self).items():
            GenerateSettings.checked(name, value)
