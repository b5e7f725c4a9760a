"""Training autoencoders on batches of activations: one step, its optimizer, schedules, the loop with its checkpoints.

Losses are engine.sae, batches engine.data; what a run reads and its settings are engine.jobs.
"""
