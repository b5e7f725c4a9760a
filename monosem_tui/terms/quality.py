"""Terms of a run as a whole: the lines of Health, the columns of Runs, a run's settings in the header."""

from __future__ import annotations

from monosem_tui.terms.term import Term

ALIVE = Term(
    "alive",
    "a feature that is active somewhere on the evaluation set, whose size is said beside it; the opposite of dead",
    typical="1 016 of 1 024 (stories260K); a small evaluation set misses rare features",
)
DEAD = Term(
    "dead",
    "a feature that is never active on the tokens in question: those of the index, or of the evaluation set",
    formula="a feature of density 3 / tokens is seen with a probability of 95 %; rarer ones may count as dead",
    unit="features",
    typical="0 of 1 024 (stories260K), 7 of 4 096 (Gemma 3 270M, index of 199 148 tokens)",
)
ULTRA_LOW = Term(
    "ultra-low density",
    "a density below 1e-6, which only an index of 10 million tokens can tell",
    unit="share of tokens",
    source="Bricken et al. 2023, Towards Monosemanticity, whose histograms have a cluster of such features",
)
EXPLAINED_VARIANCE = Term(
    "explained variance",
    "share of the variance of the model's activations that the features' reconstruction keeps; EV in short",
    formula="1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖² over the whole evaluation set",
    unit="share, 1 is perfect",
    typical="0.957 (stories260K, L0 16), 0.965 (Gemma 3 270M, L0 32); a few outlier tokens can hide the rest",
)
FVU = Term(
    "FVU",
    "fraction of variance unexplained",
    formula="1 − explained variance",
    unit="share, 0 is perfect",
)
L0 = Term(
    "L0",
    "mean number of features that are active on a token",
    unit="features per token",
    typical="k for TopK",
)
COSINE = Term(
    "cosine of reconstruction",
    "how nearly a reconstruction points where the activation points",
    formula="mean of x · x̂ / (‖x‖ ‖x̂‖)",
    unit="cosine, 1 is perfect",
)
NORM_RATIO = Term(
    "norm ratio",
    "how much shorter a reconstruction is than the activation (shrinkage)",
    formula="mean of ‖x̂‖ / ‖x‖",
    unit="ratio, 1 is perfect",
)
MSE = Term(
    "MSE",
    "mean squared error of the reconstruction",
    formula="Σ‖x − x̂‖² / (tokens · d_in)",
    unit="square of the model's units: compare only within one site",
)
CE = Term(
    "CE",
    "cross-entropy of the next token: with the model as it is (clean), with reconstructions (sae), with the site "
    "replaced by zeros (zero) or by its mean (mean)",
    formula="mean −log p of every next token inside a context",
    unit="nats; ln of the vocabulary is a uniform guess",
)
DELTA_CE = Term(
    "ΔCE",
    "what it costs the model to read reconstructions in place of its activations",
    formula="CE sae − CE clean",
    unit="nats",
    typical="0.07 ± 0.005 (stories260K), 0.59 ± 0.05 (Gemma 3 270M)",
)
CE_RECOVERED = Term(
    "CE recovered",
    "share of the loss caused by removing the site that reconstructions bring back",
    formula="(CE_ablated − CE_sae) / (CE_ablated − CE_clean), for zeros and for the mean",
    unit="share, 1 is perfect",
    typical="0.99 (stories260K), 0.97 (Gemma 3 270M), of zeros; these can be worse than a guess, which flatters it",
)
KL = Term(
    "KL",
    "how far one distribution of the next token is from another",
    formula="Σ p · log(p / q): of an evaluation p clean and q with reconstructions; of a clamped text p with clamps",
    unit="nats",
    typical="of an evaluation 0.08 (stories260K), 0.56 (Gemma 3 270M); of a clamped token 0 means: not changed",
)
OUTLIER = Term(
    "outlier",
    "a token much farther from the median than usual, marked !; left out of training, and of figures that say so",
    formula="‖x − median‖ / √d above `--max-norm` (5) times a robust scale",
    typical="none (stories260K), 0.2 % of tokens (Gemma 3 270M), which carry most of the variance",
)
ABSORPTION = Term(
    "absorption",
    "a word on which a general feature fails to fire because a feature of its own fires instead",
    formula="docs/formulas.md, Splitting and absorption; measured on the planted corpus, where the truth is known",
    unit="share of a class's words",
    source="Chanin et al. 2024, A is for Absorption",
)
COMPLETENESS = Term(
    "completeness",
    "share of a list's concepts for which a feature, or a set of up to five, reaches a held-out F1 of .5",
    unit="concepts",
    source="Templeton et al. 2024, Scaling Monosemanticity",
)
DENSITIES = Term(
    "density histogram",
    "how many features have which density: 4 bins a power of ten; groups below it, ⏎ lists one",
    formula="log10 of each feature's density, over the tokens of the index",
    unit="features per bin",
    typical="from 5 % to 95 % of the features 1e-3 to 0.05 (stories260K), 4e-5 to 0.03 (Gemma 3 270M)",
    source="Bricken et al. 2023, Towards Monosemanticity",
)
TRAINING = Term(
    "training curves",
    "loss, explained variance, L0 and dead features over the training's tokens, each on a scale of its own",
    formula="as logged: of ordinary tokens of the last batches, so they differ from the evaluation a little",
)
LOSS = Term("loss", "what the training lowers: reconstruction error and the architecture's own terms")
SETTINGS = Term(
    "setting",
    "a choice that a command was given; `monosem COMMAND --help` says what each does",
)
PROVENANCE_CHAPTER = Term("digest", "SHA-256 of a file's or a text's bytes: equal digests, equal contents")

STATUS = Term("status", "what a run is: done, stopped (--resume goes on), failed with a reason, or at work")
CREATED = Term("date of a run", "when the first command began to write to it, by this machine's clock")
TRAINED = Term("trained tokens", "tokens that a training has read, repeated ones counted again", unit="tokens")
SPEED = Term("tok/s", "tokens per second; of a training since the line before in its log", unit="tokens per second")

QUALITY = (
    *(ALIVE, DEAD, ULTRA_LOW, EXPLAINED_VARIANCE, FVU, L0, COSINE, NORM_RATIO, MSE, CE, DELTA_CE, CE_RECOVERED, KL),
    *(OUTLIER, ABSORPTION, COMPLETENESS, DENSITIES, TRAINING, LOSS, SETTINGS, PROVENANCE_CHAPTER),
    *(STATUS, CREATED, TRAINED, SPEED),
)
"""All of them."""
