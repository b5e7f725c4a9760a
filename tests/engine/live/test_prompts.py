"""The beginning of a text: BOS and a prompt, or a chat in the tokenizer's template with the role of each token."""

from __future__ import annotations

import pytest

from engine.corpus.conversations import Turn
from engine.live.generation import Generation
from engine.live.live_model import LiveModel
from engine.live.prompts import chat_prompt, plain_prompt
from engine.live.row_clamps import PromptLayout
from store.files.errors import MonosemError
from store.live.clamp import Where, parse_clamp
from store.live.sampling import Sampling
from tests.engine.live_models import live_model
from tests.engine.small import BOS, EOS, FIRST_WORD, words

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} w9{% if m.role == 'user' %} w8 {% else %} w7 {% endif %}"
    "{{ m.content | trim }} </s>{% endfor %}{% if add_generation_prompt %} w9 w6{% endif %}"
)


def w(*numbers: int) -> list[int]:
    return [FIRST_WORD + number for number in numbers]


@pytest.fixture
def live() -> LiveModel:
    live = live_model("relu", "llama", "resid_post", 0, "bos", "eos")
    live.encoding.tokenizer.chat_template = TEMPLATE
    return live


def test_a_prompt_stands_behind_bos_and_is_plain_text() -> None:
    assert plain_prompt(live_model(), words([1, 2])).tokens == (BOS, *w(1, 2))
    assert plain_prompt(live_model(), "").tokens == (BOS,)
    bare = live_model("relu", "gpt2", "resid_post", 0, "eos")
    assert plain_prompt(bare, words([1, 2])).tokens == tuple(w(1, 2))


def test_a_chat_is_what_the_template_makes_of_it(live: LiveModel) -> None:
    prompt = chat_prompt(live, [Turn("system", "w20 w21"), Turn("user", " w30 ")])
    expected = [BOS, *w(9, 7, 20, 21), EOS, *w(9, 8, 30), EOS, *w(9, 6)]
    assert list(prompt.tokens) == expected
    own = live.encoding.tokenizer.apply_chat_template(
        [{"role": "system", "content": "w20 w21"}, {"role": "user", "content": " w30 "}],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(prompt.tokens) == own
    assert prompt.role_P == (None, None, None, "system", "system", None, None, None, "user", None, None, None)
    # Reading it has not changed how plain text is read.
    plain_prompt(live, "w1")
    assert live.encoding.tokenizer.backend_tokenizer.encode_special_tokens


def test_turns_that_say_the_same_are_told_apart(live: LiveModel) -> None:
    prompt = chat_prompt(live, [Turn("user", "w5"), Turn("assistant", "w5"), Turn("user", "w5")])
    said = [role for role, token in zip(prompt.role_P or (), prompt.tokens, strict=True) if token == FIRST_WORD + 5]
    assert said == ["user", "assistant", "user"]


def test_roles_say_where_a_clamp_holds(live: LiveModel) -> None:
    prompt = chat_prompt(live, [Turn("system", "w20"), Turn("user", "w30")])
    layout = prompt.layout
    total = len(prompt.tokens) + 3
    for part, wanted in {
        "system": [3],
        "user": [7],
        "assistant": [*range(len(prompt.tokens), total)],
        "prompt": [*range(len(prompt.tokens))],
        "response": [*range(len(prompt.tokens), total)],
    }.items():
        where = parse_clamp(f"1=off@{part}").where
        assert [i for i, on in enumerate(layout.allowed(where, 0, total)) if on] == wanted
        assert [i + 5 for i, on in enumerate(layout.allowed(where, 5, total - 5)) if on] == [i for i in wanted if i > 4]
    Generation(live, prompt, [parse_clamp("1=2@user")], Sampling(max_new=3)).step()


def test_ranges_and_parts_narrow_each_other() -> None:
    layout = PromptLayout(4)
    on = layout.allowed(Where("response", 2, 6), 0, 9)
    assert [i for i, one in enumerate(on) if one] == [4, 5]


def test_a_model_without_a_template_says_so() -> None:
    with pytest.raises(MonosemError, match="has no chat template"):
        chat_prompt(live_model(), [Turn("user", "w1")])


def test_a_template_that_refuses_is_one_line(live: LiveModel) -> None:
    live.encoding.tokenizer.chat_template = "{{ raise_exception('only\nusers') }}"
    with pytest.raises(MonosemError, match=r"the chat template of words fails: .*only users"):
        chat_prompt(live, [Turn("system", "w1")])
