"""Live: a prompt continued with and without clamps, any text through the features, and recipes of both.

`screen` composes the other modules; each owns the keys of what it is named after. What the lines look like is in
`monosem_tui.pages`, what is sent to the model's process in `monosem_tui.live`.
"""
