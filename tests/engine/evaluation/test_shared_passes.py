"""How much an evaluation reads, what several share, and how little of the logits exists at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from engine.evaluation import cross_entropy
from engine.evaluation.quality import Dictionary, evaluate_all
from engine.evaluation.size import LEAST, MOST, Size, evaluation_size
from engine.model.head import Head
from engine.runtime.progress import Silent, Task
from engine.sae.registry import from_weights
from store.run.spec import SaeSpec
from store.settings.train import TrainSettings
from tests.engine.tiny_models import VOCAB, tiny
from tests.engine.trained import random_weights, small_subject

CPU = torch.device("cpu")
SPEC = SaeSpec(layer=0, site="resid_post", d_in=32, d_sae=64, k=4)


def size(tokens: int, spec: SaeSpec = SPEC, family: str = "llama", **given: int) -> Size:
    return evaluation_size(TrainSettings(tokens=tokens, **given), spec, tiny(family))


def test_an_evaluation_is_a_fixed_part_of_its_training() -> None:
    assert size(1000) == (LEAST, LEAST)
    assert size(10**9).tokens == MOST
    assert size(1_600_000).tokens == 100_000
    assert LEAST < size(1_600_000).ce_tokens < 100_000
    assert size(1_600_000, eval_tokens=777) == (777, 777)
    assert size(1_600_000, SaeSpec(layer=0, site="resid_post", d_in=32, d_sae=10**6)) == size(1_600_000)


def test_the_farther_the_site_the_cheaper_is_what_follows() -> None:
    last = SaeSpec(layer=1, site="resid_post", d_in=32, d_sae=64)
    assert size(1_600_000, last).ce_tokens > size(1_600_000).ce_tokens


def test_an_array_has_no_cross_entropy_to_pay_for() -> None:
    assert evaluation_size(TrainSettings(tokens=1_600_000), SPEC, None) == (100_000, 0)


def test_planted_concepts_are_looked_for_in_as_much_text_as_ever() -> None:
    found = evaluation_size(TrainSettings(tokens=1_600_000), SPEC, tiny("llama"), whole=True)
    assert found == (MOST, size(1_600_000).ce_tokens)


def test_dictionaries_of_one_site_share_passes_and_get_their_own_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = small_subject(site="resid_post")
    saes = [
        from_weights(random_weights(subject, arch=arch, seed=seed), CPU) for seed, arch in enumerate(("topk", "relu"))
    ]
    passes: list[int] = []
    whole = Head.hidden

    def counted(self: Head, tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        passes.append(len(tokens_BT))
        return whole(self, tokens_BT, mask_BT)

    monkeypatch.setattr(Head, "hidden", counted)
    wanted = Size(60, 20)
    alone = [evaluate_all([Dictionary(subject, sae)], "heldout", wanted, Silent())[0].to_json() for sae in saes]
    each = len(passes) // 2
    passes.clear()
    both = evaluate_all([Dictionary(subject, sae) for sae in saes], "heldout", wanted, Silent())
    assert [one.to_json() for one in both] == alone
    assert each < len(passes) < 1.5 * each, "one more pass than alone: that of the second dictionary"
    assert (both[0].ce_tokens or 0) < both[0].tokens


def test_so_many_logits_exist_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = small_subject(site="resid_post")
    rows: list[int] = []
    whole = Head.logits

    def seen(self: Head, hidden_ND: torch.Tensor) -> torch.Tensor:
        rows.append(len(hidden_ND))
        return whole(self, hidden_ND)

    monkeypatch.setattr(Head, "logits", seen)
    monkeypatch.setattr(cross_entropy, "LOGIT_BYTES", 4 * VOCAB * 7)
    sae = from_weights(random_weights(subject), CPU)
    (found,) = evaluate_all([Dictionary(subject, sae)], "heldout", Size(300, 300), Silent())
    assert max(rows) == 7
    assert np.isfinite(found.ce_sae or np.nan)


class Titles(Silent):
    """Keeps the titles of tasks."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        self.seen.append(title)
        with Silent.task(self, title, total, unit, done) as task:
            yield task


def test_every_part_of_an_evaluation_reports_its_progress() -> None:
    subject, said = small_subject(site="resid_post"), Titles()
    evaluate_all([Dictionary(subject, from_weights(random_weights(subject), CPU))], "heldout", Size(100, 100), said)
    assert said.seen == ["reconstruction", "frequencies of tokens", "cross-entropy"]
