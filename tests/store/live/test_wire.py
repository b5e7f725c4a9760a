"""The messages of store.live.wire: each survives its line, and nothing but a message does."""

from __future__ import annotations

import json
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.live import wire
from store.live.model_outputs import (
    ClampedAct,
    ClampSweep,
    DrawnToken,
    Firing,
    NextTokens,
    PromptFeature,
    ReadToken,
    SampledText,
    Step,
    SweptStrength,
)
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.live.wire import Request, WireError, decode, encode

RECIPE = Recipe(
    prompt="é\n\x1b",
    clamps=("412=max*4@response",),
    sweep="412=0,1",
    sampling=Sampling(temperature=0.1, seed=2**63 - 1, max_new=7),
)
MESSAGES: list[wire.Request | wire.Answer] = [
    wire.Load(id=1, run="/runs/a", device="cpu"),
    wire.Inspect(id=2, text="日本", top=3, ablate=True),
    wire.Start(id=4, recipe=RECIPE),
    wire.Go(id=5),
    wire.Go(id=5, tokens=3),
    wire.Pause(id=6),
    wire.ChangeClamps(id=7, clamps=()),
    wire.WatchFeature(id=7, feature=12),
    wire.RankPrompt(id=7, top=5),
    wire.Branch(id=8, token=3, seed=None),
    wire.StartSweep(id=9, recipe=RECIPE),
    wire.Stop(id=10),
    wire.Recall(id=11),
    wire.Hello(protocol=1, pid=77),
    wire.Working(id=1, title="ablation", done=3, total=None, unit="tokens"),
    wire.Ready(
        id=1,
        model="m",
        device="cpu",
        d_sae=40,
        max_context=None,
        context=16,
        chat=False,
        knows_maxima=True,
    ),
    wire.Inspected(
        id=2,
        contexts=(
            (ReadToken(1, False, (), 0, 2.5), ReadToken(7, True, (Firing(3, 1.25, None),), 9, None)),
            (),
        ),
    ),
    wire.Started(id=4, prompt=(1, 2), clamps=()),
    wire.Stepped(id=5, step=Step(0, None, DrawnToken(5, -0.5), 0.0, -3.0, (ClampedAct(412, 0.0, 8.5),))),
    wire.Stepped(
        id=5, step=Step(0, None, DrawnToken(5, -0.5), 0.0, -3.0, (), NextTokens((4, 5), (-0.5, -2.0), (-1.0, -1.5)))
    ),
    wire.PromptRanked(id=7, features=(PromptFeature(3, 1.5, 12),)),
    wire.Watched(id=7, feature=12, first=3, base=(0.5,), clamped=()),
    wire.Rested(id=5, base_end="eos", clamped_end=None, base_tok_s=None, clamped_tok_s=80.5),
    wire.Changed(id=7, clamps=("1=off",), from_token=3),
    wire.Branched(id=8, token=3),
    wire.Recalled(id=11, recipe=None),
    wire.Recalled(
        id=11,
        recipe=RECIPE,
        prompt=(1, 2),
        tokens=3,
        writing=True,
        obeyed=(wire.ClampStretch(token=0, clamps=("3=9.5",)), wire.ClampStretch(token=2, clamps=())),
    ),
    wire.Swept(
        id=9,
        sweep=ClampSweep(
            SampledText((1,), (-1.0,), "length"),
            (SweptStrength("4=1", SampledText((2,), (-0.5,), None), (0.5,), (-2.0,)),),
        ),
    ),
    wire.Stopped(id=10),
    wire.Failed(id=0, what="w", hint="h"),
    wire.Gone(why="idle"),
]


def test_every_kind_is_here() -> None:
    assert {type(message) for message in MESSAGES} == {*get_args(Request), *get_args(wire.Answer)}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_its_line(message: wire.Request | wire.Answer) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert json.loads(line)["type"] == type(message).__name__.lower()
    assert decode(line) == message


def test_what_json_cannot_say_is_not_a_number() -> None:
    found = decode(encode(wire.Swept(id=1, sweep=ClampSweep(SampledText((), (math.inf, -1.0), None), ()))))
    assert isinstance(found, wire.Swept)
    assert math.isnan(found.sweep.base.logprobs[0])
    assert found.sweep.base.logprobs[1] == -1


def test_what_a_later_version_adds_is_left_out() -> None:
    assert decode(b'{"type": "pause", "id": 3, "gently": true}') == wire.Pause(id=3)
    assert (
        decode(
            b'{"type": "start", "id": 3, "recipe": {"prompt": "x", "sampling": {"temperature": 1}}}'
        ).recipe.sampling.temperature
        == 1.0
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'"pause"',
        b'{"id": 3}',
        b'{"type": "nothing", "id": 3}',
        b'{"type": ["pause"], "id": 3}',
        b'{"type": "pause"}',
        b'{"type": "pause", "id": "3"}',
        b'{"type": "pause", "id": true}',
        b'{"type": "pause", "id": 3.0}',
        b'{"type": "go", "id": 3, "tokens": "all"}',
        b'{"type": "changeclamps", "id": 3, "clamps": "1=2"}',
        b'{"type": "changeclamps", "id": 3, "clamps": [1]}',
        b'{"type": "startsweep", "id": 3, "recipe": 1}',
        b'{"type": "startsweep", "id": 3, "recipe": {"sweep": "1=2,3"}}',
        b'{"type": "start", "id": 3, "recipe": {"prompt": "x", "sampling": {"temperature": true}}}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        decode(line)


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(line: bytes) -> None:
    try:
        decode(line)
    except WireError:
        return
