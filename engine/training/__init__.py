"""Training autoencoders on batches of activations: one step, its optimizer, schedules, the loop with its checkpoints.

Losses are engine.sae, batches engine.data; what a run reads and its settings are engine.jobs.

Lists of settings become members that share every batch: the sites that any of them reads lie side by side in one row of
the shuffle buffer, and each takes its columns. Shared settings (tokens, batch, buffer, order of text) stand in each
run's settings, so each member is bit-identical to the same training alone. All members write the checkpoint of a step
before any removes the previous one, so there is always a step to which all can return; each can also be resumed alone.
A member that diverges stops, and the others continue.

Inputs are scaled to E‖x − mean‖² = d_in. Saving folds the scale into the biases, so sae.h5 reads the model's own
activations.
"""
