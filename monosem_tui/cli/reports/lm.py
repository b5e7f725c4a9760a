"""Output of `monosem lm`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.draw.numbers import count
from store.run.folder import RunFolder

if TYPE_CHECKING:
    from engine.commands.train_lm import LmReport


def report(run: RunFolder, lm: LmReport | None, *, json: bool) -> None:
    """Print a model's loss, samples of its text, and the next command; without a report, where the model is."""
    if json:
        figures = {} if lm is None else asdict(lm)
        output.emit_json({"name": run.name, "path": str(run.path), "model": str(run.model)} | figures)
        return
    if lm is None:
        output.emit_text(str(run.model))
    else:
        output.emit_text(f"{run.model}  {count(lm.parameters)} parameters, trained on {count(lm.tokens)} tokens")
        output.emit_text(f"held-out loss    {lm.held_out_loss:.3f} nats a token, on {count(lm.held_out_tokens)} tokens")
        output.emit_text(f"unigram entropy  {lm.unigram_entropy:.3f} of the same tokens")
        for sample in lm.samples:
            output.emit_text("\n" + sample)
    output.narrate(f"\ntrain features on it with: monosem train --model {run.path}")
