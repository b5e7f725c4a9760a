"""Subjects of feature pages: a LLaMA in a folder, with text for it; real, or random and made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from engine.corpus.data_argument import open_corpus
from engine.lm.tokenizer import train_tokenizer

LEARNT = 300
"""Documents that a random model's tokenizer is learnt from."""


@dataclass(frozen=True)
class Looked:
    """A model and the text it reads."""

    name: str
    model: Path
    data: str
    """As `monosem --data` takes it."""
    bos: int

    @classmethod
    def at(cls, model: Path, data: str) -> Looked:
        """A model's folder and text."""
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        return cls(model.name, model, data, int(tokenizer.bos_token_id))


def random_llama(folder: Path, data: str = "stdlib") -> Looked:
    """A random model of the shape of stories260K, with a tokenizer that knows the text."""
    torch.manual_seed(0)
    documents = islice(open_corpus(data).documents(), LEARNT)
    tokenizer = train_tokenizer(documents, 512, 512)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=172,
        num_hidden_layers=5,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=512,
        vocab_size=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Looked("a random LLaMA (5 layers, width 64)", folder, data, int(tokenizer.bos_token_id))
