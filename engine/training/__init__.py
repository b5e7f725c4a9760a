"""Training sparse autoencoders: settings, one step, schedules, dead features, the loop with its checkpoints."""
