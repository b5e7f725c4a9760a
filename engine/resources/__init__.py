"""The disk, memory and time that work needs, estimated before it starts and compared with what is free.

Measuring memory while work runs is engine.runtime.
"""
