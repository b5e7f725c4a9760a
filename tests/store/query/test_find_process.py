"""A search in a process of its own: the same answer, errors as sentences, and an end at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError, WorkFailed
from store.index.reader import FeatureStore
from store.query.find import FindOptions, find
from store.query.find_process import Asking
from store.query.pattern_search import Inquiry, Report
from store.query.pattern_tokens import compile_pattern, text_matches, whole
from tests.patience import eventually, wait_for_end
from tests.sample_run import CONCEPTS, VOCAB, Sample, build_sample, word_ids

ROOT = Path(__file__).parents[3]
SEA = f" ({'|'.join(CONCEPTS[0])})"
ENDLESS = r"(?:.|\s|\w)*!"
"""Matches nothing, and finds that out in two to the number of characters steps."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("inquiry") / "sample")


def answered(sample: Sample, inquiry: Inquiry) -> Report:
    *_, last = Asking(sample.run.path, inquiry).reports()
    return last


def test_the_answer_is_that_of_the_same_search_here(sample: Sample) -> None:
    with FeatureStore.open(sample.run.path) as store:
        question = whole(text_matches(store, compile_pattern(SEA))).question(store, SEA)
        assert answered(sample, Inquiry(SEA)).found == find(store, question, FindOptions(top=1000))
        held_out = answered(sample, Inquiry(SEA, held_out=True, by="auroc")).found
        assert held_out == find(store, question, FindOptions(top=200, held_out=True, by="auroc"))


def test_the_feature_that_was_planted_comes_first_and_its_tokens_are_named(sample: Sample) -> None:
    report = answered(sample, Inquiry(SEA))
    assert report.found is not None
    best = report.found.results[0]
    assert (best.choice.feature, best.tally.f1, best.auroc) == (0, 1.0, 1.0)
    token = sample.token_N[sample.counted_N]
    expected = {int(i): int((token == i).sum()) for i in word_ids(CONCEPTS[0])}
    assert dict(report.words) == expected
    assert report.found.matched == sum(expected.values())


@pytest.mark.parametrize("last", [False, True])
def test_tokens_and_last_are_passed_on(sample: Sample, last: bool) -> None:
    report = answered(sample, Inquiry(r"^ s.*a", tokens=True, last=last))
    ids = [i for i, word in enumerate(VOCAB) if word[:2] == b" s" and b"a" in word[2:]]
    assert report.found is not None
    assert report.found.matched == int(np.isin(sample.token_N, ids).sum())
    text = answered(sample, Inquiry(r"\w+ \w+ \w+", last=last)).found
    assert text is not None
    assert text.scored < sample.counted_N.sum() if last else text.scored == sample.counted_N.sum()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("sea(boat", r"missing \), unterminated subpattern \(character 4\)"), ("zzz", "nothing in the indexed corpus")],
)
def test_errors_are_sentences(sample: Sample, pattern: str, said: str) -> None:
    with pytest.raises(MonosemError, match=said) as caught:
        answered(sample, Inquiry(pattern))
    assert caught.value.hint


def test_without_an_index_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match=r"run\.json|no feature index|nothing"):
        list(Asking(tmp_path, Inquiry("a")).reports())


def test_what_dies_says_so(sample: Sample) -> None:
    asking = Asking(sample.run.path, Inquiry(ENDLESS))
    os.kill(asking.pid, signal.SIGSEGV)
    with pytest.raises(WorkFailed, match="SIGSEGV"):
        list(asking.reports())


def test_a_pattern_that_never_ends_is_ended(sample: Sample) -> None:
    asking = Asking(sample.run.path, Inquiry(ENDLESS))
    asking.cancel()
    assert list(asking.reports()) == []
    wait_for_end(asking.pid)
    asking.cancel()


def test_modules_of_the_folder_one_is_in_are_not_taken(sample: Sample, tmp_path: Path, monkeypatch) -> None:
    for name in ("json", "numpy", "select", "fcntl", "store"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('stray')")
    monkeypatch.chdir(tmp_path)
    assert answered(sample, Inquiry("sea")).finished


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_ends_with_the_one_that_asked(sample: Sample) -> None:
    script = """
import sys, time
from pathlib import Path
from store.query.find_process import Asking
from store.query.pattern_search import Inquiry
asking = Asking(Path(sys.argv[1]), Inquiry(sys.argv[2]))
print(asking.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", script, str(sample.run.path), ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as asker:
        assert asker.stdout is not None
        pid = int(asker.stdout.readline())
        _at_work(pid)
        asker.kill()
    wait_for_end(pid)


def _at_work(pid: int) -> None:
    """Wait until it has used more than it takes to start: by then the expression holds the interpreter."""

    def seconds() -> float:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    eventually(lambda: seconds() >= 1.5)
