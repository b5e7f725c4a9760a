"""Sparse activations and the products with them: entries of fixed or ragged number per token, in PyTorch and Triton.

On a GPU the Triton kernels are used if Triton, which comes with torch's CUDA build, compiles and runs one; otherwise a
warning says why not. `MONOSEM_KERNELS=torch` uses plain PyTorch on a GPU too, for comparison; `MONOSEM_KERNELS=triton`
fails if the kernels do not work. `python -m tests.bench_gpu` measures both against the GPU's memory and arithmetic.
"""
