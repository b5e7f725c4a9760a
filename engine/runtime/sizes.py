"""Sizes that bound the memory of one piece of work, for the code that allocates it and the estimates made before.

A leaf without imports, so that estimating work does not load the code that does it.
"""

FORWARD_TOKENS = 8192
"""Tokens per forward pass: enough to use all cores, few enough that attention's memory stays small."""
ENCODE_BYTES = 1 << 28
"""Most pre-activations made at once outside training."""
LOGIT_BYTES = 1 << 28
"""Most logits [B, T, V] made at once, unless one context has more; the same for their float32 copy."""
SAMPLE_ROWS = 16_384
"""Activations whose mean and scale initialise a training."""
WINDOW_BYTES = 1 << 28
"""Most text held for shuffling documents: 256 MiB."""
LISTED = 10
"""Tokens, neighbours and neurons stored per feature."""
SCRATCH = 1 << 26
"""Most numbers in an intermediate matrix of the weights (256 MiB in float32)."""
UNEMBEDDED = 1 << 14
"""Rows of a half-precision unembedding converted to float32 at a time."""
