"""Everything that computes: text to activations to sparse autoencoders to the feature index."""

import os

# Large tensors in huge pages: else a training step spends some of its time on page faults (docs/benchmarks.md). torch
# reads this when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
