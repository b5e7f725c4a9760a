"""An index whose features are concepts of the planted corpus, and an oracle that knows which text has which concept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from engine.explainer.visible_text import CLOSE, OPEN, visible
from store.index.merge import merge
from store.index.segment import (
    IndexPlan,
    SegmentBuilder,
    SparseRows,
    StaticColumns,
    TokenRows,
    segment_path,
    write_common,
)
from store.index.vocabulary import Vocabulary
from store.run.folder import Provenance, Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, sae_digest, save_sae
from tests.engine.endpoint.chat_server import Body, Said

NAMES = ("because", "Mary", "house", "never", "please", "quotation", "list", "second language", "question", "month")
"""Concepts of the features, in order; the last feature fires at random."""
FEATURES = tuple(next(i for i, one in enumerate(CONCEPTS) if one.name == name) for name in NAMES)
_TOKEN = re.compile(r" ?\w+|\s|[^\w\s]")
_MARKS = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}(\\d*)")
_FRAME = "\x00"


@dataclass(frozen=True)
class PlantedText:
    """The corpus as the prompts show it, and the concepts of its characters. C characters."""

    visible: str
    concepts_CK: NDArray[np.bool_]
    """Which of the concepts, FEATURES unless others were given, each character has."""
    starts: list[int]

    @classmethod
    def of(cls, corpus: PlantedCorpus, concepts: Sequence[int] = FEATURES) -> PlantedText:
        texts = [corpus.text(number) for number in range(corpus.count)]
        starts, at = [], 0
        for text in texts:
            starts.append(at)
            at += len(text) + 1
        concepts_CK = np.zeros((at, len(concepts)), bool)
        for number, start in enumerate(starts):
            for span in corpus.spans(number):
                if span.concept in concepts:
                    concepts_CK[start + span.start : start + span.end, concepts.index(span.concept)] = True
        # Every character of this corpus is visible as one character, so places stay.
        return cls(_FRAME.join(visible(text) for text in texts) + _FRAME, concepts_CK, starts)

    def find(self, line: str) -> NDArray[np.bool_]:
        """The concepts of a line's characters [C, K], wherever it stands in the corpus."""
        at = self.visible.find(line)
        assert at >= 0, line
        return self.concepts_CK[at : at + len(line)]


def token_spans(text: str) -> list[tuple[int, int]]:
    """The tokens of a text: words with the space before them, white space, signs."""
    return [found.span() for found in _TOKEN.finditer(text)]


def planted_run(
    folder: Path, documents: int = 400, seed: int = 0, *, concepts: Sequence[int] = FEATURES, missed: float = 0.0
) -> tuple[RunFolder, PlantedText]:
    """Write a run whose features fire on their concept's tokens but a share, and on one in 10 000 others."""
    corpus = PlantedCorpus(documents)
    text, rng = PlantedText.of(corpus, concepts), np.random.default_rng(seed)
    pieces = [token_spans(corpus.text(number)) for number in range(documents)]
    words = sorted({corpus.text(n)[a:b] for n, spans in enumerate(pieces) for a, b in spans})
    ids = {word: number + 1 for number, word in enumerate(words)}
    tokens, owner, acts, length = [], [], [], []
    for number, spans in enumerate(pieces):
        tokens += [0, *(ids[corpus.text(number)[a:b]] for a, b in spans)]
        owner += [number] * (len(spans) + 1)
        length.append(len(spans) + 1)
        start = text.starts[number]
        acts.append(np.zeros((1, len(concepts)), bool))
        acts.append(np.array([text.concepts_CK[start + a : start + b].any(0) for a, b in spans]))
    has_NK = np.concatenate(acts)
    token_N, document_N = np.array(tokens, np.int32), np.array(owner)
    shape = (len(token_N), len(concepts) + 1)
    fires_NF = rng.random(shape) < 0.0001
    fires_NF[:, :-1] |= has_NK & (rng.random(has_NK.shape) >= missed) if missed else has_NK
    fires_NF[:, -1] = rng.random(len(token_N)) < 0.01
    counted_N = token_N != 0
    act_NF = np.where(fires_NF & counted_N[:, None], 1 + 8 * rng.random(shape), 0).astype(np.float16)
    vocabulary = Vocabulary.from_tokens([b"<s>", *(word.encode() for word in words)])
    run = RunFolder(folder)
    _write(run, vocabulary, token_N, counted_N, document_N, np.array(length, np.int32), act_NF)
    return run, text


def _write(
    run: RunFolder,
    vocabulary: Vocabulary,
    token_N: NDArray[np.int32],
    counted_N: NDArray[np.bool_],
    document_N: NDArray[np.int64],
    length_C: NDArray[np.int32],
    act_NF: NDArray[np.float16],
) -> None:
    n_features = act_NF.shape[1]
    spec = SaeSpec(model="planted", layer=0, site="resid_post", arch="topk", d_in=4, d_sae=n_features, k=4)
    provenance = Provenance(model="planted", corpus="planted", seed=0)
    results = Results(tokens=len(token_N), explained_variance=0.9, l0=1.0, alive=n_features)
    run.create(RunRecord(status="done", created=1.0, spec=spec, provenance=provenance, results=results))
    rng = np.random.default_rng(1)
    w_dec = rng.standard_normal((n_features, 4)).astype(np.float32)
    zeros = np.zeros(n_features, np.float32), np.zeros(4, np.float32)
    weights = SaeWeights(spec, {"W_enc": w_dec.T.copy(), "b_enc": zeros[0], "W_dec": w_dec, "b_dec": zeros[1]})
    save_sae(run.sae, weights)
    unit = w_dec / np.linalg.norm(w_dec, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :5].astype(np.int32)
    logits = rng.standard_normal((n_features, len(vocabulary))).astype(np.float32)
    order = np.argsort(-logits, axis=1).astype(np.int32)
    columns = StaticColumns(
        decoder_norm_F=np.linalg.norm(w_dec, axis=1),
        logit_top_id_FT=order[:, :5],
        logit_top_value_FT=np.take_along_axis(logits, order[:, :5], 1),
        logit_bottom_id_FT=order[:, ::-1][:, :5],
        logit_bottom_value_FT=np.take_along_axis(logits, order[:, ::-1][:, :5], 1),
        neighbour_id_FT=near,
        neighbour_cosine_FT=np.take_along_axis(cosine, near, 1),
        logit_histogram_FB=np.zeros((n_features, 40), np.uint16),
        neuron_id_FT=np.empty((n_features, 0), np.int32),
        neuron_cosine_FT=np.empty((n_features, 0), np.float32),
    )
    plan = IndexPlan(
        data="planted",
        corpus_digest="0",
        sae_digest=sae_digest(run.sae),
        packing="separate",
        context=int(length_C.max()),
        seed=0,
        n_contexts=len(length_C),
    )
    write_common(run.index, plan, vocabulary, weights, columns)
    rows, features = np.nonzero(act_NF)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(token_N)))])
    builder = SegmentBuilder(n_features)
    acts = act_NF[rows, features].astype(np.float32)
    builder.add(TokenRows(token_N, counted_N, document_N, length_C), SparseRows(indptr, features, acts))
    builder.seal(segment_path(run.index, 0), 0, 0)
    merge(run.index, run.features)


@dataclass
class Oracle:
    """Answers explaining, detection and fuzzing from the planted truth."""

    text: PlantedText
    wrong: float = 0.0
    """Share of texts about which it is wrong."""
    prefix: str = ""
    """Said before every answer."""
    patterns: dict[str, str] = field(default_factory=lambda: {name: rf"\b{name}\b" for name in NAMES[:5]})

    def __call__(self, body: Body) -> Said:
        system, user = (one["content"] for one in body["messages"])
        if "EXPLANATION" in system:
            return self._explain(user)
        explanation = re.search(r"^Explanation: concept (\d+)", user, re.MULTILINE)
        line = re.search(r"^Text: (.*)$", user, re.MULTILINE)
        assert explanation and line
        number = int(explanation[1])
        if OPEN in line[1]:
            marked_C, concepts_CK = self._marks(line[1])
            yes = bool(concepts_CK[marked_C, number].mean() > 0.5)
        else:
            yes = bool(self.text.find(line[1])[:, number].any())
        drawn = int(hashlib.sha256(user.encode()).hexdigest()[:8], 16) / 16**8
        says = yes != (drawn < self.wrong)
        return Said(self.prefix + ("yes" if says else "no"), 0.9 if says else 0.1)

    def _marks(self, line: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which characters of a line are marked, and their concepts."""
        plain, marked, at = "", list[bool](), 0
        for found in _MARKS.finditer(line):
            before = line[at : found.start()]
            plain += before + found[1]
            marked += [False] * len(before) + [True] * len(found[1])
            at = found.end()
        plain += line[at:]
        marked += [False] * (len(line) - at)
        return np.array(marked, bool), self.text.find(plain)

    def _plain(self, line: str) -> str:
        """A line without its marks."""
        return _MARKS.sub(lambda found: found[1], line)

    def _explain(self, user: str) -> Said:
        """Name the concept that fits the marked characters best, by F1."""
        lines = [line[2:] for line in user.split("\n") if line.startswith("- ")]
        pairs = [self._marks(line) for line in lines]
        marked_C, concepts_CK = (np.concatenate(column) for column in zip(*pairs, strict=True))
        hits_K = concepts_CK[marked_C].sum(0)
        number = int((2 * hits_K / (marked_C.sum() + concepts_CK.sum(0))).argmax())
        pattern = self.patterns.get(NAMES[number], "NONE")
        return Said(f"{self.prefix}EXPLANATION: concept {number}, {NAMES[number]}\nPATTERN: {pattern}")
