"""Bytes that a rank sends in a training step, by arithmetic.

Gathers send a rank's own part to all others; sums go round a ring, each rank sending 2 (W - 1) / W of what is summed.

Shapes: B tokens of a batch, D = d_in, O = d_out, W ranks.
"""

from __future__ import annotations

from engine.resources.estimates import FLOAT, SaeWork

CHOOSES = ("topk", "batchtopk", "matryoshka")
"""Architectures whose active features are the largest of all ranks' together."""
RECONSTRUCTIONS = {"matryoshka": 5, "gated": 2}
"""Reconstructions that a step sums, where there are more than one: a prefix each, and the gate's."""


def rows_bytes(batch: int, row_bytes: int, ranks: int) -> int:
    """Return the bytes by which a step's activations reach all ranks: (W - 1) / W · B rows, on average."""
    return batch * row_bytes * (ranks - 1) // ranks


def feature_bytes(arch: str, sae: SaeWork, ranks: int, k_aux: int = 0) -> int:
    """Return the bytes of a step whose features are dealt.

    The values of candidates, (W - 1) · 4 · B · k; the reconstruction, 2 (W - 1) / W · 4 · B · O, once for each prefix;
    b_dec's gradient, 2 (W - 1) / W · 4 · D. AuxK, while features are dead, takes both again with its own k.
    """
    summed, others = 2 * (ranks - 1) / ranks, ranks - 1
    output = summed * FLOAT * sae.batch * (sae.d_out or sae.d_in)
    found = RECONSTRUCTIONS.get(arch, 1) * output + (0 if sae.d_out else summed * FLOAT * sae.d_in)
    if arch in CHOOSES:
        found += others * FLOAT * sae.batch * (sae.k or 0)
    if k_aux:
        found += output + others * FLOAT * sae.batch * k_aux + (0 if sae.d_out else summed * FLOAT * sae.d_in)
    return round(found)
