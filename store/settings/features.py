"""Settings of commands that show, find and note features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.settings.roles import Role
from store.settings.setting import LARGEST_SEED, Settings, setting

MOST = 10**9
"""Examples, features or tokens that can be asked for."""


@dataclass(frozen=True, kw_only=True)
class ExampleSettings(Settings):
    """Examples on a feature's page; see `store.query.examples.sections`."""

    top: int = setting(10, "Strongest examples, or features, to show", "N", least=1, most=MOST)
    intervals: int = setting(4, "Intervals of a feature's activations", "N", least=0, most=100)
    by_value: bool = setting(False, "Intervals equal in activation, from 0 to the maximum, not in ranks")
    each: int = setting(3, "Examples of each interval", "N", least=1, most=MOST)
    random: int = setting(0, "Examples drawn from all places where it fires", "N", most=MOST)
    seed: int = setting(0, "Which random examples are drawn", "N", most=LARGEST_SEED)
    one_per_document: bool = setting(False, "One example per document in each section, not one per context")
    before: int | None = setting(None, "Tokens of text before an example's peak", "N", most=MOST)
    after: int | None = setting(None, "Tokens of text after an example's peak", "N", most=MOST)


@dataclass(frozen=True, kw_only=True)
class FindSettings(Settings):
    """Settings of `monosem find`: what matches, and how features are ranked by it."""

    tokens: bool = setting(False, "Match single tokens' strings, not the text")
    last: bool = setting(False, "Of each match ask for its last token only, where it is complete")
    held_out: bool = setting(False, "Choose features and thresholds on half of the contexts, measure on the rest")
    ordinary: bool = setting(False, "Leave outlier tokens out of what is scored")
    together: int = setting(5, "Features to combine at most; 0 for none", "N", most=MOST)
    role: Role | None = setting(
        None, "Only tokens of such turns: user, assistant, system, tool; without PATTERN, find those", "ROLE"
    )
    by: Literal["f1", "auroc"] = setting("f1", "What features are ranked by")
    top: int = setting(10, "Features, or n-grams, to show", "N", least=1, most=MOST)


@dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """Settings of `monosem inspect`: the text, and what is shown of its tokens."""

    text: str | None = setting(None, "Text to read; else what is piped in", "TEXT")
    chat: bool = setting(False, "Read the text as a user's turn in the model's chat template, or as JSON messages")
    document: int | None = setting(None, "Read document N of the run's text, from 0", "N", most=MOST)
    top: int = setting(5, "Strongest features of each token", "N", least=1, most=MOST)
    ablate: bool = setting(False, "Also say what each does to the loss of the next token")


@dataclass(frozen=True, kw_only=True)
class NoteSettings(Settings):
    """Notes that `monosem label` takes about a feature, besides its label; None and () leave one unchanged."""

    bookmark: bool | None = setting(None, "Set a bookmark, or remove it")
    tag: tuple[str, ...] = setting((), "Add a tag; may be repeated", "WORD", unset="")
    untag: tuple[str, ...] = setting((), "Remove a tag; may be repeated", "WORD", unset="")
    comment: str | None = setting(None, 'Comment on it; "" takes the comment away', "TEXT")
