"""A pair's passages: what opens a context inside of a document is a bar, whatever unit it is in."""

from __future__ import annotations

import numpy as np

from monosem_tui.model.pair_card import shown_passage
from store.comparison.shared_text import UnitPassage


def test_what_opens_a_context_is_a_bar() -> None:
    act_U = np.array([0, 2, 1], np.float32)
    passage = UnitPassage((b"start", b"<|endoftext|>", b" next<|endoftext|>_node"), (act_U, act_U), 1, 0)
    first, second = shown_passage(passage, b"<|endoftext|>").examples
    assert first.tokens == second.tokens
    assert "".join(first.tokens) == "start┊ next┊_node"
    assert "".join(shown_passage(passage, b"").examples[0].tokens) == "start<|endoftext|> next<|endoftext|>_node"
