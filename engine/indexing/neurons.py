"""The model's neurons that write in a feature's direction, from the weights alone.

A neuron of an MLP writes along its row of the MLP's last matrix, where a norm follows (Gemma 2 and 3) times its weight.
Its alignment with a feature is the cosine between the feature's decoder row and that direction; the layer of the
MLP is `SaeSpec.neuron_layer`. For mlp_act, decoder rows are in the space of the neurons themselves: the cosine is the
neuron's coordinate of the row scaled to length 1, and its square the neuron's share of the row.

Shapes: F features, D = width of the decoder's rows, M = d_model, H neurons of an MLP, T listed neurons.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.indexing.logit_effects import through_mlp
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.sizes import SCRATCH
from store.run.spec import SaeSpec


def neuron_directions(lm: LanguageModel, site: Site) -> torch.Tensor | None:
    """Return what each neuron writes at the site [H, M], float32; None for mlp_act and for sites without neurons."""
    layer = SaeSpec(site=site.name, layer=site.layer).neuron_layer
    return None if layer is None or site.name == "mlp_act" else through_mlp(lm, layer)


def aligned_neurons(
    lm: LanguageModel, site: Site, W_dec_FD: torch.Tensor, top: int = 10, *, scratch: int = SCRATCH
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """Return ids and cosines [F, T] of the neurons most aligned with each decoder row, by descending |cosine|.

    None if there are no neurons to compare with. Rows of zeros have cosines of 0.
    """
    W_FD = W_dec_FD.detach().to(lm.device, torch.float32)
    directions_HM = neuron_directions(lm, site)
    if directions_HM is None and site.name != "mlp_act":
        return None
    unit_HM = None if directions_HM is None else torch.nn.functional.normalize(directions_HM, dim=1)
    unit_FD = torch.nn.functional.normalize(W_FD, dim=1)
    n_neurons = unit_FD.shape[1] if unit_HM is None else len(unit_HM)
    ids = np.zeros((len(unit_FD), min(top, n_neurons)), np.int32)
    cosines = np.zeros(ids.shape, np.float32)
    rows = max(1, scratch // n_neurons)
    for start in range(0, len(unit_FD), rows):
        at = slice(start, start + rows)
        cosine_FH = unit_FD[at] if unit_HM is None else unit_FD[at] @ unit_HM.T
        found = cosine_FH.abs().topk(ids.shape[1], dim=1).indices
        ids[at], cosines[at] = found.cpu().numpy(), cosine_FH.gather(1, found).clamp(-1, 1).cpu().numpy()
    return ids, cosines
