"""The model's own process: requests on stdin, answers on stdout, one JSON object a line (store.wire).

A text is written between requests, so that nothing waits longer than one token. Whatever goes wrong with the model is
an answer; the process itself ends only when nobody listens any more.
"""

from __future__ import annotations

import argparse
import os
import queue
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.progress import Fact, Task
from store import wire
from store.clamp import parse_clamp
from store.errors import MonosemError
from store.recipe import Recipe
from store.run import RunFolder

if TYPE_CHECKING:
    from engine.generation import Session
    from engine.live import LiveModel

IDLE_SECONDS = 3600.0
WATCH_SECONDS = 2.0
"""How often it is looked whether the parent is alive."""


class _Broken(Exception):
    """What runs is to be broken off."""


class Requests:
    """Requests as they come in, read by a thread of its own; nobody at the other end ends the process at once."""

    def __init__(self, descriptor: int, parent: int) -> None:
        self._descriptor, self._parent = descriptor, parent
        self._waiting: queue.Queue[wire.Request | wire.WireError] = queue.Queue()
        self._stops = 0
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, timeout: float | None) -> wire.Request | wire.WireError | None:
        """The next one; None when none has come within `timeout` seconds."""
        try:
            found = self._waiting.get(block=timeout != 0, timeout=timeout)
        except queue.Empty:
            return None
        self._stops -= isinstance(found, wire.Stop)
        return found

    @property
    def stop_waits(self) -> bool:
        """Whether somebody has asked for what runs to be broken off."""
        return self._stops > 0

    def _read(self) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([self._descriptor], [], [], WATCH_SECONDS)
            if os.getppid() != self._parent:
                os._exit(0)
            if not ready:
                continue
            piece = os.read(self._descriptor, 1 << 16)
            if not piece or len(rest) > wire.LONGEST:
                os._exit(0)  # in the middle of whatever it is: nobody would hear of it
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = wire.decode(line)
        except wire.WireError as error:
            self._waiting.put(error)
            return
        if isinstance(message, wire.Request):
            self._stops += isinstance(message, wire.Stop)
            self._waiting.put(message)
        else:
            self._waiting.put(wire.WireError(f"{type(message).__name__.lower()} is an answer, no request"))


class Server:
    """What is open, what is being written, and how each request is met."""

    def __init__(self, requests: Requests, send: Callable[[wire.Answer], None], idle: float) -> None:
        self._requests, self._send, self._idle = requests, send, idle
        self._live: LiveModel | None = None
        self._session: Session | None = None
        self._going: wire.Go | None = None
        self._left: int | None = None
        """Tokens that the present Go still asks for."""

    def run(self) -> None:
        """Until nobody has asked for anything for a long time."""
        self._send(wire.Hello(protocol=wire.PROTOCOL, pid=os.getpid()))
        while True:
            request = self._requests.next(0 if self._going else self._idle)
            if request is None and self._going is None:
                self._send(wire.Gone(why=f"idle for {self._idle:g} seconds"))
                return
            number = request.id if isinstance(request, wire.Request) else self._going.id if self._going else 0
            try:
                if request is None:
                    self._write()
                elif isinstance(request, wire.WireError):
                    raise MonosemError(f"not understood: {request}")
                else:
                    self._meet(request)
            except Exception as error:  # the model may fail in any way; the process goes on
                self._fail(number, error, writing=request is None)

    def _fail(self, number: int, error: Exception, *, writing: bool) -> None:
        if writing:  # the model's memory of the text may be half written
            self._session, self._going = None, None
        if isinstance(error, _Broken):
            self._send(wire.Failed(id=number, what="broken off"))
        elif isinstance(error, MonosemError):
            self._send(wire.Failed(id=number, what=error.what, hint=error.hint))
        else:
            traceback.print_exception(error)
            self._send(wire.Failed(id=number, what=f"{type(error).__name__}: {error}", hint="The log has more."))

    def _meet(self, request: wire.Request) -> None:
        match request:
            case wire.Load():
                self._load(request)
            case wire.Inspect():
                self._inspect(request)
            case wire.Start():
                self._start(request)
            case wire.Sweep():
                self._sweep(request)
            case wire.Go():
                self._writing()
                self._rest()
                self._going, self._left = request, request.tokens
            case wire.Pause():
                self._rest()
            case wire.Change():
                self._change(request)
            case wire.Branch():
                session = self._writing()
                self._rest()
                session.back(request.token, request.seed)
                self._send(wire.Branched(id=request.id, token=request.token))
            case wire.Stop():
                self._rest()
                self._session = None
                self._send(wire.Stopped(id=request.id))

    def _load(self, request: wire.Load) -> None:
        self._rest()
        self._live = self._session = None
        self._send(wire.Working(id=request.id, title="loading PyTorch"))
        from engine.live import open_live

        given = {name: getattr(request, name) for name in ("model", "device", "dtype")}
        given = {name: value for name, value in given.items() if value is not None}
        live = self._live = open_live(RunFolder(Path(request.run)), given, self._telling(request.id))
        self._send(
            wire.Ready(
                id=request.id,
                model=live.lm.name,
                device=str(live.lm.device),
                d_sae=live.d_sae,
                max_context=live.lm.max_context,
                context=live.context,
                chat=bool(getattr(live.encoding.tokenizer, "chat_template", None)),
                knows_maxima=live.max_F is not None,
            )
        )

    def _inspect(self, request: wire.Inspect) -> None:
        live = self._loaded()
        from engine.inspection import contexts_of, inspect_contexts

        contexts = contexts_of(live, request.text)
        found = inspect_contexts(live, contexts, request.top, self._telling(request.id), ablate=request.ablate)
        read = (
            tuple(
                wire.Read(
                    one.token,
                    one.counted,
                    tuple(wire.Fires(f.feature, f.activation, f.loss_change) for f in one.firings),
                    one.active,
                    one.next_loss,
                )
                for one in context
            )
            for context in found.contexts
        )
        self._send(wire.Inspected(id=request.id, contexts=tuple(read)))

    def _start(self, request: wire.Start) -> None:
        live = self._loaded()
        from engine.generation import Session
        from engine.recipes import prompt_of, sampling_of

        recipe = _recipe(request)
        clamps = [parse_clamp(clamp) for clamp in recipe.clamps]
        session = Session(live, prompt_of(live, recipe), clamps, sampling_of(recipe), recipe.max_new)
        self._rest()
        self._session = session
        written = tuple(map(str, session.clamps))
        self._send(wire.Started(id=request.id, prompt=session.prompt.tokens, clamps=written))

    def _sweep(self, request: wire.Sweep) -> None:
        live = self._loaded()
        from dataclasses import replace

        from engine.recipes import sweep_of

        found = sweep_of(live, replace(_recipe(request.start), sweep=request.strengths), self._telling(request.id))
        strengths = (
            wire.Swung(str(one.clamp), tuple(one.text.tokens), one.text.end, tuple(one.kl), tuple(one.own_logprobs))
            for one in found.strengths
        )
        self._send(
            wire.Swept(
                id=request.id,
                base=tuple(found.base.tokens),
                base_logprobs=tuple(found.base.logprobs),
                strengths=tuple(strengths),
            )
        )

    def _change(self, request: wire.Change) -> None:
        session = self._writing()
        session.change([parse_clamp(clamp) for clamp in request.clamps])
        written = tuple(map(str, session.clamps))
        self._send(wire.Changed(id=request.id, clamps=written, from_token=len(session.clamped.tokens)))

    def _write(self) -> None:
        """One token more."""
        going, session = self._going, self._writing()
        assert going is not None
        step = session.step() if self._left is None or self._left > 0 else None
        if step is None:
            self._rest()
            return
        self._left = None if self._left is None else self._left - 1
        self._send(
            wire.Stepped(
                id=going.id,
                number=step.number,
                base=wire.Token(*step.base) if step.base else None,
                clamped=wire.Token(*step.clamped) if step.clamped else None,
                kl=step.kl,
                own_logprob=step.own_logprob,
                acts=tuple(wire.Act(*act) for act in step.acts),
            )
        )

    def _rest(self) -> None:
        """Write no further."""
        going, session = self._going, self._session
        self._going = None
        if going is None or session is None:
            return
        base, clamped = session.base, session.clamped
        self._send(
            wire.Rested(
                id=going.id,
                base_end=base.end,
                clamped_end=clamped.end,
                base_tok_s=base.speed,
                clamped_tok_s=clamped.speed,
            )
        )

    def _loaded(self) -> LiveModel:
        if self._live is None:
            raise MonosemError("no model is open", "Load a run first.")
        return self._live

    def _writing(self) -> Session:
        if self._session is None:
            raise MonosemError("no text is being written", "Start one first.")
        return self._session

    def _telling(self, number: int) -> _Telling:
        return _Telling(number, self._send, lambda: self._requests.stop_waits)


class _Telling:
    """Progress as answers; the place where long work notices that it is to be broken off."""

    def __init__(self, number: int, send: Callable[[wire.Answer], None], broken: Callable[[], bool]) -> None:
        self._number, self._send, self._broken = number, send, broken

    def say(self, text: str) -> None:
        """One sentence."""
        self._send(wire.Working(id=self._number, title=text))

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """A stretch of work."""
        yield _Stretch(self, title, total, unit, done)

    def report(self, title: str, done: int, total: int | None, unit: str) -> None:
        """How far it is.

        Raises:
            _Broken: it is to be broken off.
        """
        if self._broken():
            raise _Broken
        self._send(wire.Working(id=self._number, title=title, done=done, total=total, unit=unit))


class _Stretch:
    def __init__(self, telling: _Telling, title: str, total: int | None, unit: str, done: int) -> None:
        self._telling, self._title, self._total, self._unit, self._done = telling, title, total, unit, done

    def advance(self, amount: int, **facts: Fact) -> None:
        """Tell of it."""
        del facts
        self._done += amount
        self._telling.report(self._title, self._done, self._total, self._unit)


def _recipe(start: wire.Start) -> Recipe:
    return Recipe(
        prompt=start.prompt,
        chat=start.chat,
        system=start.system,
        clamps=start.clamps,
        max_new=start.max_new,
        temperature=start.temperature,
        top_p=start.top_p,
        top_k=start.top_k,
        seed=start.seed,
    )


def main(arguments: Sequence[str]) -> None:
    """Serve until nobody listens."""
    parser = argparse.ArgumentParser(prog="engine.serve", description="The model's own process; see store/wire.py.")
    parser.add_argument("--log", type=Path, help="file for what is not an answer")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process without which it ends")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds without a request before it ends")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the terminal's
    answers = os.dup(1)
    if given.log is not None:
        log = os.open(given.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
    os.dup2(2, 1)  # what a library prints must not stand among the answers

    def send(message: wire.Answer) -> None:
        line = wire.encode(message)
        try:
            while line:
                line = line[os.write(answers, line) :]
        except OSError:
            os._exit(0)  # nobody reads

    Server(Requests(0, given.parent), send, given.idle).run()


if __name__ == "__main__":
    main(sys.argv[1:])
