"""The kinds that features have, by what decides their activation; `store.rules.kinds` measures them."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["token", "n-gram", "position", "context", "dense"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ShareName = Literal["token", "ngram", "position", "context"]
SHARES: tuple[ShareName, ...] = get_args(ShareName)
"""Shares of a feature's variance: what the token explains, with the one before it, the position, and none of these."""
