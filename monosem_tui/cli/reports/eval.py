"""Output of `monosem eval`."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports import concepts
from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import count, with_error
from store.run.folder import RunFolder

_MORE = " " * 20
"""Begins a line that continues the one above."""


def report(run: RunFolder, evaluation: dict[str, Any], *, json: bool) -> None:
    """Print an evaluation: the main figures in words, or all of them as JSON."""
    if json:
        output.emit_json(evaluation)
        return
    output.emit_text(f"{run.path} on {evaluation['data']} ({_split(evaluation)})")
    output.emit_text("\n".join(figures(evaluation)))
    concepts.report(evaluation)


def figures(evaluation: dict[str, Any]) -> list[str]:
    """Return the main figures of an evaluation, one line each; evaluations of older versions lack some."""
    e = evaluation
    histogram = e["density_log10_histogram"]
    low = round(histogram["edges"][0])
    unexplained = f", {e['fvu']:.4f} unexplained (FVU)" if e.get("fvu") is not None else ""
    found = [
        f"explained variance  {e['explained_variance']:.4f}{unexplained}",
        f"L0                  {e['l0']:.2f}",
        f"features alive      {count(e['alive'])} of {count(e['d_sae'])} ({100 * e['alive'] / e['d_sae']:.1f} %), "
        f"on {count(e['tokens'])} tokens",
    ]
    if e.get("detectable_density") is not None and e["dead"]:
        found.append(
            f"{_MORE}the rest: dead or rarer than {e['detectable_density']:.1e}, which these tokens cannot tell"
        )
    if e.get("cosine") is not None:
        found.append(f"reconstruction      cosine {e['cosine']:.4f}, norm {e['norm_ratio']:.4f} of ‖x‖")
    if e["ce_clean"] is not None:  # without a model there is no CE
        found += _losses(e)
    return [*found, f"density             1e{low} {sparkline(histogram['counts'])} 1"]


def _losses(e: dict[str, Any]) -> list[str]:
    def said(name: str, digits: int = 3) -> str:
        return with_error(e[name], e.get(f"{name}_se"), digits)

    on = f", on {count(e['ce_tokens'])} tokens" if e.get("ce_tokens") else ""
    found = [f"CE, nats per token  {said('ce_clean')} clean, {said('ce_sae')} with reconstructions{on}"]
    if e.get("kl") is not None:
        found.append(f"{_MORE}{said('delta_ce', 4)} more than clean, KL from clean {said('kl', 4)}")
    found.append(f"{_MORE}{said('ce_zero')} with zeros, {said('ce_mean')} with the mean (BOS kept)")
    if e.get("ln_vocab") is not None:
        unigram = "" if e.get("ce_unigram") is None else f", {said('ce_unigram')} from the tokens' frequencies"
        found.append(f"{_MORE}{e['ln_vocab']:.3f} from a uniform guess{unigram}")
    found.append(
        f"CE recovered        {said('ce_recovered_zero', 4)} of zero-ablation, {said('ce_recovered_mean', 4)} of mean-"
        "ablation (BOS kept)"
    )
    if e.get("ce_recovered_saelens") is not None:
        found.append(f"{_MORE}{said('ce_recovered_saelens', 4)} as SAELens counts: zeros at BOS too")
    if e.get("ln_vocab") is not None and e["ce_zero"] > e["ln_vocab"]:
        found.append(f"{_MORE}zeros are worse than a uniform guess, which flatters the share recovered of them")
    return found


def _split(evaluation: dict[str, Any]) -> str:
    if evaluation["split"] != "heldout":
        return "all of it"
    return f"{'rows' if evaluation['ce_clean'] is None else 'text'} held out of training"
