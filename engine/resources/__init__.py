"""The disk, memory and time that work needs, estimated before it starts and compared with what is free. The work
itself, and measuring memory while it runs, are elsewhere (engine.runtime)."""
