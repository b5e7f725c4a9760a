"""Language models: their files, loading, sites and hooks, and the bytes of their tokens.

Cutting text into contexts is engine.data; generation with clamps is engine.live.
"""
