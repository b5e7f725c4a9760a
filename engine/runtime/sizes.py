"""Sizes that bound the memory of one piece of work, for the code that allocates it and the estimates made before.

A leaf without imports, so that estimating work does not load the code that does it.
"""

FORWARD_TOKENS = 8192
"""Tokens per forward pass: enough to use all cores, few enough that attention's memory stays small."""
PASS_BYTES = 1 << 24
"""Output of a layer 4 d_model wide, for the tokens that one pass takes on a CPU: more does not stay in the caches."""
SHORT_TOKENS = 1024
"""Tokens of the shortest forward pass of an index: of fewer, bfloat16 products round differently (docs/log.md)."""
ENCODE_BYTES = 1 << 28
"""Most pre-activations made at once outside training."""
LOGIT_BYTES = 1 << 27
"""Most logits [N, V] of one pass made at once, were they float32; two passes are held at a time."""
LOSS_BYTES = 1 << 22
"""Logits whose loss is computed at once on a CPU: no more than its cache holds."""
HIDDEN_BYTES = 1 << 28
"""Most hidden states [B, T, D] of all passes of an evaluation held at once, unless one context has more."""
SAMPLE_ROWS = 16_384
"""Activations whose mean and scale initialise a training."""
SAMPLE_BYTES = 1 << 28
"""Most float32 values of them from which outliers are told."""
WINDOW_BYTES = 1 << 28
"""Most text held for shuffling documents: 256 MiB."""
LISTED = 10
"""Tokens, neighbours and neurons stored per feature."""
SCRATCH = 1 << 26
"""Most numbers in an intermediate matrix of the weights (256 MiB in float32)."""
UNEMBEDDED = 1 << 14
"""Rows of a half-precision unembedding converted to float32 at a time."""
