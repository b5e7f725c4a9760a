"""Everything that computes: text to activations to sparse autoencoders to the feature index."""

import os

SET_FOR_TORCH = ("THP_MEM_ALLOC_ENABLE", "GOMP_SPINCOUNT")
"""Environment variables that are set below, where the user has not; child processes inherit them."""

# Large tensors in huge pages: else a training step spends some of its time on page faults (docs/benchmarks.md). torch
# reads this when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# OpenMP's threads wait for each other by spinning, for so long that on a machine where anything else runs most of the
# time is lost: steps of 64 to 1 024 features fell to a fiftieth (docs/log.md). Short spins cost a tenth of such steps
# where nothing else runs, and nothing of larger ones.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ["GOMP_SPINCOUNT"] = "1000"
