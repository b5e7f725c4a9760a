"""Conversations in the index: the roles of tokens, and what find, filters and pages make of them.

Shapes: N tokens, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.conversations import Content, TokenIds, Turn
from engine.corpus.documents import Document, numbered
from engine.data.contexts import ContextSettings, ContextStream, StreamPosition
from engine.indexing.index_run import build_index
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from monosem_tui.model.feature_card import read_card
from monosem_tui.pages.feature_page import as_text
from store.files.errors import MonosemError
from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.query.pattern_search import Inquiry, search_pattern
from store.query.turns import role_shares
from store.run.folder import RunFolder
from store.settings.roles import ROLES, Role, role_code
from store.verify.run_check import verify_file
from tests.engine.small import BOS, EOS, FIRST_WORD, Texts, subject_of, words
from tests.engine.tiny_models import tiny
from tests.engine.trained import ALL, random_weights, run_with, small_forwards

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} w9 {% if m.role == 'user' %} w8 {% else %} w7 {% endif %}"
    "{{ m.content | trim }} </s>{% endfor %}"
)


@dataclass(frozen=True)
class Contents(Texts):
    """A corpus of texts, conversations and token ids."""

    contents: tuple[Content, ...] = ()

    def documents(self) -> Iterator[Document]:
        """Every content as a document."""
        return numbered(self.contents, self.spec)


def corpus(count: int = 40) -> Contents:
    """Conversations of one to three turns, with a text and token ids among them."""
    rng = np.random.default_rng(3)
    contents: list[Content] = []
    for number in range(count):
        said = [words(rng.integers(10, 40, rng.integers(1, 9)).tolist()) for _ in range(int(rng.integers(1, 4)))]
        contents.append(tuple(Turn(ROLES[n % 2], text) for n, text in enumerate(said)))
        if number % 7 == 3:
            contents += [words([20, 21, 22]), TokenIds((BOS, FIRST_WORD + 5, FIRST_WORD + 6))]
    return Contents((), "contents", tuple(contents))


def expected(contents: Contents) -> list[tuple[int, int]]:
    """Token and role of the whole corpus, in corpus order, by hand."""
    found: list[tuple[int, int]] = []
    for content in contents.contents:
        if isinstance(content, str):
            found += [(BOS, 0), *((FIRST_WORD + int(word[1:]), 0) for word in content.split())]
        elif isinstance(content, TokenIds):
            found += [(token, 0) for token in content]
        else:
            found.append((BOS, 0))
            for turn in content:
                found += [(FIRST_WORD + 9, 0), (FIRST_WORD + (8 if turn.role == "user" else 7), 0)]
                found += [(FIRST_WORD + int(word[1:]), role_code(turn.role)) for word in turn.content.split()]
                found.append((EOS, 0))
    return found


def chat_subject(contents: Contents, packing: str = "packed") -> Subject:
    """A tiny model with a chat template."""
    subject = subject_of(tiny("llama"), contents, "bos", "eos", packing=packing)
    subject.encoding.tokenizer.chat_template = TEMPLATE
    return subject


def roles_of(subject: Subject, position: StreamPosition | None = None) -> list[tuple[int, int]]:
    """Token and role of a stream, without the BOS that begins a context within a document."""
    stream = ContextStream(subject.corpus, subject.encoding, ContextSettings(16), position)
    return [
        pair
        for batch in stream.batches(3)
        for tokens_T, roles_T, mask_T in zip(batch.tokens_BT, batch.role_BT, batch.mask_BT, strict=True)
        for pair in zip(tokens_T[mask_T].tolist(), roles_T[mask_T].tolist(), strict=True)
    ]


def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, Subject]:
    """An index of the corpus."""
    small_forwards(monkeypatch)
    subject = chat_subject(corpus())
    run = run_with(random_weights(subject), tmp_path / "run")
    build_index(run, subject, ALL, Silent())
    return run, subject


def test_tokens_have_the_roles_of_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = corpus()
    subject = chat_subject(contents, "documents")
    wanted = sorted(pair for pair in expected(contents) if pair[0] != BOS)
    assert sorted(pair for pair in roles_of(subject) if pair[0] != BOS) == wanted
    assert {role for _, role in wanted} == {0, 1, 2}
    monkeypatch.setattr("engine.data.contexts.CHUNK_CHARACTERS", 60)
    stream = ContextStream(contents, subject.encoding, ContextSettings(16))
    positions = []
    for _ in islice(stream.batches(1), 99):
        positions.append(stream.position)
    whole = roles_of(subject)
    assert sorted(pair for pair in whole if pair[0] != BOS) == wanted
    carried = [position for position in positions if position.carry_roles]
    assert carried
    for position in carried[:3]:
        rest = roles_of(subject, position)
        assert rest == whole[len(whole) - len(rest) :]


def test_ids_beyond_the_vocabulary_are_refused() -> None:
    subject = chat_subject(Contents((), "contents", (TokenIds((1, 500)),)))
    with pytest.raises(MonosemError, match="document 1 has the token id 500, and words knows"):
        roles_of(subject)


def test_the_index_keeps_roles_whatever_its_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, subject = indexed(tmp_path, monkeypatch)
    with FeatureStore.open(run.path) as store:
        roles_N = store.layout.roles
        assert roles_N is not None
        pairs = zip(store.tokens(0, store.n_tokens).tolist(), roles_N.tolist(), strict=True)
        wanted = sorted(pair for pair in expected(corpus()) if pair[0] != BOS)
        assert sorted(pair for pair in pairs if pair[0] != BOS) == wanted
    verify_file(run.features)
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 70)
    other = run_with(random_weights(subject), tmp_path / "other")
    build_index(other, subject, ALL, Silent())
    assert other.features.read_bytes() == run.features.read_bytes()


def test_segments_without_turns_among_those_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Contents((), "contents", (*(words([20 + n, 21, 22]) for n in range(12)), (Turn("user", words([3, 4])),)))
    small_forwards(monkeypatch)
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 64)
    monkeypatch.setattr("engine.indexing.index_build.merge", lambda *args, **kwargs: None)
    monkeypatch.setattr("engine.indexing.index_build.discard", lambda index: None)
    subject = chat_subject(turns)
    run = run_with(random_weights(subject), tmp_path / "run")
    build_index(run, subject, ALL, Silent())
    with FeatureStore.open(run.path) as store:
        before = store.layout.roles
    merge(run.index, run.features)
    with FeatureStore.open(run.features) as store:
        assert before is not None
        np.testing.assert_array_equal(store.layout.roles, before)
        assert int((before > 0).sum()) == 2


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_find_filters_and_pages_by_role(role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = indexed(tmp_path, monkeypatch)
    with FeatureStore.open(run.path) as store:
        rows, roles_N = store.rows(0, store.n_tokens), store.layout.roles
        assert roles_N is not None
        acts_NF = np.zeros((store.n_tokens, store.d_sae))
        acts_NF[np.repeat(np.arange(store.n_tokens), np.diff(rows.indptr)), rows.feature] = rows.act
        own_N = roles_N == role_code(role)
        total_F = acts_NF.sum(0)
        share_F = np.divide(acts_NF[own_N].sum(0), total_F, out=np.zeros_like(total_F), where=total_F > 0)

        source = FilterSource(store, {})
        kept = parse_filter(f"role:{role}>40%").keep(source, np.arange(store.d_sae))
        np.testing.assert_array_equal(kept, np.flatnonzero(share_F > 0.4))
        assert 0 < len(kept) < store.d_sae
        np.testing.assert_allclose(source.use_of(role).share_F, share_F, rtol=1e-9)

        *_, whole = search_pattern(store, Inquiry("", role=role))
        counted_N = store.layout.counted_tokens()
        assert whole.found is not None
        assert (whole.found.matched, whole.found.scored) == (int((own_N & counted_N).sum()), int(counted_N.sum()))
        *_, within = search_pattern(store, Inquiry("2[0-9]", tokens=True, role=role))
        assert within.found is not None
        assert within.found.scored == int((own_N & counted_N).sum())
        best = within.found.results[0]
        fires_N = acts_NF[:, best.choice.feature] >= best.choice.threshold
        assert best.tally.fired == int((fires_N & own_N).sum())

        feature = int(kept[0])
        assert dict(role_shares(store, feature))[role] == pytest.approx(share_F[feature])
        text = as_text(read_card(store, {}, feature))
        assert f" {role} " in text


def test_a_corpus_without_conversations_has_no_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_forwards(monkeypatch)
    subject = subject_of(tiny("llama"), Texts((words([1, 2, 3]), words([4, 5]))))
    run = run_with(random_weights(subject), tmp_path / "run")
    build_index(run, subject, ALL, Silent())
    with FeatureStore.open(run.path) as store:
        assert store.layout.roles is None
        assert role_shares(store, 0) == ()
        for ask in (
            lambda: parse_filter("role:user").keep(FilterSource(store, {}), np.arange(3)),
            lambda: list(search_pattern(store, Inquiry("", role="user"))),
        ):
            with pytest.raises(MonosemError, match="has no conversations"):
                ask()
    with pytest.raises(MonosemError, match="one of user, assistant, system, tool is expected after role:"):
        parse_filter("role:usr")
