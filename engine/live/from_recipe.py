"""Generate the texts of a recipe: its samples, or its sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.corpus.conversations import Turn
from engine.live.clamp_sweep import sweep
from engine.live.generation import Generation
from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt, chat_prompt, plain_prompt
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.live.clamp import parse_clamp, parse_sweep
from store.live.model_outputs import ClampSweep
from store.live.recipe import Recipe
from store.run.folder import RunFolder
from store.run.weights import sae_digest
from store.settings.generate import GenerateSettings


def signed(recipe: Recipe, run: RunFolder, progress: Progress) -> Recipe:
    """Return the recipe with the digest of the run's dictionary; warn when it was made with another one."""
    digest = sae_digest(run.sae)
    if recipe.dictionary not in ("", digest):
        progress.say(f"the recipe was made with another dictionary than that of {run.path}: its features mean others")
    return replace(recipe, dictionary=digest)


def prompt_of(live: LiveModel, recipe: Recipe) -> Prompt:
    """Return the prompt of a recipe as tokens.

    Raises:
        MonosemError: this model cannot continue it.
    """
    if not recipe.chat:
        if recipe.system:
            raise MonosemError("`system` is for chats, and this is not a chat", "Add `chat=True`.")
        return plain_prompt(live, recipe.prompt)
    system = [Turn("system", recipe.system)] if recipe.system else []
    return chat_prompt(live, [*system, Turn("user", recipe.prompt)])


def generations(live: LiveModel, recipe: Recipe) -> Iterator[Generation]:
    """Yield one generation per sample, not started.

    Raises:
        MonosemError: the recipe does not fit the run, or asks for samples that would all be the same.
    """
    GenerateSettings.checked("samples", recipe.samples)
    if recipe.samples > 1 and recipe.sampling.temperature == 0:
        raise MonosemError("at temperature 0 every sample is the same", "Add `temperature=1`.")
    prompt, clamps = prompt_of(live, recipe), [parse_clamp(clamp) for clamp in recipe.clamps]
    for sample in range(recipe.samples):
        sampling = replace(recipe.sampling, seed=recipe.sampling.seed + sample)
        yield Generation(live, prompt, clamps, sampling, compare=bool(clamps))


def sweep_of(live: LiveModel, recipe: Recipe, progress: Progress) -> ClampSweep:
    """Generate the sweep of a recipe.

    Raises:
        MonosemError: the recipe does not fit the run, or asks for several samples as well.
    """
    if recipe.samples != 1:
        raise MonosemError("a sweep is one text for each strength", "Leave `samples` out, and change `seed`.")
    clamps = [parse_clamp(clamp) for clamp in recipe.clamps]
    return sweep(live, prompt_of(live, recipe), parse_sweep(recipe.sweep), clamps, recipe.sampling, progress)
