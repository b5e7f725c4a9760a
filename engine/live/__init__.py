"""The live model: a loaded run, clamped generation, inspection, and the server that speaks to terminals.

Messages are defined in `store.live`.
"""
