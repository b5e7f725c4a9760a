"""Regular expressions that people type, compiled or refused in a sentence."""

from __future__ import annotations

import re
import warnings

from store.files.errors import MonosemError
from store.files.typed_json import need_unicode


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression in Python's syntax.

    Raises:
        MonosemError: it is not valid; the message has the character.
    """
    need_unicode(pattern, "pattern")
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python may read differently
            return re.compile(pattern)
    except re.error as error:
        where = "" if error.pos is None else f" (character {error.pos + 1})"
        raise MonosemError(
            f"the pattern {pattern!r} is not a regular expression: {error.msg}{where}",
            "Put a backslash before characters that are meant literally: . * + ? ( ) [ ] { } | ^ $",
            error.pos,
        ) from error
    except (RecursionError, OverflowError) as error:
        raise MonosemError(f"the pattern {pattern[:40]!r} … is too large a regular expression") from error
