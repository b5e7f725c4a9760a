"""A byte-level BPE tokenizer, trained on the corpus that the model will read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from engine.corpus.documents import Document
from store.files.errors import MonosemError

END_OF_TEXT = "<|endoftext|>"
TRAINING_CHARACTERS = 64 << 20
"""Most characters of text that merges are learnt from."""


def train_tokenizer(
    documents: Iterable[Document], vocab_size: int, context: int, on_read: Callable[[int], object] = lambda _: None
) -> PreTrainedTokenizerFast:
    """Learn merges from the documents. One special token, `<|endoftext|>`, opens and closes texts, as GPT-2's does.

    `on_read` is called with the number of characters once the text is read, before the merges, which take long too.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(documents, on_read), trainer)
    return fast_tokenizer(context, tokenizer_object=tokenizer)


def fast_tokenizer(context: int, **source: Any) -> PreTrainedTokenizerFast:
    """Wrap a trained `tokenizer_object`, or a `tokenizer_file`, for transformers."""
    return PreTrainedTokenizerFast(
        **source,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _texts(documents: Iterable[Document], on_read: Callable[[int], object]) -> Iterator[str]:
    left = TRAINING_CHARACTERS
    for document in documents:
        if left <= 0:
            break
        if document.turns or document.ids is not None:
            raise MonosemError("a new language model learns from text, not from conversations or token ids")
        left -= len(document.text)
        yield document.text
    on_read(TRAINING_CHARACTERS - left)
