"""Run by the other libraries' own Python: load what monosem exported, and note what it computes.

    python peer_reads.py FOLDER

reads FOLDER/NAME/LIBRARY and FOLDER/NAME.x.pt, and leaves FOLDER/NAME.LIBRARY.pt with acts and out.
"""

import json
import sys
from pathlib import Path

import torch


def of_saelens(folder, x):
    from sae_lens.saes.sae import SAE

    sae = SAE.load_from_disk(folder)
    return sae.encode(x), sae(x)


def of_sparsify(folder, x):
    from sparsify import SparseCoder

    coder = SparseCoder.load_from_disk(folder)
    found = coder.encode(x)
    return torch.zeros(len(x), coder.num_latents).scatter_(1, found.top_indices, found.top_acts), coder(x).sae_out


def of_dictionary_learning(folder, x):
    from dictionary_learning.utils import load_dictionary

    assert json.loads((folder / "config.json").read_text())["trainer"]["dict_class"]
    dictionary, _ = load_dictionary(str(folder), "cpu")
    acts = dictionary.encode(x)
    return acts, dictionary.decode(acts)


READERS = {"saelens": of_saelens, "sparsify": of_sparsify, "dictionary-learning": of_dictionary_learning}

if __name__ == "__main__":
    root = Path(sys.argv[1])
    for inputs in sorted(root.glob("*.x.pt")):
        name = inputs.name.removesuffix(".x.pt")
        for library, read in READERS.items():
            if (root / name / library).is_dir():
                with torch.no_grad():
                    acts, out = read(root / name / library, torch.load(inputs))
                torch.save({"acts": acts.contiguous(), "out": out.contiguous()}, root / f"{name}.{library}.pt")
