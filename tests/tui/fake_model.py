"""A model's process without a model: it speaks store.live.wire, and writes the words of the small run in turn.

`python fake_model.py WORD…`, where the words say how it is to behave:
    dies          it kills itself after the third token
    refuses       it loads nothing
    slow          it says what it loads and never gets further
    mute          it ends at once, with a traceback's last line on stderr
    ever          a text has no end, and is never complete; one token each 20 milliseconds
    evil          whatever it says about itself tries to take over the terminal
    chatty        its tokenizer has a chat template
    exhausted     memory runs out at the third token; the process goes on
    calm          one token each 60 milliseconds, so that each is drawn by itself
    varied        KL is another one for each token that the clamps change

Base tokens are words 10, 11, …; clamped ones are the same until the fifth, and from then on those from 30 on. KL is
0 while they are the same, then 1.5; a feature clamped acts at 0.5 before and 9.0 after. Token n of the base text has
activation n % 4 of a feature that is watched, the clamped one twice as much.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from store.live import wire
from store.live.clamp import parse_clamp
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
from store.settings.roles import Role

FORK, FIRST, OTHER = 4, 10, 30
WORDS = 60


class Fake:
    """The state of the pretended model."""

    def __init__(self, behaviour: list[str]) -> None:
        self.behaviour = behaviour
        self.clamps: tuple[str, ...] = ()
        self.going: wire.Go | None = None
        self.left: int | None = None
        self.watching: wire.WatchFeature | None = None
        self.number, self.longest, self.seed = 0, 0, 0
        self.rest = b""
        self.evil = ""
        if "evil" in behaviour:
            from tests.hostile_run import ALL

            self.evil = ALL

    def run(self) -> None:
        send(wire.Hello(protocol=wire.PROTOCOL, pid=os.getpid()))
        while True:
            for line in self.lines():
                request = wire.decode(line)
                assert isinstance(request, wire.Request)
                self.meet(request)
            if self.going:
                self.write(self.going)

    def lines(self) -> list[bytes]:
        ready, _, _ = select.select([0], [], [], 0 if self.going else None)
        if not ready:
            return []
        piece = os.read(0, 1 << 16)
        if not piece:
            os._exit(0)
        *lines, self.rest = (self.rest + piece).split(b"\n")
        return lines

    def meet(self, request: wire.Request) -> None:
        match request:
            case wire.Load():
                self.load(request)
            case wire.Start(recipe=recipe) if len(recipe.prompt) > 1000:
                send(wire.Failed(id=request.id, what="the prompt has 5000 tokens, and it reads 64", hint="Shorten it."))
            case wire.Start():
                self.settle()
                recipe, self.number = request.recipe, 0
                self.clamps, self.longest, self.seed = recipe.clamps, recipe.sampling.max_new, recipe.sampling.seed
                send(wire.Started(id=request.id, prompt=(0, 7, 8), clamps=recipe.clamps))
            case wire.Go():
                self.going, self.left = request, request.tokens
            case wire.Pause():
                self.settle()
            case wire.ChangeClamps():
                self.clamps = request.clamps
                send(wire.Changed(id=request.id, clamps=request.clamps, from_token=self.number))
            case wire.WatchFeature():
                self.watching = request
                self.send_acts(0)
            case wire.RankPrompt():
                found = (PromptFeature(2, 6.0, 12), PromptFeature(0, 3.0, 13), PromptFeature(5, 1.0, 14))
                send(wire.PromptRanked(id=request.id, features=found))
            case wire.Branch():
                self.settle()
                self.number = request.token
                send(wire.Branched(id=request.id, token=request.token))
            case wire.StartSweep():
                self.sweep(request)
            case wire.Inspect():
                self.inspect(request)
            case wire.Stop():
                self.settle()
                send(wire.Stopped(id=request.id))

    def load(self, request: wire.Load) -> None:
        send(wire.Working(id=request.id, title="loading PyTorch" + self.evil))
        if "slow" in self.behaviour:
            send(
                wire.Working(
                    id=request.id, title="reading weights" + self.evil, done=3, total=8, unit="files" + self.evil
                )
            )
        elif "refuses" in self.behaviour:
            send(
                wire.Failed(
                    id=request.id,
                    what=f"there is no model in {request.run}/model" + self.evil,
                    hint="Give --model." + self.evil,
                )
            )
        else:
            send(
                wire.Ready(
                    id=request.id,
                    model="/models/fake" + self.evil,
                    device="cpu" + self.evil,
                    d_sae=48,
                    max_context=64,
                    context=16,
                    chat="chatty" in self.behaviour,
                    knows_maxima=True,
                )
            )

    def write(self, going: wire.Go) -> None:
        if "ever" in self.behaviour:
            time.sleep(0.02)
        if "calm" in self.behaviour:
            time.sleep(0.06)
        n = self.number
        if "exhausted" in self.behaviour and n == 3:
            self.going = None
            send(wire.Failed(id=going.id, what="memory ran out on the GPU", hint="Shorten the text."))
            return
        if self.left == 0 or self.complete:
            self.settle()
            return
        changed = bool(self.clamps) and n >= FORK
        base = FIRST + (n + self.seed) % (WORDS - FIRST)
        clamped = OTHER + (n - FORK) % (WORDS - OTHER) if changed else base
        features = dict.fromkeys(parse_clamp(one).feature for one in self.clamps)
        step = Step(
            number=n,
            base=DrawnToken(base, -0.5),
            clamped=DrawnToken(clamped, -0.25),
            kl=self.kl(n) if changed else 0.0,
            own_logprob=-2.0 if changed else -0.5,
            acts=tuple(ClampedAct(feature, 0.5, 9.0) for feature in features),
            candidates=candidates(base, clamped, n % 40 if "varied" in self.behaviour else 0),
        )
        send(wire.Stepped(id=going.id, step=step))
        self.number += 1
        self.send_acts(max(0, self.number - 2))
        self.left = None if self.left is None else self.left - 1
        if "dies" in self.behaviour and self.number == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def send_acts(self, first: int) -> None:
        """The last token has not been read."""
        watch = self.watching
        if watch is not None and watch.feature is not None:
            base = tuple(float(n % 4) for n in range(first, self.number - 1))
            clamped = tuple(2 * act for act in base)
            send(wire.Watched(id=watch.id, feature=watch.feature, first=first, base=base, clamped=clamped))

    def kl(self, n: int) -> float:
        return 4.0 * (n * 7 % 11) / 11 if "varied" in self.behaviour else 1.5

    @property
    def complete(self) -> bool:
        return self.number >= self.longest and "ever" not in self.behaviour

    def settle(self) -> None:
        going, self.going = self.going, None
        if going is not None:
            end = "length" if self.complete else None
            send(wire.Rested(id=going.id, base_end=end, clamped_end=end, base_tok_s=90.0, clamped_tok_s=96.0))

    def inspect(self, request: wire.Inspect) -> None:
        """Each word of the text is the token after the one before; token n has features n and 20 + n, and 0."""
        if request.chat and "chatty" not in self.behaviour:
            send(wire.Failed(id=request.id, what="the tokenizer of fake has no chat template", hint=""))
            return
        role: Role | None = "user" if request.chat else None
        reads = [ReadToken(0, False, (), 0, None)]
        for n, _ in enumerate(request.text.split()):
            change = 0.5 if request.ablate else None
            firings = (Firing(n % 48, 8.0 - n % 8, change), Firing((n + 20) % 48, 1.0, None))
            reads.append(ReadToken(FIRST + n % 50, True, firings, 7, None, role=role))
        send(wire.Inspected(id=request.id, contexts=(tuple(reads),)))

    def sweep(self, request: wire.StartSweep) -> None:
        name, _, values = request.recipe.sweep.partition("=")
        values, at, where = values.partition("@")
        swung = [
            SweptStrength(f"{name}={value}{at}{where}", text((40 + n, 41, 42)), (0.1 * n, 0.2 * n), (-1.0, -2.0 - n))
            for n, value in enumerate(values.split(","))
        ]
        send(wire.Swept(id=request.id, sweep=ClampSweep(text((10, 11, 12)), tuple(swung))))


def candidates(base: int, clamped: int, shift: int) -> NextTokens:
    """The base's token has 60.7 % without clamps, the clamped one 77.9 %; they move nothing where these are one.

    The others are tokens 1 to 9; a `shift` makes others of them.
    """
    others = [n + shift for n in range(1, 10) if n + shift not in (base, clamped)]
    few = tuple(-3.0 - (n if not shift else (n * 5 + shift) % 9 / 2) for n in range(len(others)))
    if base == clamped:
        return NextTokens((base, *others), (-0.5, *few), (-0.5, *few))
    return NextTokens((base, clamped, *others), (-4.0, -0.25, *few), (-0.5, -2.0, *few))


def text(tokens: tuple[int, ...]) -> SampledText:
    return SampledText(tokens, (-0.5,) * len(tokens), "length")


def send(message: wire.Answer) -> None:
    try:
        os.write(1, wire.encode(message))
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    if "mute" in sys.argv:
        sys.exit("ModuleNotFoundError: No module named 'engine'" + Fake(sys.argv[1:]).evil)
    Fake(sys.argv[1:]).run()
