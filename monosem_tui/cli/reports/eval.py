"""Output of `monosem eval`."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports import absorption, concepts
from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import count, with_error
from monosem_tui.draw.safe_text import printable
from store.files.errors import MonosemError
from store.files.typed_json import decode
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.folder import RunFolder
from store.run.variance_shares import VarianceShares

_MORE = " " * 20
"""Begins a line that continues the one above."""


def report(run: RunFolder, evaluation: dict[str, Any], *, json: bool) -> None:
    """Print an evaluation: the main figures in words, or all of them as JSON."""
    if json:
        output.emit_json(evaluation)
        return
    output.emit_text(f"{run.path} on {evaluation['data']} ({_split(evaluation)})")
    output.emit_text("\n".join(figures(evaluation, run.record().noun)))
    concepts.report(evaluation)
    absorption.report(evaluation)


def stored_figures(run: RunFolder) -> list[str]:
    """Return the main figures of the evaluation that run.json holds; none where it holds none.

    Raises:
        MonosemError: they are not such figures.
    """
    record = run.record()
    stored = record.evaluation
    try:
        return figures(stored, record.noun) if stored else []
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise MonosemError(f"{run.run_json} is damaged: its evaluation makes no sense", "Run monosem eval.") from error


def figures(evaluation: dict[str, Any], noun: CountedNoun = TOKEN) -> list[str]:
    """Return the main figures of an evaluation, one line each; evaluations of older versions lack some."""
    e = evaluation
    histogram = e["density_log10_histogram"]
    low = round(histogram["edges"][0])
    unexplained = f", {e['fvu']:.4f} unexplained (FVU)" if e.get("fvu") is not None else ""
    found = [
        f"explained variance  {e['explained_variance']:.4f}{unexplained}",
        *_of_ordinary(e, noun),
        f"L0                  {e['l0']:.2f}",
        f"features alive      {count(e['alive'])} of {count(e['d_sae'])} ({100 * e['alive'] / e['d_sae']:.1f} %), "
        f"on {count(e['tokens'])} {noun.many}",
    ]
    if e.get("detectable_density") is not None and e["dead"]:
        found.append(f"{_MORE}the rest are dead, or rarer than {e['detectable_density']:.1e}")
    if e.get("cosine") is not None:
        found.append(f"reconstruction      cosine {e['cosine']:.4f}, norm {e['norm_ratio']:.4f} of ‖x‖")
    if e["ce_clean"] is not None:  # without a model there is no CE
        found += _losses(e)
    found += _text(e)
    found.append(f"density             1e{low} {sparkline(histogram['counts'])} 1")
    return [*found, *(f"note                {line}" for line in variance_lines(e, noun))]


def _of_ordinary(e: dict[str, Any], noun: CountedNoun) -> list[str]:
    """Return the explained variance of ordinary tokens where there are others, and its mean over dimensions."""
    parts, outliers = [], e.get("outlier_tokens")
    if outliers:
        parts.append(f"{e['explained_variance_ordinary']:.4f} without {count(outliers)} outlier {noun.many}")
    if e.get("explained_variance_standardised") is not None:
        parts.append(f"{e['explained_variance_standardised']:.4f} as a mean over dimensions")
    return [_MORE + ", ".join(parts)] if parts else []


def variance_lines(evaluation: dict[str, Any], noun: CountedNoun = TOKEN) -> list[str]:
    """Return a sentence for few tokens and for a dimension that hold more than a quarter of the variance."""
    shares = evaluation.get("variance_shares")
    return decode(VarianceShares, shares).lines(noun) if shares else []


def _losses(e: dict[str, Any]) -> list[str]:
    def said(name: str, digits: int = 3) -> str:
        return with_error(e[name], e.get(f"{name}_se"), digits)

    found = [f"CE, nats per token  {said('ce_clean')} clean, {said('ce_sae')} with reconstructions"]
    if e.get("kl") is not None:
        found.append(f"{_MORE}ΔCE {said('delta_ce', 4)}, KL {said('kl', 4)}, on {count(e['ce_tokens'])} tokens")
    found.append(f"{_MORE}{said('ce_zero')} with zeros, {said('ce_mean')} with the mean (BOS kept)")
    uniform = e.get("ln_vocab")
    if uniform is not None:
        unigram = "" if e.get("ce_unigram") is None else f", {said('ce_unigram')} by frequencies"
        found.append(f"{_MORE}{uniform:.3f} by a uniform guess{unigram}")
    found += [
        f"CE recovered        {said('ce_recovered_zero', 4)} of zero-ablation (BOS kept)",
        f"{_MORE}{said('ce_recovered_mean', 4)} of mean-ablation (BOS kept)",
    ]
    if e.get("ce_recovered_saelens") is not None:
        found.append(f"{_MORE}{said('ce_recovered_saelens', 4)} as SAELens counts (zeros at BOS too)")
    if uniform is not None and e["ce_zero"] > uniform:
        found.append(f"{_MORE}zeros do worse than a uniform guess, which flatters the first")
    return found


def _text(e: dict[str, Any]) -> list[str]:
    """Return how the text was read and divided."""
    found = [f"text                {printable(e['documents'])}"] if e.get("documents") else []
    if e.get("held_out"):
        copies = f", {count(e['duplicates'])} copies of training documents left out" if e.get("duplicates") else ""
        rule = "document (a long text is several)" if e["held_out"] == "documents" else "text"
        found.append(f"{_MORE}every 20th {rule} is held out{copies}")
    return found


def _split(evaluation: dict[str, Any]) -> str:
    if evaluation["split"] != "heldout":
        return "all of it"
    return f"{'rows' if evaluation['ce_clean'] is None else 'text'} held out of training"
