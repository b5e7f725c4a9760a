"""Output of `monosem lm`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.draw.numbers import count
from store.run.folder import RunFolder

if TYPE_CHECKING:
    from engine.commands.train_lm import LmReport


def report(run: RunFolder, lm: LmReport, *, json: bool) -> None:
    """Print a model's loss, samples of its text, and the next command."""
    if json:
        output.emit_json({"name": run.name, "path": str(run.path), "model": str(run.model)} | asdict(lm))
        return
    output.emit_text(f"{run.model}  {count(lm.parameters)} parameters, trained on {count(lm.tokens)} tokens")
    output.emit_text(f"held-out loss    {lm.held_out_loss:.3f} nats a token, on {count(lm.held_out_tokens)} tokens")
    output.emit_text(f"unigram entropy  {lm.unigram_entropy:.3f} of the same tokens")
    for sample in lm.samples:
        output.emit_text("\n" + sample)
    output.narrate(f"\ntrain features on it with: monosem train --model {run.path}")
