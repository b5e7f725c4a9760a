"""The live model: a loaded run, clamped generation, inspection, and the server that speaks to terminals.

Messages are defined in `store.live`.

`live_model` opens a run's model and dictionary without its corpus. `row_clamps` changes activations while the model
runs, `decoder` feeds rows of text into the model and keeps all keys and values, so a text can be cut back to any token,
and `generation` writes the base and the clamped text as two rows of one batch. A token is read under the clamps in
force at that moment: a change applies to the next token, and earlier ones stay. Each row draws its own random numbers
from the same seed, by the code of transformers' `generate`, so an unclamped row equals what `generate` writes for it
alone. Ablation in `inspection` reads a context token by token, with one row per feature shown and one unchanged.

At a socket, `socket_server` accepts clients and `requests` queues what they send. When another client takes over (see
`store.live.wire`), the previous one's waiting requests are dropped, its inspection or sweep is cancelled, and a text
continues. Connecting alone takes nothing over. Of several servers that start at once, a lock on the folder lets one
bind. The server ignores SIGHUP, writes only to its log, ends on SIGTERM, Ctrl-C or after `--idle` hours without a
request, and removes its socket. A child of the app ends with the screen of its run, when its stdin closes, when the app
dies, and after an hour without a request.
"""
