"""Language models: finding their files, loading them, their sites and hooks, their tokens' bytes.

Text is cut into contexts in `engine.data`; writing with clamps is `engine.live`.
"""
