"""Output of `monosem eval`."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports import concepts
from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import count
from store.files.typed_json import decode
from store.run.folder import RunFolder
from store.run.variance_shares import VarianceShares


def report(run: RunFolder, evaluation: dict[str, Any], *, json: bool) -> None:
    """Print an evaluation: the main figures in words, or all of them as JSON."""
    if json:
        output.emit_json(evaluation)
        return
    output.emit_text(f"{run.path} on {evaluation['data']} ({_split(evaluation)})")
    output.emit_text("\n".join(figures(evaluation)))
    concepts.report(evaluation)


def figures(evaluation: dict[str, Any]) -> list[str]:
    """Return the main figures of an evaluation, one line each."""
    e = evaluation
    histogram = e["density_log10_histogram"]
    low = round(histogram["edges"][0])
    found = [
        f"explained variance  {e['explained_variance']:.4f}{_of_ordinary(e)}",
        f"L0                  {e['l0']:.2f}",
        f"features alive      {count(e['alive'])} of {count(e['d_sae'])} ({100 * e['alive'] / e['d_sae']:.1f} %), "
        f"on {count(e['tokens'])} tokens",
    ]
    if e["ce_clean"] is not None:  # without a model there is no CE
        found += [
            f"CE, nats a token    {e['ce_clean']:.3f} clean, {e['ce_sae']:.3f} with reconstructions, "
            f"{e['ce_zero']:.3f} with zeros, {e['ce_mean']:.3f} with the mean",
            f"CE recovered        {e['ce_recovered_zero']:.4f} of zero-ablation, {e['ce_recovered_mean']:.4f} of mean",
        ]
    found.append(f"density             1e{low} {sparkline(histogram['counts'])} 1")
    return [*found, *(f"note                {line}" for line in variance_lines(e))]


def _of_ordinary(evaluation: dict[str, Any]) -> str:
    """Return the explained variance of ordinary tokens where there are others, and its mean over dimensions."""
    outliers, mean = evaluation.get("outlier_tokens") or 0, evaluation.get("explained_variance_standardised")
    parts = [] if mean is None else [f"{mean:.4f} as a mean over dimensions"]
    if outliers:
        ordinary = evaluation["explained_variance_ordinary"]
        parts.insert(0, f"{ordinary:.4f} without {count(outliers)} outlier tokens")
    return f" ({', '.join(parts)})" if parts else ""


def variance_lines(evaluation: dict[str, Any]) -> list[str]:
    """Return a sentence for few tokens and for a dimension that hold more than a quarter of the variance."""
    shares = evaluation.get("variance_shares")
    return decode(VarianceShares, shares).lines() if shares else []


def _split(evaluation: dict[str, Any]) -> str:
    if evaluation["split"] != "heldout":
        return "all of it"
    return f"{'rows' if evaluation['ce_clean'] is None else 'text'} held out of training"
