"""Several processes that share a piece of work: their ranks, and how they are started on one machine.

All of it is torch's: torchrun's variables and launcher, and process groups. docs/scale.md says what is shared, and how.
"""
