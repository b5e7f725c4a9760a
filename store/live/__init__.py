"""Shared between the terminal and the model server: messages, clamps, recipes, and the Unix socket's file.

Neither side's behaviour lives here: the server is `engine.live`, the client `monosem_tui.live`.
"""
