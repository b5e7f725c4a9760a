"""The machine and the process: devices and precision, free memory, interruption, progress, the hub's cache.

Knows nothing of models or features, and imports no other part of the engine.
"""
