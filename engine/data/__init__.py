"""Tokens and activations: contexts from text; blocks of activations from a model, shards or an array; shuffling.

Reading text is engine.corpus; which source a training uses is decided in engine.jobs.

Activations come in blocks of a fixed number of contexts. `BlockShuffle` shuffles a block as a whole and returns
batches; only a remainder smaller than a batch carries over. That makes a resumed run equal an unbroken one bit for bit,
and training from shards equal training from the model.

A user's array is cut into blocks of 1 024 rows, or of a 200th of its rows where that is less. Every 20th block (19, 39,
…) is held out and measured at the end; the others are visited in a seeded order, another one each epoch, as the array
may be sorted. Fewer than 20 rows hold nothing out.

The next block is computed in a thread while the current one is trained on; batches reach a GPU through page-locked
memory.
"""
