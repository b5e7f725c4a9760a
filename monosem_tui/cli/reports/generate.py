"""Output of `monosem generate`: texts as they are written, or all of their figures as JSON."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from monosem_tui.cli import output
from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import activation, known
from monosem_tui.draw.spans import Line, Role, Span, line
from store.live.clamp import Clamp, parse_clamp
from store.live.model_outputs import ClampSweep, SampledText, mean, perplexity
from store.live.recipe import Recipe
from store.notes.note_file import FeatureNotes, Notes
from store.run.folder import RunFolder

if TYPE_CHECKING:
    from engine.live.generation import Generation, GrowingText
    from engine.live.live_model import LiveModel
    from store.index.vocabulary import Vocabulary

_ENDS = {"eos": "the model ended it", "length": "cut at --max-new", "context": "context full"}


def report(run: RunFolder, live: LiveModel, recipe: Recipe, sessions: Iterable[Generation], *, json: bool) -> None:
    """Write every sample while it is made; with `json`, all of them once they are done."""
    if json:
        samples = [_session_json(live, _finished(session)) for session in sessions]
        for number, sample in enumerate(samples):
            sample["seed"] = recipe.sampling.seed + number
        head = {"prompt": recipe.prompt, "seed": recipe.sampling.seed, "clamps": list(recipe.clamps)}
        output.emit_json(head | samples[0] | ({"samples": samples} if len(samples) > 1 else {}))
        return
    labels = Notes(run.notes).load()
    for number, session in enumerate(sessions):
        if number == 0:
            output.emit_lines(_head(session.clamps, labels))
        if recipe.samples > 1:
            output.emit_lines(
                [(Span(f"sample {number + 1} of {recipe.samples}, seed {recipe.sampling.seed + number}", Role.DIM),)]
            )
        _write(live, session)


def report_sweep(run: RunFolder, live: LiveModel, recipe: Recipe, sweep: ClampSweep, *, json: bool) -> None:
    """Print the text of each strength, with its distance from the model's own."""
    if json:
        base = _text_json(live, sweep.base)
        rows = [
            {"clamp": one.clamp, **_text_json(live, one.text), **_distance_json(one.kl, one.own_logprobs)}
            for one in sweep.strengths
        ]
        head = {"prompt": recipe.prompt, "seed": recipe.sampling.seed, "clamps": list(recipe.clamps)}
        output.emit_json(head | {"base": base, "perplexity": {"base": perplexity(sweep.base.logprobs)}, "sweep": rows})
        return
    from engine.live.generation import shown_text

    labels = Notes(run.notes).load()
    output.emit_lines(_head([parse_clamp(clamp) for clamp in recipe.clamps], labels))
    output.emit_lines([(Span(f"base  perplexity {_number(perplexity(sweep.base.logprobs))}", Role.HEADING),)])
    output.emit_text(recipe.prompt + shown_text(live, sweep.base))
    for one in sweep.strengths:
        figures = f"KL {_number(mean(one.kl))} nats a token  perplexity {_number(perplexity(one.own_logprobs))}"
        output.emit_lines([(), (Span(f"{_named(parse_clamp(one.clamp), labels)}  {figures}", Role.HEADING),)])
        output.emit_text(recipe.prompt + shown_text(live, one.text))


def _finished(session: Generation) -> Generation:
    while session.step() is not None:
        pass
    return session


def _write(live: LiveModel, session: Generation) -> None:
    """Print the base text token by token, then the clamped one, which was generated meanwhile."""
    prompt, vocabulary = session.prompt.text, live.vocabulary
    if session.compare:
        output.emit_lines([(Span("base", Role.HEADING),)])
    base = _Flow(prompt)
    while session.base.end is None:
        session.step()
        base.show(vocabulary, session.base)
    base.end()
    if session.compare:
        output.emit_lines([(), (Span("clamped", Role.HEADING),)])
        flow = _Flow(prompt)
        flow.show(vocabulary, session.clamped)
        while session.step() is not None:
            flow.show(vocabulary, session.clamped)
        flow.end()
    output.emit_lines([(), *_figures(session)])


class _Flow:
    """A text that grows on the screen. Bytes of a character that is not complete are kept back."""

    def __init__(self, prompt: str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text, self._shown, self._taken = prompt, 0, 0
        self._emit()

    def show(self, vocabulary: Vocabulary, text: GrowingText) -> None:
        """Print the part added to the text."""
        stop = len(text.tokens) - (text.end == "eos")
        for token in vocabulary.tokens(text.tokens[self._taken : stop]):
            self._text += self._decoder.decode(token)
        self._taken = max(self._taken, stop)
        self._emit()

    def end(self) -> None:
        """Print the rest of the complete text."""
        self._text += self._decoder.decode(b"", True) + "\n"
        self._emit()

    def _emit(self) -> None:
        # Made safe as a whole: a mark belongs to the letter before it, which another token may have brought.
        safe = output.visible(self._text)
        output.emit_part(safe[self._shown :])
        self._shown = len(safe)


def _head(clamps: Sequence[Clamp], labels: dict[int, FeatureNotes]) -> list[Line]:
    return [line(Span(f"{clamp.feature:>6} ", Role.BOLD), _named(clamp, labels)) for clamp in clamps] + (
        [()] if clamps else []
    )


def _named(clamp: Clamp, labels: dict[int, FeatureNotes]) -> str:
    note = labels.get(clamp.feature)
    label = output.one_line(note.label) + "  " if note and note.label else ""
    return f"{label}{clamp.in_words()}"


def _figures(session: Generation) -> list[Line]:
    base = f"base: {_ends(session.base)}, perplexity {_number(perplexity(session.base.logprobs))}"
    if not session.compare:
        return [(Span(base, Role.DIM),)]
    clamped = f"clamped: {_ends(session.clamped)}, perplexity {_number(perplexity(session.own_logprobs))}"
    width = max(10, output.page_width() - 40)
    strip = Span(sparkline(_columns(session.kl, width)))
    kl = line(Span("KL ", Role.DIM), strip, Span(f"  mean {_number(mean(session.kl))} nats a token", Role.DIM))
    return [kl, (Span(f"{base}  {clamped}", Role.DIM),)]


def _columns(values: Sequence[float], width: int) -> list[float]:
    """Means of as many stretches as fit."""
    step = max(1, math.ceil(len(values) / width))
    return [sum(values[at : at + step]) / len(values[at : at + step]) for at in range(0, len(values), step)]


def _ends(text: GrowingText) -> str:
    speed = "" if text.speed is None else f" at {activation(text.speed)} a second"
    return f"{len(text.tokens)} tokens{speed} ({_ENDS[text.end or 'length']})"


def _session_json(live: LiveModel, session: Generation) -> dict[str, Any]:
    base, clamped = _text_json(live, session.base), _text_json(live, session.clamped)
    own = session.own_logprobs if session.compare else session.base.logprobs
    kl = session.kl if session.compare else [0.0] * len(session.base.tokens)
    features = [act.feature for act in session.acts[0]] if session.acts else []
    return {
        "base": base,
        "clamped": clamped,
        **_distance_json(kl, own),
        "perplexity": {"base": perplexity(session.base.logprobs), "clamped": perplexity(own)},
        "activations": [
            {
                "feature": feature,
                "natural": [acts[column].natural for acts in session.acts],
                "clamped": [acts[column].clamped for acts in session.acts],
            }
            for column, feature in enumerate(features)
        ],
        "tok_s": {"base": session.base.speed, "clamped": session.clamped.speed},
    }


def _text_json(live: LiveModel, text: GrowingText | SampledText) -> dict[str, Any]:
    from engine.live.generation import shown_text

    return {
        "text": shown_text(live, text),
        "tokens": live.vocabulary.strings(text.tokens),
        "ids": list(text.tokens),
        "logprobs": list(text.logprobs),
        "end": text.end,
    }


def _distance_json(kl: Sequence[float], own: Sequence[float]) -> dict[str, Any]:
    return {"kl": list(kl), "kl_mean": mean(kl), "own_logprobs": list(own), "perplexity": perplexity(own)}


def _number(value: float | None) -> str:
    return known(value, activation)
