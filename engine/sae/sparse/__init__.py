"""Products over the active entries of a batch: in plain PyTorch and as Triton kernels. Nothing here knows a loss."""
