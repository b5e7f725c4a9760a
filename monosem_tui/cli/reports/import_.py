"""Output of `monosem import`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monosem_tui.cli import output
from monosem_tui.draw.numbers import count

if TYPE_CHECKING:
    from engine.commands.import_sae import Imported


def report(made: Sequence[Imported], *, json: bool, many: bool) -> None:
    """Print the imported runs; as JSON an object, or a list where several were requested."""
    if json:
        output.emit_json([one.to_json() for one in made] if many else made[0].to_json())
        return
    for one in made:
        _print(one)


def _print(one: Imported) -> None:
    foreign, spec, noun = one.foreign, one.spec, one.run.record().noun
    hook = f" (its {foreign.hook})" if foreign.hook else ""
    place = f"{spec.place()} of {spec.model}{hook}" if spec.model else f"the rows as they are{hook}"
    output.emit_text(output.one_line(f"{one.run.path}: {foreign.format}, {spec.title()}"))
    said = [("place", place), *(("folded", line) for line in one.steps)]
    if spec.token_norm != "none":
        back = "" if spec.d_out else ", what is decoded turned back"
        said.append((noun.many, f"each normalised by itself ({spec.token_norm}){back}"))
    if spec.skip:
        said.append(("skip", "W_skip x is added to what is decoded"))
    if foreign.bos:
        said.append(("BOS", f"{foreign.bos}; left out here: {spec.excluded}"))
    said += [("note", line) for line in foreign.notes]
    for name, text in said:
        output.emit_text(f"{name:<10}{output.one_line(text)}")
    check = one.check
    if check is None:
        output.emit_text("check     left out: monosem eval measures it")
    else:
        ce = "" if check.ce_recovered_zero is None else f", CE recovered {check.ce_recovered_zero:.4f} of zero-ablation"
        output.emit_text(f"check     {check.verdict}: {output.one_line(check.text)}")
        output.emit_text(f"          on {count(check.tokens)} {noun.many} of {check.data}{ce}")
        ordinary, by_dimension = check.explained_variance_ordinary, check.explained_variance_standardised
        if ordinary is not None and by_dimension is not None:
            n = check.outlier_tokens or 0
            first = f"{count(n)} outlier {noun.many}: explained variance {ordinary:.4f} without them" if n else ""
            standardised = f"{by_dimension:.4f} standardised (mean over dimensions)"
            output.emit_text(f"          {first or 'explained variance'}{', ' if n else ' '}{standardised}")
        for line in check.variance_shares.lines(noun) if check.variance_shares else []:
            output.emit_text(f"          {line}")
    output.narrate(f"index it with: monosem index {one.run.path}")
