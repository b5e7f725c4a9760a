"""Rows that ranks give each other, on connections of their own: a thread may wait for them beside other work.

Shapes: N rows of one rank, D their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.ranks.group import PATIENCE, Ranks, stopping_together

if TYPE_CHECKING:
    from torch import Tensor


class Exchange:
    """Gathers rows. All ranks make theirs at the same point of the work."""

    def __init__(self, ranks: Ranks) -> None:
        from torch import distributed

        self.ranks = ranks
        self._connections = distributed.new_group(timeout=PATIENCE)

    def gathered(self, own_ND: Tensor, rows: Sequence[int]) -> list[Tensor]:
        """Return the rows of all ranks [N, D] in their order, the same bits on each.

        Args:
            own_ND: rows of this rank.
            rows: the number of rows of each rank, which all of them know.

        Raises:
            KeyboardInterrupt: another rank is gone, so this one stops too.
        """
        import torch
        from torch import distributed

        # As bytes, because gloo does not know every dtype; padded, because all must give as many.
        padded_ND = own_ND.new_zeros(max(1, *rows), own_ND.shape[1])
        padded_ND[: len(own_ND)] = own_ND
        found = [torch.empty_like(padded_ND) for _ in rows]
        with stopping_together():
            distributed.all_gather(
                [one.view(torch.uint8) for one in found], padded_ND.view(torch.uint8), self._connections
            )
        return [one[:count] for one, count in zip(found, rows, strict=True)]
