"""The machine: devices and precision, free memory, interruption, progress, running out of memory.

Imports no other part of the engine.
"""
