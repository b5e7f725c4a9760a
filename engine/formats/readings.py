"""The usual misreadings of an autoencoder, each with the conventions that correct it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign


class Reading(NamedTuple):
    """One way to read a file's tensors."""

    mistake: str
    """The mistake that was made if this reading is right."""
    conventions: Conventions
    flag: str
    """The flags to import with."""


def usual_mistakes(foreign: Foreign, x_ND: Tensor) -> Iterator[Reading]:
    """Yield what may be wrong with a reading; `x_ND` are activations of its place."""
    how = foreign.conventions
    if foreign.d_out is None:
        yield _b_dec(how)
        if not how.centred and how.token_norm == "none":
            centred = replace(how, centred=True)
            yield Reading("the stream's mean not subtracted (TransformerLens)", centred, "--centred")
    if foreign.gain is not None:
        mistake = "the norm's gain divided out" if how.before_gain else "read before the norm's gain"
        flag = "--no-before-gain" if how.before_gain else "--before-gain"
        yield Reading(mistake, replace(how, before_gain=not how.before_gain), flag)
    if foreign.skips and foreign.d_out == foreign.d_in:
        turned = replace(how, skip_transposed=not how.skip_transposed)
        flag = "--no-skip-transposed" if how.skip_transposed else "--skip-transposed"
        yield Reading("the skip connection transposed", turned, flag)
    yield from _scales(foreign, x_ND)
    if how.by_norm == "none" and foreign.arch in ("topk", "jumprelu", "batchtopk", "matryoshka"):
        selected = replace(how, by_norm="selection")
        yield Reading("decoder norms not folded into the selection", selected, "--by-norm selection")
    elif how.by_norm != "none":
        yield Reading("decoder norms folded twice", replace(how, by_norm="none"), "--by-norm none")


def _b_dec(how: Conventions) -> Reading:
    mistake = "b_dec subtracted twice" if how.subtracts_b_dec else "b_dec not subtracted from the input"
    flag = "--no-subtract-b-dec" if how.subtracts_b_dec else "--subtract-b-dec"
    return Reading(mistake, replace(how, subtracts_b_dec=not how.subtracts_b_dec), flag)


def _scales(foreign: Foreign, x_ND: Tensor) -> Iterator[Reading]:
    how = foreign.conventions
    if how.token_norm != "none":
        yield Reading("no token norm", replace(how, token_norm="none"), "--token-norm none")
    if how.input_scale != 1:
        unscaled = replace(how, input_scale=1.0, output_scale=1.0)
        yield Reading("input scale folded twice", unscaled, "--input-scale 1")
    elif how.token_norm == "none":
        length = float(x_ND.norm(dim=1).mean())
        natural = foreign.d_in**0.5 / length if length else 1.0
        scaled = replace(how, input_scale=natural, output_scale=natural if foreign.d_out is None else how.output_scale)
        what = f"input scale not folded (√d_in / mean length = {natural:.4g})"
        yield Reading(what, scaled, f"--input-scale {natural:.4g}")
