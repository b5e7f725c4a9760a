"""The model server: requests on stdin, answers on stdout, one JSON object per line (store.live.wire).

Tokens are generated between requests, so a request waits for at most one token. Errors of the model are answers; the
process exits only when its client is gone. At a socket (`serve_at`) it outlives its clients: the loaded run stays and a
text is generated further until a long idle time has passed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.live.client_progress import Cancelled, ClientProgress
from engine.live.loaded_run import LoadedRun
from engine.live.requests import Client, ClientRequest, PipeClient, RequestQueue
from engine.live.socket_server import SocketServer
from engine.runtime.out_of_memory import explained, no_memory
from store.files.errors import MonosemError
from store.live import wire
from store.live.clamp import parse_clamp
from store.live.model_outputs import KEPT, Step
from store.live.recipe import Recipe
from store.live.socket_file import Listening

if TYPE_CHECKING:
    from engine.live.generation import Generation
    from engine.live.live_model import LiveModel

IDLE_SECONDS = 3600.0
_ENDING = (signal.SIGTERM, signal.SIGINT)


class ModelServer:
    """Answers requests: keeps the loaded run, the present generation and the client it is for."""

    def __init__(self, inbox: RequestQueue, idle: float, opened: LoadedRun | None = None) -> None:
        """Prepare to serve.

        Args:
            inbox: the queue of requests.
            idle: seconds without a request after which `run` returns, once no text is being generated.
            opened: a run that is loaded already.
        """
        self._inbox, self._idle, self._opened = inbox, idle, opened
        self._peer: Client | None = None
        """The client of the last request."""
        self._generation: Generation | None = None
        self._recipe: Recipe | None = None
        """Recipe with which the text was started."""
        self._steps: list[Step] = []
        """All steps of the text so far."""
        self._obeyed: list[wire.ClampStretch] = []
        """The clamps that the text was written with."""
        self._going: wire.Go | None = None
        self._listener: Client | None = None
        """The client that the steps are sent to."""
        self._left: int | None = None
        """Tokens left of the present Go; None for no limit."""
        self._watching: wire.WatchFeature | None = None
        """The feature whose activations are sent, too."""

    def run(self) -> str:
        """Serve until the idle time has passed, and return that as a sentence."""
        while True:
            asked = self._inbox.next(0 if self._going else self._idle)
            if asked is None and self._going is None:
                return f"idle for {self._idle:g} seconds"
            try:
                if asked is None:
                    self._write()
                else:
                    self._peer = asked.peer
                    self._meet(asked.request)
            except Exception as error:  # the model may fail in any way; the process goes on
                self._fail(asked, error)

    def _fail(self, asked: ClientRequest | None, error: Exception) -> None:
        if asked is None:
            number, peer = self._going.id if self._going else 0, self._listener
            self._forget()  # the model's memory of the text may be half written
        else:
            number, peer = asked.request.id, asked.peer
        if isinstance(error, Cancelled):
            failed = wire.Failed(id=number, what="broken off")
        elif isinstance(error, MonosemError):
            failed = wire.Failed(id=number, what=error.what, hint=error.hint)
        else:
            with suppress(OSError):  # of a log on a full disk
                traceback.print_exception(error)
            short = no_memory(error) or MonosemError(
                f"{type(error).__name__}: {error}".strip().splitlines()[0], "The log has more."
            )
            failed = wire.Failed(id=number, what=short.what, hint=short.hint)
        if peer is not None:
            peer.send(failed)

    def _send(self, answer: wire.Answer) -> None:
        if self._peer is not None:
            self._peer.send(answer)

    def _forget(self) -> None:
        """Drop the text."""
        self._generation = self._recipe = self._going = self._watching = None
        self._steps, self._obeyed = [], []

    def _obey(self, token: int, generation: Generation) -> tuple[str, ...]:
        """Record that the clamps of `generation` hold from a token on, and return them as text."""
        clamps = tuple(map(str, generation.clamps))
        before = [one for one in self._obeyed if one.token < token]
        if not before or before[-1].clamps != clamps:
            before.append(wire.ClampStretch(token=token, clamps=clamps))
        self._obeyed = before
        return clamps

    def _meet(self, request: wire.Request) -> None:
        match request:
            case wire.Load():
                self._load(request)
            case wire.Inspect():
                self._inspect(request)
            case wire.Start():
                self._start(request)
            case wire.StartSweep():
                self._sweep(request)
            case wire.Go():
                self._writing()
                self._rest()
                self._going, self._left, self._listener = request, request.tokens, self._peer
            case wire.Pause():
                self._rest()
            case wire.ChangeClamps():
                self._change(request)
            case wire.WatchFeature():
                self._watch(request)
            case wire.RankPrompt():
                features = self._writing().prompt_features(request.top)
                self._send(wire.PromptRanked(id=request.id, features=features))
            case wire.Branch():
                generation = self._writing()
                self._rest()
                generation.back(request.token, request.seed)
                del self._steps[request.token :]
                self._obey(request.token, generation)
                self._send(wire.Branched(id=request.id, token=request.token))
            case wire.Stop():
                self._rest()
                self._forget()
                self._send(wire.Stopped(id=request.id))
            case wire.Recall():
                self._recall(request)

    def _load(self, request: wire.Load) -> None:
        if self._opened is None or not self._opened.meets(request):
            self._rest()
            self._forget()
            self._opened = None
            self._send(wire.Working(id=request.id, title="loading PyTorch"))
            self._opened = LoadedRun.load(request, self._telling(request.id))
        live = self._opened.live
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
        from engine.live.inspection import contexts_of, inspect_contexts, typed_document

        contexts = contexts_of(live, typed_document(request.text, chat=request.chat))
        found = inspect_contexts(live, contexts, request.top, self._telling(request.id), ablate=request.ablate)
        self._send(wire.Inspected(id=request.id, contexts=found))

    def _start(self, request: wire.Start) -> None:
        live = self._loaded()
        from engine.live.from_recipe import prompt_of
        from engine.live.generation import Generation

        recipe = request.recipe
        clamps = [parse_clamp(clamp) for clamp in recipe.clamps]
        generation = Generation(live, prompt_of(live, recipe), clamps, recipe.sampling, detail=True)
        self._rest()
        self._generation, self._recipe, self._steps, self._watching = generation, recipe, [], None
        written = self._obey(0, generation)
        self._send(wire.Started(id=request.id, prompt=generation.prompt.tokens, clamps=written))

    def _sweep(self, request: wire.StartSweep) -> None:
        live = self._loaded()
        from engine.live.from_recipe import sweep_of

        self._send(wire.Swept(id=request.id, sweep=sweep_of(live, request.recipe, self._telling(request.id))))

    def _change(self, request: wire.ChangeClamps) -> None:
        generation = self._writing()
        generation.change([parse_clamp(clamp) for clamp in request.clamps])
        token = len(generation.clamped.tokens)
        self._send(wire.Changed(id=request.id, clamps=self._obey(token, generation), from_token=token))

    def _write(self) -> None:
        """Generate one token."""
        going, generation = self._going, self._writing()
        assert going is not None
        step = generation.step() if self._left is None or self._left > 0 else None
        if step is None:
            self._rest()
            return
        self._left = None if self._left is None else self._left - 1
        self._steps.append(step)
        keep_last_candidates(self._steps)
        if self._listener is not None:
            self._listener.send(wire.Stepped(id=going.id, step=step))
            if self._watching is not None:
                self._tell_acts(self._watching, max(0, len(self._steps) - 2), self._listener)

    def _watch(self, request: wire.WatchFeature) -> None:
        self._writing()
        self._watching = None if request.feature is None else request
        if self._peer is not None:
            self._tell_acts(request, 0, self._peer)

    def _tell_acts(self, watch: wire.WatchFeature, first: int, client: Client) -> None:
        """Send activations of the watched feature from a token on."""
        if watch.feature is not None:
            base, clamped = self._writing().text_acts(watch.feature, first)
            found = wire.Watched(
                id=watch.id, feature=watch.feature, first=first, base=tuple(base), clamped=tuple(clamped)
            )
            client.send(found)

    def _rest(self) -> None:
        """Stop generating and send Rested."""
        going, generation = self._going, self._generation
        self._going = None
        if going is not None and generation is not None and self._listener is not None:
            self._listener.send(_rested(going.id, generation))

    def _recall(self, request: wire.Recall) -> None:
        """Send the text to a client that reconnects, and further steps too."""
        generation, recipe = self._generation, self._recipe
        if generation is None or recipe is None:
            self._send(wire.Recalled(id=request.id, recipe=None))
            return
        self._send(
            wire.Recalled(
                id=request.id,
                recipe=replace(recipe, clamps=tuple(map(str, generation.clamps))),
                prompt=generation.prompt.tokens,
                tokens=len(self._steps),
                writing=self._going is not None,
                obeyed=tuple(self._obeyed),
            )
        )
        for step in self._steps:
            self._send(wire.Stepped(id=request.id, step=step))
        if self._going is None:
            self._send(_rested(request.id, generation))
        else:
            self._going, self._listener = replace(self._going, id=request.id), self._peer

    def _loaded(self) -> LiveModel:
        if self._opened is None:
            raise MonosemError("no model is open", "Load a run first.")
        return self._opened.live

    def _writing(self) -> Generation:
        if self._generation is None:
            raise MonosemError("no text is being written", "Start one first.")
        return self._generation

    def _telling(self, number: int) -> ClientProgress:
        peer = self._peer
        return ClientProgress(number, self._send, lambda: peer is not None and self._inbox.stop_waits(peer))


def keep_last_candidates(steps: list[Step]) -> None:
    """Drop the candidates of the step that has just fallen behind the last `KEPT`."""
    if len(steps) > KEPT:
        steps[-KEPT - 1] = replace(steps[-KEPT - 1], candidates=None)


def _rested(number: int, generation: Generation) -> wire.Rested:
    base, clamped = generation.base, generation.clamped
    return wire.Rested(
        id=number,
        base_end=base.end,
        clamped_end=clamped.end,
        base_tok_s=base.speed,
        clamped_tok_s=clamped.speed,
    )


def main(arguments: Sequence[str]) -> None:
    """Serve the parent process."""
    parser = argparse.ArgumentParser(prog="engine.live.server", description="The model server; see store/live/wire.py.")
    parser.add_argument("--log", type=Path, help="file for what is not an answer")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process without which it ends")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds without a request before it ends")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the terminal's
    answers = os.dup(1)
    if given.log is not None:
        _write_to(given.log, 2)
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    inbox = RequestQueue()
    terminal = PipeClient(inbox, 0, answers, given.parent)
    terminal.send(wire.Hello(protocol=wire.PROTOCOL, pid=os.getpid()))
    terminal.send(wire.Gone(why=ModelServer(inbox, given.idle).run()))


def serve_at(place: Path, load: wire.Load, log: Path, idle: float, say: Callable[[str], None], ready: str) -> None:
    """Load a run and serve clients at a socket until a signal or the idle time ends it. SIGHUP is ignored.

    Clients that come before the run is loaded are greeted, see the progress, and are answered afterwards.

    Args:
        place: path of the socket.
        load: the run.
        log: file that all output goes to, once the run is loaded.
        idle: seconds without a request after which it ends, once no text is being generated.
        say: prints a sentence; the terminal may be gone.
        ready: the sentence to print once the run is loaded.

    Raises:
        MonosemError: it cannot listen or write there, or the run cannot be loaded.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    inbox = RequestQueue()
    reception = SocketServer(Listening(place), inbox)

    def leave(why: str) -> None:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        reception.close(why)

    def end(number: int, _frame: object) -> None:
        leave(f"ended by {signal.Signals(number).name}")
        os._exit(0)  # also in the middle of work: there is nothing to save

    def report(progress: wire.Working) -> None:
        reception.tell_all(progress)
        with suppress(OSError):
            say(progress.title)

    why = "ended"
    try:
        for number in _ENDING:
            signal.signal(number, end)
        reception.tell_all(wire.Working(id=0, title=f"loading {load.run}"))
        with explained():
            opened = LoadedRun.load(load, ClientProgress(0, report, lambda: False))
        reception.tell_all(None)
        with suppress(OSError):
            say(ready)
        for descriptor in (1, 2):
            _write_to(log, descriptor)
        why = ModelServer(inbox, idle, opened).run()
    except MonosemError as error:
        why = f"ended: {error.what}"
        raise
    finally:
        leave(why)


def _write_to(log: Path, descriptor: int) -> None:
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise MonosemError(f"cannot write {log}: {error.strerror}", "Choose another `log`.") from error
    os.dup2(file, descriptor)
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1:])
