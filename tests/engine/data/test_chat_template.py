"""Turns in a chat template: each is found where it is, whatever the template's own words are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engine.corpus.conversations import Turn
from engine.data.chat_template import chat_text
from engine.data.text_encoder import Encoding
from store.files.errors import MonosemError
from store.settings.roles import ROLES, role_of

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TRIMMED = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} /{{ m.role }};{% endfor %}"
DATED = "today is {{ strftime_now('%d %b %Y') }}, {{ date_string }}. " + CHATML
THINKING = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\n') }}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
FIRST_ONLY = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"
TWICE = "{{ messages[0].content }} says: {% for m in messages %}<{{ m.content }}>{% endfor %}"
ENTANGLED = "{% for m in messages %}<{{ m.content }}{{ messages[-1].content | length }}>{% endfor %}"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\ue000\ue001"), max_size=12) | st.sampled_from(
    ["user", "s", "er", "assistant\n", "<|im_end|>", " im_start ", "2024", "/user;"]
)


def tokenizer(template: str | None) -> Any:
    """A tokenizer of bytes with ChatML's markers."""
    marks = ["<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={one: n for n, one in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(marks)
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=marks[1])
    fast.chat_template = template
    return fast


def alternating(contents: Sequence[str]) -> list[Turn]:
    """Turns of user and assistant."""
    return [Turn(ROLES[number % 2], content) for number, content in enumerate(contents)]


@pytest.mark.parametrize("template", [CHATML, TRIMMED, DATED])
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_each_turn_has_its_own_characters(template: str, contents: list[str]) -> None:
    found = chat_text(tokenizer(template), "x", alternating(contents))
    assert [number for number, _, _ in found.spans] == list(range(len(contents)))
    for (number, start, end), content in zip(found.spans, contents, strict=True):
        assert found.text[start:end] == (content.strip() if template is TRIMMED else content)
        before = f"[{ROLES[number % 2]}] " if template is TRIMMED else f"<|im_start|>{ROLES[number % 2]}\n"
        assert found.text[:start].endswith(before)
    assert all(one[2] <= other[1] for one, other in pairwise(found.spans))


def test_a_template_that_shortens_a_turn() -> None:
    found = chat_text(tokenizer(THINKING), "x", alternating(["</think", "<think>2</think>\n\n4", "user"]))
    assert found.text == "<user></think<assistant>4<user>user"
    assert [found.text[start:end] for _, start, end in found.spans] == ["</think", "4", "user"]


def test_turns_left_out_and_turns_said_twice() -> None:
    turns = [Turn("system", "s"), Turn("user", "user")]
    left_out = chat_text(tokenizer(FIRST_ONLY), "x", turns)
    assert left_out.spans == ((1, 6, 10),)
    twice = chat_text(tokenizer(TWICE), "x", turns)
    assert twice.text == "s says: <s><user>"
    assert twice.spans == ((0, 0, 1), (0, 9, 10), (1, 12, 16))


def test_the_date_of_a_template_is_the_same_on_every_day() -> None:
    assert chat_text(tokenizer(DATED), "x", [Turn("user", "a")]).text.startswith("today is 26 Jul 2024, 26 Jul 2024. <")


def test_turns_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(MonosemError, match="changes a turn depending on others"):
        chat_text(tokenizer(ENTANGLED), "x", alternating(["a", "b", "c" * 9]))
    with pytest.raises(MonosemError, match="the tokenizer of x has no chat template"):
        chat_text(SimpleNamespace(chat_template=None), "x", [Turn("user", "a")])


@pytest.mark.parametrize("content", ["Tell me a story.", "user", "start", "s", "er", "2"])
def test_the_tokens_of_a_turn(content: str) -> None:
    chat = Encoding(tokenizer(CHATML), None, None).conversation([Turn("user", content)], answer=True)
    before = len("user\n") + 1
    assert [n for n, code in enumerate(chat.role_N.tolist()) if code] == [*range(before, before + len(content))]
    assert {role_of(code) for code in chat.role_N.tolist()} == {None, "user"}
