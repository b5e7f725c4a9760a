"""A setting: a field of a frozen dataclass with the help, the default and the limits that every surface shows.

The command line makes its flags from these fields; a notebook prints them with `Settings.described`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True)
class Description:
    """Help, placeholder, default text and lower limit of a setting."""

    help: str
    """One sentence with the unit, without its full stop."""
    metavar: str
    """Placeholder of its value; COUNT takes 500k and 2M, SIZE takes 500M and 2G. Empty for a choice or a switch."""
    default: str
    """The default as text; empty where the help states it."""
    least: int | float | None
    """Smallest value that the command line takes."""
    most: int | None = None
    """Largest value that it takes."""


def setting(
    default: T,
    help: str,
    metavar: str = "",
    *,
    unset: str | None = None,
    least: int | float | None = None,
    most: int | None = None,
) -> T:
    """Return a field with its default and its `Description`.

    `unset` says in words what the default stands for, where that is not its own value; "" leaves it out.
    """
    shown = _written(default) if unset is None else unset
    return field(default=default, metadata={"setting": Description(help, metavar, shown, least, most)})


def optional(kind: type[Settings], name: str, unset: str) -> Any:
    """The setting `name` of `kind` as one that may be left out: None stands for `unset`."""
    same = kind.description(name)
    return setting(None, same.help, same.metavar, unset=unset, least=same.least)


def _written(value: object) -> str:
    """Return a default as people write it: 2M, 500k, 4096, and the words of a choice."""
    if value is None or value == "" or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        for unit, name in ((1_000_000, "M"), (1_000, "k")):
            if value >= unit and value % unit == 0:
                return f"{value // unit}{name}"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Settings:
    """Base of settings: remembers which of them were given, so that resumed work compares only those."""

    given: tuple[str, ...]
    """Names of the settings that were passed and are not None, in the order in which they were passed."""

    def __new__(cls, **values: object) -> Self:
        """Note what is given; the dataclass does the rest."""
        made = super().__new__(cls)
        object.__setattr__(made, "given", tuple(name for name, value in values.items() if value is not None))
        return made

    def changed(self, **changes: Any) -> Self:
        """Return a copy in which `changes` are given too, or not any more where they are None."""
        return type(self)(**{name: getattr(self, name) for name in self.given} | changes)

    @classmethod
    def description(cls, name: str) -> Description:
        """Return the description of the setting `name`."""
        return cast(Description, cls.__dataclass_fields__[name].metadata["setting"])  # type: ignore[attr-defined]

    @classmethod
    def described(cls, names: Sequence[str] = ()) -> str:
        """Return a table of all settings (or `names`): name, type and help with the default, a line each."""
        kinds = {one.name: str(one.type) for one in fields(cls)}  # type: ignore[arg-type]
        wanted = names or list(kinds)
        width, room = max(map(len, wanted)), max(len(kinds[name]) for name in wanted)
        return "\n".join(f"{name:{width}}  {kinds[name]:{room}}  {sentence(cls.description(name))}" for name in wanted)


def sentence(description: Description) -> str:
    """Return the help of a setting with its default: `Tokens to train on [2M].`"""
    return f"{description.help} [{description.default}]." if description.default else f"{description.help}."
