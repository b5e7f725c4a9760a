"""One module per command: all of `monosem train`, `extract`, `index`, `eval`, `lm`, `import`, `export` and `demo`.

Wiring only: each part of the work lives in a package below.
"""
