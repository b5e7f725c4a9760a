"""Settings by which the tokens of a text are drawn, and their limit."""

from __future__ import annotations

from dataclasses import dataclass

from store.files.errors import MonosemError
from store.settings.generate import MAX_NEW, SEED, TEMPERATURE, TOP_K, TOP_P

LARGEST_SEED = 2**63 - 1


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
        if self.max_new < 1:
            raise MonosemError(f"at least one token has to be asked for, not {self.max_new}")
        if not 0 <= self.temperature < float("inf"):
            raise MonosemError(f"the temperature must be at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise MonosemError(f"top-p must lie above 0, and be 1 at most, not {self.top_p}")
        if self.top_k < 0:
            raise MonosemError(f"top-k must not be negative: {self.top_k}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise MonosemError(f"a seed must lie between 0 and {LARGEST_SEED}, not {self.seed}")
