"""Inspects a text: the features active on each token, and the effect of each on the next token's loss.

The text is read like a document of a corpus (engine.data.contexts): BOS first, contexts of the training's length, BOS
uncounted. So activations equal those in the index for the same context, before rounding to float16.

Shapes: B contexts, T positions of a context, N counted tokens, D = d_in, O = d_out, K features shown per token, V
vocabulary, W = 1 + K rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.corpus.conversations import TokenIds, Turn, content_of
from engine.corpus.documents import Document
from engine.data.activations import forward_contexts
from engine.data.contexts import EncodedContext, cut_contexts, padded, whole_document
from engine.data.text_encoder import EncodedDocument
from engine.indexing.encoder import encode_rows
from engine.jobs.trained_run import settings_again
from engine.live.decoder import Decoder
from engine.live.live_model import LiveModel
from engine.model.hooks import capture, replaced
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.files.typed_json import need_unicode
from store.live.model_outputs import Firing, ReadToken
from store.run.folder import RunFolder
from store.settings.roles import role_of
from store.settings.subject import ReopenSettings


def typed_document(text: str, *, chat: bool = False) -> Document:
    """Return a typed text as a document; with `chat`, a JSON list of messages, or else a user's turn."""
    if not chat:
        return Document(0, need_unicode(text, "text"))
    try:
        content = content_of(json.loads(text))
    except (ValueError, RecursionError):
        content = None
    turns = content if isinstance(content, tuple) and not isinstance(content, TokenIds) else (Turn("user", text),)
    for turn in turns:
        need_unicode(turn.content, "text")
    return Document(0, text, turns=turns)


def contexts_of(live: LiveModel, document: Document) -> list[EncodedContext]:
    """Cut a document into contexts, each starting with BOS where there is one, as in a corpus.

    Raises:
        MonosemError: the text is empty, or a chat does not fit the model's template.
    """
    if document.turns or document.ids is not None:
        number, ids, role_N, _ = live.encoding.documents([document])[0]
    else:
        number, ids, role_N = document.number, live.encoding.encode([document.text])[0], None
    if not ids:
        raise MonosemError("there is no text to inspect", "Give some with `text`, `document` or on stdin.")
    return cut_contexts(whole_document(EncodedDocument(number, ids, role_N)), live.context, live.encoding.bos_id)[0]


def inspect_contexts(
    live: LiveModel, contexts: Sequence[EncodedContext], top: int, progress: Progress, *, ablate: bool = False
) -> tuple[tuple[ReadToken, ...], ...]:
    """Return the `top` strongest features of each token of some contexts.

    With `ablate`, also the effect of each on the next token's loss: each is removed at this token alone
    (x' = x - f · W_dec, times `Sae.unit_of` where tokens are normalised), with the cache of the tokens before.
    """
    if top < 1:
        raise MonosemError(f"at least one feature a token has to be shown, not {top}")
    found: list[tuple[ReadToken, ...]] = []
    step = forward_contexts(live.context)
    for first in range(0, len(contexts), step):
        found += _read(live, contexts[first : first + step], top)
    if ablate:
        with progress.task("ablation", sum(map(len, found)), "tokens") as bar:
            for number, tokens in enumerate(found):
                found[number] = _ablated(live, tokens)
                bar.advance(len(tokens))
    return tuple(found)


def _read(live: LiveModel, contexts: Sequence[EncodedContext], top: int) -> list[tuple[ReadToken, ...]]:
    batch = padded(live.encoding, contexts)
    acts_BTD = capture(live.lm, live.source, *batch.tensors(live.lm.device))
    acts_ND = acts_BTD[torch.from_numpy(batch.counted_BT).to(acts_BTD.device)]
    rows = encode_rows(live.sae, acts_ND, batch.counted_BT[batch.mask_BT])
    found: list[tuple[ReadToken, ...]] = []
    at = 0
    for row, context in enumerate(contexts):
        read: list[ReadToken] = []
        for place, (token, role) in enumerate(zip(context.ids.tolist(), context.roles.tolist(), strict=True)):
            here = slice(rows.indptr[at], rows.indptr[at + 1])
            feature, act = rows.feature[here], rows.act[here]
            order = np.lexsort((feature, -act))[:top]
            firings = tuple(Firing(int(feature[i]), float(act[i])) for i in order)
            counted = bool(batch.counted_BT[row, place])
            read.append(ReadToken(token, counted, firings, len(act), role=role_of(role)))
            at += 1
        found.append(tuple(read))
    return found


def _ablated(live: LiveModel, tokens: Sequence[ReadToken]) -> tuple[ReadToken, ...]:
    """Ablate token by token, with one row per feature shown and one unchanged."""
    decoder = Decoder(live)
    found: list[ReadToken] = []
    for place, token in enumerate(tokens[:-1]):
        decoder.select([0] * (1 + len(token.firings)))
        with replaced(live.lm, live.target, _without(live, token.firings)):
            logits_WV = decoder.feed([[token.token]] * (1 + len(token.firings)), [None] * (1 + len(token.firings)))
        decoder.select([0])
        loss_W = -functional.log_softmax(logits_WV, dim=-1)[:, tokens[place + 1].token].cpu()
        changes = (loss_W[1:] - loss_W[0]).tolist()
        firings = (replace(one, loss_change=change) for one, change in zip(token.firings, changes, strict=True))
        found.append(replace(token, firings=tuple(firings), next_loss=float(loss_W[0])))
    return (*found, *tokens[-1:])


def _without(live: LiveModel, firings: Sequence[Firing]) -> Callable[[Tensor], Tensor]:
    device = live.sae.W_dec.device
    act_K = torch.tensor([one.activation for one in firings], dtype=torch.float32, device=device)
    rows_KO = live.sae.W_dec[torch.tensor([one.feature for one in firings], dtype=torch.long, device=device)]
    taken_KO = act_K[:, None] * rows_KO

    def change(acts_WTO: Tensor) -> Tensor:
        changed_WTO = acts_WTO.clone()
        acts_KO = acts_WTO[1:, 0].float()
        unit_11 = live.sae.unit_of(acts_WTO[:1, 0].float())  # the same token in every row
        changed_WTO[1:, 0] = (acts_KO - (taken_KO if unit_11 is None else taken_KO * unit_11)).to(acts_WTO.dtype)
        return changed_WTO

    return change


def corpus_document(run: RunFolder, asked: ReopenSettings, number: int) -> Document:
    """Return document `number` of a run's corpus, or of the given data.

    Raises:
        MonosemError: there is no such document.
    """
    from engine.corpus.data_argument import open_corpus  # the readers of all formats: a typed text needs none

    corpus = open_corpus(settings_again(run, asked).data)
    document = next((one for one in corpus.documents() if one.number == number), None)
    if document is None:
        raise MonosemError(f"{corpus.spec} has no document {number}", "Documents are counted from 0.")
    return document
