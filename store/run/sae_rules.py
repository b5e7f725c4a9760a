"""Rules for the weights of a sparse autoencoder, in sae.h5 and in the index; D and O are its widths, F its features."""

from __future__ import annotations

from store.files.array_rules import ArrayRule, Rules

SAE_RULES: Rules = {
    "W_enc": ArrayRule("f4", "D F", optional=True),
    "b_enc": ArrayRule("f4", "F", optional=True),
    "W_dec": ArrayRule("f4", "F O", optional=True),
    "b_dec": ArrayRule("f4", "O", optional=True),
}
"""Arrays that every architecture has."""
