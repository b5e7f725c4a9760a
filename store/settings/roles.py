"""The roles that turns of a conversation have."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["user", "assistant", "system", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)
"""In an index, a token has the place of its role in this list, counted from 1; 0 if it belongs to no turn."""


def role_of(code: int) -> Role | None:
    """Return the role that a number in an index stands for."""
    return ROLES[code - 1] if code else None


def role_code(role: Role) -> int:
    """Return the number that stands for a role in an index."""
    return 1 + ROLES.index(role)
