"""Holders of much of the variance of activations: a few tokens, or a single dimension."""

from __future__ import annotations

from dataclasses import dataclass

from store.run.counted_noun import TOKEN, CountedNoun

MUCH = 0.25
"""Share of the variance that is worth a line."""


@dataclass(frozen=True)
class VarianceShares:
    """The variance held by few tokens and by one dimension.

    The tokens are the outliers, or the hundredth that is farthest from the median where that holds more. Theirs is the
    share of Σ‖x - median‖²; a dimension's is that of the variance of ordinary tokens.
    """

    tokens: int
    few: int
    """Tokens that hold `few_share`: less than a hundredth of all."""
    few_share: float
    dimension: int
    """The dimension of the largest variance."""
    dimension_share: float
    width: int
    """Number of dimensions."""

    def lines(self, noun: CountedNoun = TOKEN) -> list[str]:
        """Return a sentence for few tokens and for a dimension that hold more than a quarter of the variance.

        A dimension must also hold four times its equal share.
        """
        found = []
        if self.few_share > MUCH:
            part = 100 * self.few / max(self.tokens, 1)
            found.append(
                f"{self.few} of {self.tokens} {noun.many} ({part:.2g}%) hold {self.few_share:.0%} of the variance"
            )
        if self.dimension_share > max(MUCH, 4 / max(self.width, 1)):
            found.append(f"dimension {self.dimension} holds {self.dimension_share:.0%} of the variance")
        return found
