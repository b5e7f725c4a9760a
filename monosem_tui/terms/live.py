"""Terms of Live: texts written with clamps, and texts read through the features."""

from __future__ import annotations

from monosem_tui.terms.term import Term

CLAMP = Term(
    "clamp",
    "an order to change a feature's activation while the model runs: set, max, scale, add or ablate",
    formula="x' = x + (f' − f) · W_dec[i]: what the features do not explain is kept",
    unit="activation, or a multiple of the feature's maximum (max*2) or of its own value (*0.5)",
    typical="1 to 2 × its maximum; docs/clamping.md says when a text breaks down",
    source="Templeton et al. 2024, Scaling Monosemanticity",
)
TRAY = Term("tray", "the clamps that apply to the next token")
BASE = Term("base", "the text that the model writes without clamps, from the same prompt and the same seed")
CLAMPED = Term("clamped", "the text that the model writes with the clamps of the tray; ≠ marks where it first differs")
PERPLEXITY = Term(
    "perplexity",
    "how surprising a text is to the model without clamps; the clamped text is judged by that model too",
    formula="exp of the mean −log q over the new tokens",
    unit="tokens to choose among",
    typical="near that of base for a fluent text; from ten times as much on the text has broken down",
)
CLAMP_KL = Term(
    "KL of a token",
    "how far the clamps move the distribution of the next token, one column a token",
    formula="Σ p · log(p / q), p with clamps, q without, both after the same clamped text",
    unit="nats; the highest column is the next power of two above the largest",
)
PAINT = Term(
    "paint",
    "the colour behind a written token: how far the clamps move it (KL of a token), or a feature's activation on it "
    "before any clamp there; v and V choose",
    unit="five steps of heat: KL from 0.03, 0.1, 0.3, 1 and 3 nats on, activations by shares of the feature's maximum",
)
CANDIDATES = Term(
    "candidates",
    "the most probable next tokens at the cursor, with and without clamps after the same clamped text, and those whose "
    "probability the clamps change most; ▌ is the token that was drawn",
    unit="probability before temperature, top-p and top-k; changes in percentage points",
)
BREAKDOWN = Term(
    "broken down",
    "a clamped text that repeats itself, or that the model without clamps finds far too surprising",
    formula="of the last 64 tokens: 1 to 8 of them at least 4 times in a row over at least 12, or a perplexity of 10 "
    "times the base text's, from 16 tokens on",
)
OTHER_CLAMPS = Term(
    "written with other clamps",
    "tokens drawn before the clamps were changed; they are dim and not painted until they are written again",
)
STRIP = Term(
    "activation strip",
    "activation of a clamped feature at each token as the model would have it, after its clamp",
    unit="share of the larger of its maximum and the strip's own",
)
SAMPLING = Term(
    "sampling",
    "how tokens are drawn: temperature t (0 is greedy), top-p, top-k, seed; equal settings give equal texts",
)
FIRINGS = Term(
    "firing",
    "a feature that is active on the token under the cursor, the strongest first",
    unit="activation",
)
LOSS_CHANGE = Term(
    "ablation effect",
    "what removing a feature at one token does to the loss of the next token",
    formula="loss with x − f · W_dec[i] in place of x, minus the loss without",
    unit="nats; + means that the feature helped",
)
SWEEP = Term(
    "sweep",
    "one clamp tried at several strengths, the first tokens of each text; a grid is trainings over lists of settings",
)
RECIPE = Term("recipe", "everything that determines a clamped text: prompt, clamps, sampling, seed")

WRITING = (
    CLAMP,
    TRAY,
    BASE,
    CLAMPED,
    PERPLEXITY,
    CLAMP_KL,
    PAINT,
    CANDIDATES,
    BREAKDOWN,
    OTHER_CLAMPS,
    STRIP,
    SAMPLING,
    SWEEP,
)
"""The terms of a text that is written."""
LIVE = (*WRITING, FIRINGS, LOSS_CHANGE, RECIPE)
"""All of them."""
