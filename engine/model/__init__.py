"""Language models: their files, loading, sites and hooks, and the bytes of their tokens.

Cutting text into contexts is engine.data; generation with clamps is engine.live.
"""

import logging

for _library in ("torchao", "torch.utils._pytree"):  # transformers imports torchao, where it is, and both tell of it
    logging.getLogger(_library).setLevel(logging.ERROR)
