"""Clamping features while a model runs: x' = x + Σ_i (f'_i - f_i) · W_dec[i] at the site the dictionary writes to.

The dictionary's error, x - x̂, is kept, so a clamp that changes no activation changes nothing. Where the dictionary
normalises every token, the change is scaled by the token's unit (`Sae.unit_of`). Only the features named in clamps are
computed where the architecture allows it (`Sae.acts_of`), in float32 whatever the model's dtype. A transcoder reads f
at its source and adds the change at its target.

Shapes: R rows that run side by side, T positions, D = d_in, O = d_out, C features looked at, P of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.live.live_model import LiveModel
from engine.model.hooks import rerouted
from store.files.errors import MonosemError
from store.live.clamp import Clamp, Part, Where
from store.live.model_outputs import ClampedAct
from store.settings.roles import ROLES

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PromptLayout:
    """The parts of a text by position: prompt, response, and the turns of a chat."""

    prompt: int
    """Positions of the prompt; the response follows."""
    role_P: tuple[Part | None, ...] | None = None
    """In a chat, the role of each prompt token; None for tokens that only mark turns."""

    def check(self, where: Where) -> None:
        """Refuse a role where the text is not a chat.

        Raises:
            MonosemError: it is not.
        """
        if where.part in ROLES and self.role_P is None:
            raise MonosemError(f"@{where.part} is a turn of a chat, and this is not a chat", "Add `chat=True`.")

    def allowed(self, where: Where, first: int, count: int) -> Bools:
        """Return for `count` positions from `first` whether a clamp applies there, conditions aside."""
        return np.array([self.allows(where, place) for place in range(first, first + count)], bool)

    def allows(self, where: Where, place: int) -> bool:
        """Return `allowed` for one position."""
        if place < where.start or (where.stop is not None and place >= where.stop):
            return False
        if where.part in ("prompt", "response"):
            return (place < self.prompt) == (where.part == "prompt")
        return where.part is None or self._role(place) == where.part

    def _role(self, place: int) -> Part | None:
        if place >= self.prompt:
            return "assistant"
        return self.role_P[place] if self.role_P else None


class RowClamps:
    """The clamps of one row, ready to be applied."""

    def __init__(self, live: LiveModel, clamps: Sequence[Clamp], layout: PromptLayout) -> None:
        """Look up the features and maxima that the clamps name.

        Raises:
            MonosemError: a feature that does not exist, a maximum that is not known, or a role without a chat.
        """
        for clamp in clamps:
            layout.check(clamp.where)
            for feature in (clamp.feature, *(condition.feature for condition in clamp.where.conditions)):
                live.check_feature(feature)
        self.clamps = tuple(clamps)
        self.acts: tuple[ClampedAct, ...] = ()
        """Activations at the last position of the last forward pass."""
        self._live, self._layout = live, layout
        self._changes = [clamp.change(live.maximum(clamp.feature)) for clamp in clamps]
        self._clamped = list(dict.fromkeys(clamp.feature for clamp in clamps))
        others = (condition.feature for clamp in clamps for condition in clamp.where.conditions)
        looked_at = list(dict.fromkeys([*self._clamped, *others]))
        self._column = {feature: column for column, feature in enumerate(looked_at)}
        device = live.sae.W_dec.device
        self._feature_C = torch.tensor(looked_at, dtype=torch.long, device=device)
        self._W_dec_CO = live.sae.W_dec[self._feature_C[: len(self._clamped)]]

    def delta(self, x_TD: Tensor, first: int, counted_T: Bools) -> Tensor | None:
        """Return the change to add at the target [T, O] from position `first` on, or None for no change."""
        act_TC = self._live.sae.acts_of(x_TD, self._feature_C).cpu().numpy()
        if len(x_TD) == 1:
            delta_TO = self._delta_of_one(act_TC[0].tolist(), first, bool(counted_T[0]), x_TD.device)
            return self._in_the_model(delta_TO, x_TD)
        natural_TC = act_TC[:, : len(self._clamped)]
        wanted_TC = natural_TC.copy()
        for clamp, change in zip(self.clamps, self._changes, strict=True):
            on_T = counted_T & self._layout.allowed(clamp.where, first, len(counted_T))
            for condition in clamp.where.conditions:
                on_T &= act_TC[:, self._column[condition.feature]] > condition.above
            column = self._column[clamp.feature]
            # In float32, so that a feature set to its own activation does not change by rounding.
            wanted_T = np.float32(change.scale) * natural_TC[:, column] + np.float32(change.offset)
            wanted_TC[:, column] = np.where(on_T, wanted_T, wanted_TC[:, column])
        pairs = zip(self._clamped, natural_TC[-1].tolist(), wanted_TC[-1].tolist(), strict=True)
        self.acts = tuple(ClampedAct(*found) for found in pairs)
        change_TC = wanted_TC - natural_TC
        if not change_TC.any():
            return None
        return self._in_the_model(torch.from_numpy(change_TC).to(x_TD.device) @ self._W_dec_CO, x_TD)

    def _in_the_model(self, delta_TO: Tensor | None, x_TD: Tensor) -> Tensor | None:
        """Scale a decoded change to the model's units."""
        unit_T1 = None if delta_TO is None else self._live.sae.unit_of(x_TD)
        return delta_TO if delta_TO is None or unit_T1 is None else delta_TO * unit_T1

    def _delta_of_one(self, act_C: list[float], place: int, counted: bool, device: torch.device) -> Tensor | None:
        """Return `delta` for one token in plain numbers: for each new token, and several times as fast."""
        wanted_C = act_C[: len(self._clamped)]
        for clamp, change in zip(self.clamps, self._changes, strict=True):
            if counted and self._layout.allows(clamp.where, place):
                conditions = clamp.where.conditions
                if all(act_C[self._column[condition.feature]] > condition.above for condition in conditions):
                    column = self._column[clamp.feature]
                    wanted_C[column] = change.scale * act_C[column] + change.offset
        self.acts = tuple(map(ClampedAct, self._clamped, act_C, wanted_C))
        change_C = [wanted - natural for wanted, natural in zip(wanted_C, act_C, strict=False)]
        if not any(change_C):
            return None
        if len(change_C) == 1:
            return self._W_dec_CO * change_C[0]
        return torch.tensor([change_C], device=device) @ self._W_dec_CO


@contextmanager
def clamped(
    live: LiveModel,
    rows: Sequence[RowClamps | None],
    first: int,
    counted_RT: Bools,
    keep: Callable[[int, Tensor], None] | None = None,
) -> Iterator[None]:
    """Apply the rows' clamps to forward passes inside this block, over R rows of positions from `first` on.

    `keep` gets what the dictionary reads there [R, T, D], before any change.
    """
    acting = [(number, row) for number, row in enumerate(rows) if row is not None and row.clamps]
    if not acting and keep is None:
        yield
        return

    def change(read_RTD: Tensor, acts_RTO: Tensor) -> Tensor:
        if keep is not None:
            keep(first, read_RTD)
        if not acting:
            return acts_RTO
        changed_RTO = acts_RTO.clone()
        for number, row in acting:
            delta_TO = row.delta(read_RTD[number].float(), first, counted_RT[number])
            if delta_TO is None:
                continue
            if changed_RTO.dtype == delta_TO.dtype:
                changed_RTO[number].add_(delta_TO)
            else:
                changed_RTO[number] = (acts_RTO[number].float() + delta_TO).to(acts_RTO.dtype)
        return changed_RTO

    with rerouted(live.lm, live.source, live.target, change):
        yield
