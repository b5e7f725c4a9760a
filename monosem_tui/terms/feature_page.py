"""Terms of a feature's page: its headings in order, its numbers, its plots.

Typical values without another source are the 5 % and 95 % quantiles over the features of two dictionaries:
stories260K's layer 2 (1 024 features, k 16, 994 054 tokens) and Gemma 3 270M's layer 9 (4 096 features, k 32, 199 148).
"""

from __future__ import annotations

from monosem_tui.terms.term import Term

MONOSEMANTICITY = "Bricken et al. 2023, Towards Monosemanticity"

DENSITY = Term(
    "density",
    "share of the counted tokens on which a feature is active",
    formula="active tokens / counted tokens of the index",
    unit="share of tokens",
    typical="0.1 % to 5 % (stories260K), 0.004 % to 3 % (Gemma 3 270M)",
)
MAX = Term(
    "maximum",
    "a feature's largest activation in the index; heat and clamps by multiples are relative to it",
    unit="activation",
    typical="1.4 to 4.4 (stories260K), 70 to 700 (Gemma 3 270M, whose vectors are as much longer)",
)
MEAN = Term(
    "mean",
    "mean of a feature's activations, over the tokens on which it is active",
    unit="activation",
    typical="a fifth to a half of the maximum; nearer to it, the feature is nearly on or off",
)
MEDIAN = Term(
    "quantile",
    "the activation that a share of a feature's activations does not exceed; the median is that of one half",
    formula="the entry of rank round((1 − q) · (n − 1)) of n, the strongest of rank 0",
    unit="activation",
)
NORM = Term(
    "decoder norm",
    "length of the direction that a unit of a feature adds to the model",
    formula="‖W_dec[i]‖",
    typical="1 for every feature, where the training keeps it so",
)
KIND = Term(
    "kind",
    "token, n-gram, position, context or dense: what explains the variance of a feature's activation",
    formula="R² of group means by token, by token and the one before, by position: fitted on half of the documents, "
    "measured on the others; limits in the guide",
)
ACTIVATION = Term(
    "activation",
    "the value of a feature on a token; activations of the model are the vectors at a site",
    formula="f = act(W_encᵀ(x − b_dec) + b_enc), for most architectures; as stored: a float16 times a power of two",
    unit="that of the model's vectors, for a decoder of norm 1",
    source=MONOSEMANTICITY,
)
HISTOGRAM = Term(
    "activation histogram",
    "how many of a feature's activations have which value; zeros are left out and said in words",
    formula="32 equal bins from 0 to the maximum, of all activations in the index; h draws log(1 + count); │ in the "
    "line, or ┬ on the axis, is where an interval of the examples begins",
    typical="highest in its lowest quarter: 81 % of the features (stories260K), 92 % (Gemma 3 270M)",
    source=MONOSEMANTICITY,
)
DRIFT = Term(
    "density along the corpus",
    "whether a feature is as frequent at the end of the text as at its start",
    formula="density in 32 equal ranges of the indexed tokens, drawn from 0; the words give its least and largest",
    typical="its largest is 1.1 to 1.5 × the mean (stories260K), 1.4 to 5 × (Gemma 3 270M)",
)
TOP_TOKEN = Term(
    "top token",
    "the token that carries most of a feature's activation: a first idea, and no more than that",
    formula="the largest summed activation among the feature's 1 024 strongest entries",
)
TOP = Term(
    "strongest examples",
    "the places with a feature's largest activations, one a context (o: one a document)",
    formula="the first entries of its postings, which hold every activation, so none is missed",
    unit="activation",
    source=MONOSEMANTICITY,
)
INTERVAL = Term(
    "interval",
    "a part of a feature's activations, by rank (75–100 % is the strongest quarter) or by value; confidence intervals "
    "are always called so",
    formula="interval i of k by rank: ranks i·n/k to (i+1)·n/k; by value: from i·max/k to (i+1)·max/k; examples evenly "
    "spaced by rank in it",
    source=f"{MONOSEMANTICITY}, who have 12 by value",
)
RANDOM = Term(
    "random examples",
    "places drawn from all on which a feature is active, each with the same chance",
    formula="drawn by a seed and the feature's number, the strongest first; r draws others",
)
EXAMPLE = Term(
    "example",
    "a passage around one token on which a feature is active; the number before it is the activation there",
    formula="heat step 1 + floor(4 · log(1 + 9a/max) / log 10) of 5, so that weak activations show",
    unit="activation",
)
LOGIT = Term(
    "logit effect",
    "what a unit of a feature adds to the logit of each vocabulary token, from the weights alone",
    formula="W_dec · norm's weight · unembedding, minus its mean over the vocabulary; the final norm's scale left out",
    unit="logit per unit of activation",
    typical="features of early layers act through later ones, which it leaves out",
    source=MONOSEMANTICITY,
)
PROMOTES = Term(
    "promoted tokens",
    "the tokens whose logit a feature raises most when it is active",
    formula="largest logit effects",
    unit="logit per unit of activation",
    typical="the strongest +0.9 to +2.1 (stories260K), +2.2 to +5.5 (Gemma 3 270M)",
    heading="PROMOTES",
    phrase="logit effect",
)
SUPPRESSES = Term(
    "suppressed tokens",
    "the tokens whose logit a feature lowers most when it is active",
    formula="smallest logit effects",
    unit="logit per unit of activation",
    typical="the strongest −0.7 to −1.7 (stories260K), −2.0 to −5.7 (Gemma 3 270M)",
    heading="SUPPRESSES",
    phrase="logit effect",
)
TWIN = Term(
    "twin",
    "the other sign of the same latent, where a dictionary has signed ones: each is two features",
    heading="TWIN",
    phrase="other sign",
)
SIMILAR = Term(
    "similar features",
    "the features whose decoder directions are nearest: they write nearly the same into the model",
    formula="W_dec[i] · W_dec[j] / (‖W_dec[i]‖ ‖W_dec[j]‖)",
    unit="cosine, −1 to 1",
    typical="the nearest 0.35 to 0.47 (stories260K), 0.17 to 0.41 (Gemma 3 270M)",
    heading="SIMILAR",
    phrase="decoder cosine",
)
FIRES_WITH = Term(
    "companions",
    "features that fire on the same tokens more often than chance",
    formula="share = joint / its own active tokens; × chance (lift) = p(i,j) / (p(i) p(j)); ranked by the "
    "log-likelihood ratio, from 5 joint tokens up",
    unit="share of its tokens, and a ratio",
    typical="the largest × 13 to × 107 (stories260K), × 3 to × 175 (Gemma 3 270M); × 1 is chance",
    heading="FIRES WITH",
    phrase="share ×chance",
)
ROLES = Term(
    "shares of turns",
    "how a feature's activation is shared among the roles of a conversation",
    formula="its summed activation in turns of a role / that in all turns",
    unit="share of its activation",
    heading="TURNS",
    phrase="of activation",
)
LOGIT_HISTOGRAM = Term(
    "logit histogram",
    "how many tokens of the vocabulary have which logit effect; the marks at its ends are PROMOTES and SUPPRESSES",
    formula="equal bins from the lowest to the highest effect, heights log(1 + count)",
    unit="logit per unit of activation",
    source=MONOSEMANTICITY,
    heading="LOGIT EFFECT",
    phrase="of all tokens",
)
NEURONS = Term(
    "aligned neurons",
    "the neurons of the MLP before that write nearly what the feature writes",
    formula="cosine of W_dec[i] and the neuron's row of the MLP's output matrix, ranked by absolute value",
    unit="cosine, −1 to 1",
    typical="the best 0.3 to 0.5 (stories260K), 0.14 to 0.4 (Gemma 3 270M); 1 would be a feature that is a neuron",
    source=MONOSEMANTICITY,
    heading="NEURONS",
    phrase="cosine",
)
EXPLANATION = Term(
    "explanation",
    "a rule or a sentence that says what a feature stands for, with its author; ⏎ takes it as label, E finds a rule",
    formula="scores are measured on documents that the author never saw",
    heading="EXPLAINED",
)

PAGE = (
    *(DENSITY, MAX, MEAN, MEDIAN, NORM, KIND, EXPLANATION, HISTOGRAM, DRIFT, TOP, TOP_TOKEN, INTERVAL, RANDOM, EXAMPLE),
    *(PROMOTES, SUPPRESSES, TWIN, SIMILAR, FIRES_WITH, ROLES, LOGIT_HISTOGRAM, LOGIT, NEURONS, ACTIVATION),
)
"""All of them."""
