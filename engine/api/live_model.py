"""The language model of a run from Python: features on any text, and texts written under clamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.api.runs import RunLike, open_run
from engine.live.from_recipe import generations
from engine.live.generation import shown_text
from engine.live.inspection import contexts_of, inspect_contexts, typed_document
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.live.model_outputs import Firing
from store.live.recipe import Recipe
from store.settings.subject import ReopenSettings


@dataclass(frozen=True)
class InspectedToken:
    """One token of a text, and the features that fire on it."""

    text: str
    features: tuple[Firing, ...]
    """The strongest first; empty where features are not read, such as on BOS."""
    active: int
    """Number of features that fire."""
    next_loss: float | None
    """-log p of the next token in nats; None unless ablation was asked for."""


@dataclass(frozen=True)
class Continuation:
    """A prompt continued by the model alone and under clamps."""

    base: str
    clamped: str
    """The same as `base` without clamps."""
    base_logprobs: Sequence[float]
    """Per token, of the distribution that it was drawn from."""
    clamped_logprobs: Sequence[float]
    kl: Sequence[float]
    """KL(clamped ‖ own) in nats per clamped token; empty without clamps."""


def inspect(
    run: RunLike,
    text: str,
    settings: ReopenSettings | None = None,
    *,
    top: int = 5,
    ablate: bool = False,
    chat: bool = False,
    progress: Progress | None = None,
) -> list[InspectedToken]:
    """Return the `top` strongest features on each token of a text; with `ablate`, what each does to the next loss.

    With `chat` the text is a user's turn in the model's chat template, or a JSON list of messages.

    Raises:
        MonosemError: the text is empty, or the run has no language model.
    """
    live = open_run(run).live(settings, progress)
    with explained():
        contexts = contexts_of(live, typed_document(text, chat=chat))
        found = inspect_contexts(live, contexts, top, progress or NotebookProgress(), ablate=ablate)
    tokens = [token for context in found for token in context]
    strings = live.vocabulary.strings([token.token for token in tokens])
    return [
        InspectedToken(string, token.firings, token.active, token.next_loss)
        for string, token in zip(strings, tokens, strict=True)
    ]


def generate(
    run: RunLike, recipe: Recipe, settings: ReopenSettings | None = None, *, progress: Progress | None = None
) -> list[Continuation]:
    """Continue a prompt with features clamped, beside what the model says itself: one entry per sample.

    Raises:
        MonosemError: a clamp or the prompt does not fit the run, or the recipe has a sweep.
    """
    if recipe.sweep:
        raise MonosemError("`sweep` is for the command line", "Call generate with each strength as one of `clamps`.")
    live = open_run(run).live(settings, progress)
    found = []
    with explained():
        for generation in generations(live, recipe):
            while generation.step() is not None:
                pass
            base, clamped = generation.base.complete(), generation.clamped.complete()
            texts = shown_text(live, base), shown_text(live, clamped)
            found.append(Continuation(*texts, base.logprobs, clamped.logprobs, tuple(generation.kl)))
    return found
