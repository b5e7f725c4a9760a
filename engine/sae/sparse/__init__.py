"""Sparse activations and the products with them: entries of fixed or ragged number per token, in PyTorch and Triton."""
