"""The cost of work before it starts: memory, disk and time, and whether they are available."""
