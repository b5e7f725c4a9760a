"""A job before it starts: its settings resolved, the model, site and text it reads, sources, grids and resuming."""
