"""The disk, memory and time that work needs, estimated before it starts and compared with what is free.

Measuring free memory, and running out of it, are engine.runtime.
"""
