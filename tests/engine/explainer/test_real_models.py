"""The whole way with a real model: behind transformers' own server on this machine, and run by monosem itself.

A base model of 270M parameters answers badly. Its scores are no result, and none is asserted: only that every step
works with answers that nobody made up for a test.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from engine.commands.explain import ModelReport, explain_by_model
from engine.endpoint.account import Account
from engine.endpoint.answer_cache import AnswerCache
from engine.endpoint.chat import ChatRequest, Endpoint, chat
from engine.endpoint.http_server import Address, HttpServer
from engine.endpoint.local_model import LocalModel
from engine.endpoint.question_queue import QuestionQueue
from engine.explainer.examination import Examination, JudgeSizes
from engine.explainer.judgements import Judgement, judgement
from engine.explainer.verdicts import read_verdict
from engine.runtime.interrupt import StopRequest
from engine.runtime.progress import Silent
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.settings.model_author import AuthorSettings
from tests.engine.explainer.planted_store import planted_run

TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}Answer:"
START, ANSWER = 300.0, 600.0
"""Seconds in which the server is up, and in which it answers one call."""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gemma 3 270M with a chat template, which the base model has none of."""
    source = Path(os.environ.get("MONOSEM_GEMMA", "none"))
    if not (source / "model.safetensors").is_file():
        pytest.skip("$MONOSEM_GEMMA is not a folder with Gemma 3 270M")
    folder = tmp_path_factory.mktemp("model") / "gemma"
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix == ".safetensors":
            (folder / path.name).symlink_to(path.resolve())
        elif path.is_file():
            shutil.copy(path, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def url(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `transformers serve` with that model."""
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("needs the packages of `transformers serve`: pip install 'transformers[serving]'")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, str(Path(sys.executable).with_name("transformers")), "serve", str(gemma)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        until = time.monotonic() + START
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def judged(path: Path, endpoint: Endpoint, cache: Path) -> Judgement:
    """A sentence of ours, judged by a real model: its own explanations may be none."""
    with FeatureStore.open(path) as store:
        examination = Examination(store, JudgeSizes(firing=4, silent=2, fuzzed=4))
        questions = examination.questions(examination.draft(0), "the word because", fuzzed=True)
        queue = QuestionQueue(endpoint, AnswerCache(cache), Account(), StopRequest())
        answers = queue.answers([question.request for question in questions])
    found = judgement(questions, [read_verdict(answer) for answer in answers])
    print(found)
    assert found.asked == len(questions) > 10 and 0 <= found.unanswered <= found.asked
    assert found.detection is not None and 0 <= found.detection.low <= found.detection.value <= 1
    return found


@pytest.mark.slow
def test_the_whole_way_with_a_real_server(
    url: str, gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run, _ = planted_run(tmp_path / "run", documents=100)
    asked = AuthorSettings(model=str(gemma), texts=4, controls=2, parallel=1, patience=ANSWER)
    report = ModelReport("gemma")
    explain_by_model(run.path, (0,), url, asked, Silent(), report)
    assert report.account.calls >= 1 and report.account.use.counted
    assert len(report.explained) + len(report.unexplained) == 1
    assert Explanations.load(run.path).by("gemma") == {one.feature: one for one in report.explained}
    endpoint = HttpServer(Address.parse(url), str(gemma), parallel=1, patience=ANSWER)
    assert not judged(run.path, endpoint, tmp_path / "judged").is_graded  # this server gives no log-probabilities
    again = ModelReport("gemma")
    explain_by_model(run.path, (0,), url, asked, Silent(), again)
    assert again.account.calls == 0


@pytest.mark.slow
def test_a_real_model_on_this_machine(gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run, _ = planted_run(tmp_path / "run", documents=100)
    report = ModelReport("gemma")
    asked = AuthorSettings(texts=4, controls=0, device="cpu")
    explain_by_model(run.path, (0,), f"hf:{gemma}", asked, Silent(), report)
    assert report.account.calls >= 1 and len(report.explained) + len(report.unexplained) == 1
    assert judged(run.path, LocalModel(f"hf:{gemma}", "cpu", Silent()), tmp_path / "judged").is_graded


def test_a_local_model_gives_the_likeliest_tokens_with_their_probabilities(tiny_lm: Path) -> None:
    """Against a forward pass of the whole text."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = LocalModel(f"hf:{tiny_lm}", "cpu", Silent())
    request = ChatRequest(chat("A", "<|endoftext|>"), 3, logprobs=True)
    answer = model.complete(request)
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm / "model")
    network = AutoModelForCausalLM.from_pretrained(tiny_lm / "model")
    text = "A\n\n<|endoftext|>\nAnswer:"
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    ids = ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]
    assert answer.use.prompt == len(ids)  # a special token in a text is text
    for token in answer.tokens:
        logits_V = network(torch.tensor([ids])).logits[0, -1]
        best = int(logits_V.argmax())
        expected = torch.log_softmax(logits_V.float(), -1)
        assert token.text == tokenizer.decode([best])
        assert token.likeliest[0].logprob == pytest.approx(float(expected[best].detach()), abs=1e-4)
        assert [one.logprob for one in token.likeliest] == sorted((o.logprob for o in token.likeliest), reverse=True)
        ids.append(best)
    assert model.name.startswith("hf:tiny ") or model.name.startswith("hf:")
    assert model.complete(request) == answer


def test_a_prompt_that_is_too_long_is_one_line(tiny_lm: Path) -> None:
    from store.files.errors import MonosemError

    model = LocalModel(f"hf:{tiny_lm}", "cpu", Silent())
    with pytest.raises(MonosemError, match="was made for contexts of up to 32"):
        model.complete(ChatRequest(chat("a", "b " * 100), 5))
