"""A language model on this machine, run by transformers, as an endpoint."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import torch

from engine.corpus.conversations import Turn
from engine.data.chat_template import ChatText, chat_text
from engine.data.text_encoder import Encoding
from engine.endpoint.chat import TOP, Answer, AnswerToken, ChatRequest, LikelyToken, TokenUse
from engine.model.language_model import LanguageModel, load_model
from engine.runtime.devices import pick_device
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.notes.statements import valid_text

PREFIX = "hf:"


class LocalModel:
    """A model of a folder or of the hub's cache. It answers one request at a time."""

    parallel = 1

    def __init__(self, source: str, device: str, progress: Progress) -> None:
        """Load a model.

        Args:
            source: `hf:FOLDER`, or `hf:OWNER/NAME`.
            device: as of every command.
            progress: receives reports.

        Raises:
            MonosemError: there is no such model, it has no tokenizer, or the device is unknown.
        """
        name = source.removeprefix(PREFIX)
        chosen = pick_device(device)
        self._lm: LanguageModel = load_model(name, device=chosen, dtype=_own(chosen), progress=progress)
        if self._lm.tokenizer is None:
            raise MonosemError(f"{name} has no tokenizer", "Use a folder that holds a tokenizer.json.")
        self._encoding = Encoding(self._lm.tokenizer, self._lm.bos_id, self._lm.separator_id, name)
        self._lock, self._stopped = threading.Lock(), False
        self.label = Path(name).name

    @property
    def name(self) -> str:
        """Digest of the weights, so that a folder with another model gives other answers."""
        return f"{PREFIX}{self.label} {self._lm.digest or self._lm.revision}"

    def stop(self, *, at_once: bool = False) -> None:
        """End after the present token if `at_once`, else after the present answer."""
        self._stopped = at_once

    def complete(self, request: ChatRequest) -> Answer:
        """Return the likeliest answer to a request, token by token.

        Raises:
            MonosemError: the prompt is longer than the model's context, or memory runs out.
        """
        with self._lock, explained(), torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._answered(request)

    def _answered(self, request: ChatRequest) -> Answer:
        network = self._lm.network
        prompt = self._prompt(request)
        limit = self._lm.max_context
        if limit is not None and len(prompt) + request.most_tokens > limit:
            raise MonosemError(
                f"a prompt has {len(prompt)} tokens, and {self.label} was made for contexts of up to {limit}",
                "Use a model with a longer context.",
            )
        ids_T = torch.tensor([prompt], device=self._lm.device)
        # Settings that a model's author suggests for sampling do not matter here.
        made = network.generate(
            ids_T,
            attention_mask=torch.ones_like(ids_T),
            max_new_tokens=request.most_tokens,
            do_sample=False,
            num_beams=1,
            output_logits=True,
            return_dict_in_generate=True,
            stopping_criteria=[self._is_stopped],
            pad_token_id=self._lm.separator_id or 0,
        )
        answer = made.sequences[0, len(prompt) :].tolist()
        ended = self._ends(answer)
        kept = answer[:-1] if ended else answer
        tokens = tuple(self._token(one, logits_BV[0]) for one, logits_BV in zip(kept, made.logits, strict=False))
        text = self._decoded(kept)
        return Answer(text, TokenUse(len(prompt), len(answer)), not ended, tokens if request.logprobs else ())

    def _prompt(self, request: ChatRequest) -> list[int]:
        """Return the turns in the chat template; as plain text where there is none, or where it takes no system's turn.

        Special tokens are recognised in the template only: a text of the corpus cannot end its turn.
        """
        plain = "\n\n".join(turn.content for turn in request.turns)
        if getattr(self._encoding.tokenizer, "chat_template", None):
            for turns in (request.turns, (Turn("user", plain),)):
                try:
                    chat = chat_text(self._encoding.tokenizer, self.label, turns, answer=True)
                except MonosemError:
                    continue
                return self._in_template(chat)
        ids = self._encoding.encode([f"{plain}\nAnswer:"])[0]
        bos = self._encoding.bos_id
        return ids if bos is None else [bos, *ids]

    def _in_template(self, chat: ChatText) -> list[int]:
        ids: list[int] = []
        at = 0
        for _, start, end in chat.spans:
            ids += self._encoding.located(chat.text[at:start], markers=True)[0]
            ids += self._encoding.encode([chat.text[start:end]])[0]
            at = end
        return ids + self._encoding.located(chat.text[at:], markers=True)[0]

    def _is_stopped(self, *_: Any, **__: Any) -> bool:
        return self._stopped

    def _ends(self, answer: list[int]) -> bool:
        ends = getattr(self._lm.network.generation_config, "eos_token_id", None)
        known = ends if isinstance(ends, list | tuple) else [ends]
        return bool(answer) and answer[-1] in known

    def _token(self, token: int, logits_V: torch.Tensor) -> AnswerToken:
        top = torch.log_softmax(logits_V.float(), dim=-1).topk(TOP)
        likeliest = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return AnswerToken(
            self._decoded([token]),
            tuple(LikelyToken(self._decoded([one]), value) for one, value in likeliest),
        )

    def _decoded(self, ids: list[int]) -> str:
        return valid_text(str(self._encoding.tokenizer.decode(ids, skip_special_tokens=True)))


def _own(device: torch.device) -> torch.dtype:
    """Return a dtype that is exact on a CPU and fast on a GPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
