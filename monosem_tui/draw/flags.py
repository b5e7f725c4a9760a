"""Settings as flags of the command line: `d_sae` in a message becomes --d-sae, `index=False` becomes --no-index."""

from __future__ import annotations

from re import Match

from store.files.errors import NAMED

IRREGULAR = {
    "centred": ("--centred", "--not-centred"),
    "clamps": ("--clamp", ""),
    "everything": ("--all", ""),
    "subtracts_b_dec": ("--subtract-b-dec", "--no-subtract-b-dec"),
    "together": ("--set", ""),
}
"""Flags that are not spelled as their settings are."""


def flag_of(name: str) -> tuple[str, str]:
    """Return the flag of a setting, and the one that turns a switch off."""
    words = name.replace("_", "-")
    return IRREGULAR.get(name, (f"--{words}", f"--no-{words}"))


def with_flags(text: str) -> str:
    """Write the settings that a message names as flags."""
    return NAMED.sub(_written, text)


def _written(found: Match[str]) -> str:
    name, value = found.groups()
    on, off = flag_of(name)
    if value is None or value == "True":
        return on
    return off if value == "False" else f"{on} {value}"
