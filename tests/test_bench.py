"""`make bench` where it could go wrong without a figure looking wrong: the page, the peers' answers, the reference."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bench import __main__ as bench
from tests.bench import (
    absorption,
    clamping,
    dashboard,
    end_to_end,
    loss,
    page,
    peer,
    quality,
    steering,
    steps,
    stories,
    subjects,
    timing,
    topk,
)
from tests.shared_data import shared_path
from tests.tiny_text import write_corpus

PAGE = """# Page
<!-- measured steps: begin -->
old steps
<!-- measured steps: end -->
Between, `measured steps: begin` as words.
<!-- measured loss: begin -->
old loss
<!-- measured loss: end -->
Behind.
"""


def test_a_part_replaces_what_is_between_its_own_marks_and_nothing_else() -> None:
    text = page.replaced(PAGE, "steps", "renewed\n\nwith | bars")
    assert text == PAGE.replace("old steps", "renewed\n\nwith | bars")
    assert page.replaced(text, "steps", "old steps") == PAGE


@pytest.mark.parametrize(
    "text",
    [
        PAGE.replace("steps: begin", "steps: start", 1),
        PAGE.replace("<!-- measured steps: end -->", ""),
        PAGE + PAGE,
        "<!-- measured steps: end --> <!-- measured steps: begin -->",
    ],
)
def test_a_page_without_both_marks_once_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="measured steps: begin"):
        page.replaced(text, "steps", "renewed")


def test_the_page_has_a_place_for_every_part() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for part in bench.PARTS:
        assert f"figures of {part}" in page.replaced(text, part, f"figures of {part}")


def test_a_table_is_markdown_that_no_cell_can_break() -> None:
    table = page.Table(("what", "figure"), [("one", "1"), ("a | b\nc", "failed: x|y")], ("A note.",))
    assert table.markdown() == (
        "| what | figure |\n| --- | --- |\n| one | 1 |\n| a \\| b c | failed: x\\|y |\n\nA note."
    )
    with pytest.raises(ValueError, match="1 cells below 2 columns"):
        page.Table(("what", "figure"), [("one",)])


def test_the_answer_is_the_last_json_object_whatever_else_is_printed() -> None:
    output = 'Loading {"weights"}\n{"tokens_s": 1.0}\n\n{"tokens_s": 2.5, "alive": 0.5}\n7\nTraining: 100%\n'
    assert peer.answer(output) == {"tokens_s": 2.5, "alive": 0.5}


def test_no_answer_names_the_last_thing_said() -> None:
    with pytest.raises(peer.PeerFailed, match="no JSON line: half a line"):
        peer.answer("hello\nhalf a line\n\n")
    with pytest.raises(peer.PeerFailed, match="no output"):
        peer.answer("")


def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, patience: float = 60.0) -> dict[str, Any]:
    (folder / "script.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(peer, "SCRIPTS", folder)
    return peer.ask("script.py", "a", 3, python=Path(sys.executable), patience=patience)


def test_a_peer_is_given_its_arguments_and_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = """import json, os, sys
seen = os.environ
print(json.dumps({"args": sys.argv[1:], "threads": seen["OMP_NUM_THREADS"], "path": "PYTHONPATH" in seen}))"""
    found = ask(tmp_path, monkeypatch, code)
    assert found == {"args": ["a", "3"], "threads": str(min(2, os.cpu_count() or 1)), "path": False}


def test_a_peer_that_fails_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(peer.PeerFailed, match=r"^exit code 1: ModuleNotFoundError: No module named 'nowhere'$"):
        ask(tmp_path, monkeypatch, "import nowhere")
    with pytest.raises(peer.PeerFailed, match="no answer within 0 s"):
        ask(tmp_path, monkeypatch, "import threading; threading.Event().wait()", patience=0.3)
    with pytest.raises(peer.PeerFailed, match="not installed"):
        peer.ask("step.py", python=tmp_path / "python")


def test_a_failed_peer_costs_its_own_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(script: str, name: str, *args: object) -> dict[str, float]:
        if name == "saelens":
            raise peer.PeerFailed("exit code 1: no such thing")
        return {"tokens_s": 10.0}

    monkeypatch.setattr(steps, "ask", answered)
    work = steps.Work(topk.Size(8, 16, 2, 32), 1, peers=True)
    rows = {row[1]: row for row in steps.measure(steps.Plan((work,), rounds=2)).rows}
    failed = [row for name, row in rows.items() if name.startswith("SAELens")]
    assert [row[2:] for row in failed] == [("–", "–", "failed: exit code 1: no such thing")] * 2
    sparsify = next(row for name, row in rows.items() if name.startswith("sparsify"))
    assert sparsify[2:4] == ("10", "10 – 10")
    assert sparsify[4].endswith(" ×")


def test_training_goes_on_beside_a_failed_peer() -> None:
    def fails() -> end_to_end.Trained:
        raise peer.PeerFailed("exit code 1: out of memory")

    case, done = end_to_end.Case(1024, 16, 1000), end_to_end.Trained(2.0, 500.0, quality.Quality(0.9, 0.5))
    ours, theirs = end_to_end.Course("monosem"), end_to_end.Course("SAELens")
    for _ in range(2):
        end_to_end._train(ours, lambda: done, "")
        end_to_end._train(theirs, fails, "")
    first, second = end_to_end._rows(case, ours, theirs)
    assert first == (
        "1 024 features, k 16, 1 000 tokens", "monosem", "2.0 s", "500", "500 – 500", "0.9000", "50.0 %", ""
    )  # fmt: skip
    assert second[1:] == ("SAELens", "–", "–", "–", "–", "–", "failed: exit code 1: out of memory")


def test_the_shortest_good_training_is_put_beside_a_whole_one_of_the_same_round() -> None:
    whole, short = end_to_end.Course("SAELens"), end_to_end.Short(0.92, end_to_end.Case(1024, 16, 100))
    for seconds, theirs in ((1.0, 10.0), (9.0, 30.0), (4.0, 40.0)):
        short.course.trained.append(end_to_end.Trained(seconds, 100.0, quality.Quality(0.93, 1.0)))
        whole.trained.append(end_to_end.Trained(theirs, 100.0, quality.Quality(0.92, 0.9)))
    row = short.row(whole, 1000)
    assert row[0] == "the fewest tokens that reach 0.9200: 100"
    assert row[2] == "4.0 s"
    assert row[-1] == "0.10 of its time for 1 000 tokens"
    assert end_to_end.Short(0.92, None).row(whole, 1000)[-1] == "not reached"


def plain_pages(model: Path, contexts: Path, bos: int, sae: Path, layer: int, k: int) -> dict[str, Any]:
    """Expected result of a dashboard: how often each feature fires, from the model's hidden states."""
    from transformers import AutoModelForCausalLM

    ids_CT, weights = (
        torch.from_numpy(np.load(contexts)),
        {name: torch.from_numpy(w) for name, w in np.load(sae).items()},
    )
    with torch.no_grad():
        hidden = AutoModelForCausalLM.from_pretrained(model).eval()(ids_CT, output_hidden_states=True).hidden_states
        x_ND = hidden[layer + 1][ids_CT != bos]
        pre_NF = (x_ND - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
        active_NF = (pre_NF >= pre_NF.topk(k).values[:, -1:]) & (pre_NF > 0)
    densities = (active_NF.sum(0) / ids_CT.numel()).tolist()
    return {
        "seconds": 50.0,
        "writing": 5.0,
        "bytes": 3_000_000,
        "examples": 70 * len(densities),
        "densities": densities,
    }


@pytest.mark.slow
def test_both_make_pages_of_the_same_features_on_the_same_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(script: str, *args: Any, python: Path) -> dict[str, Any]:
        assert (peer.SCRIPTS / script).is_file()
        return plain_pages(*args[:6])

    monkeypatch.setattr(dashboard, "ask", asked)
    looked = subjects.random_llama(tmp_path / "model", str(write_corpus(tmp_path / "text.txt")))
    plan = dashboard.Plan((dashboard.Work(32, (dashboard.Batches(16, 4, 1),)),), trained=2000, tokens=1500, rounds=1)
    table = dashboard.measure_of(plan, looked, tmp_path)
    ours, index, theirs = table.rows
    assert ours[:2] == ("32 features", "monosem: index, and every page")
    assert index[:2] == ("32 features", "monosem: index alone")
    assert float(index[2].split()[0]) <= float(ours[2].split()[0])
    assert "activations, " in ours[6]
    assert theirs[1:-1] == (
        "SAEDashboard 0.8.0, 16 features and 4 contexts at a time",
        "50.0 s",
        "50.0 – 50.0 s",
        "1",
        "1.00 ×",
        "70 texts a feature, JSON of 3.0 MB",
    )
    assert theirs[-1] == f"monosem {ours[-1].removesuffix(' ×')}, {index[-1]}"
    assert float(ours[-1].removesuffix(" ×")) <= float(index[-1].removesuffix(" ×"))
    alike = re.search(r"both count ([0-9.]+) % alike", table.notes[0])
    assert alike and float(alike.group(1)) > 99.9


def made(*seconds: float) -> list[dashboard.Made]:
    return [dashboard.Made(one, 0.5, 40, 1_500_000, [30, 10]) for one in seconds]


def contender(name: str, d_sae: int, *seconds: float) -> dashboard.Contender:
    def fails() -> dashboard.Made:
        raise peer.PeerFailed("exit code 1: out of memory")

    return dashboard.Contender(name, d_sae, fails, max(1, len(seconds)), made(*seconds))


def test_pages_grow_and_compare_round_by_round() -> None:
    small = dashboard.Size(
        contender("monosem", 2, 1.0, 5.0, 2.0),
        [contender("best", 2, 10.0, 40.0, 60.0), contender("default", 2, 100.0)],
    )
    large = dashboard.Size(contender("monosem", 8, 1.2, 6.5, 2.0), [contender("best", 8, 50.0)])
    rows = dashboard.rows([small, large])
    assert rows[0] == (
        "2 features", "monosem: index, and every page", "2.0 s", "1.0 – 5.0 s", "1", "1.00 ×",
        "all 40 activations, 1.5 MB", "10.0 ×",
    )  # fmt: skip
    assert rows[1][2:] == ("1.5 s", "0.5 – 4.5 s", "1", "1.00 ×", "the same", "20.0 ×")  # of 20, 8.9 and 40
    assert rows[2][1:3] == ("best", "40.0 s")
    assert rows[3][1:3] == ("default", "100.0 s")
    assert rows[4][5] == "1.20 ×"  # of 1.2, 1.3 and 1
    assert rows[4][7] == "41.7 ×"  # of the first round alone
    # 50 of the first round is five times 10, and 1.2 with pages, 0.7 without.
    assert rows[6][5:] == ("5.00 ×", "5 texts a feature, JSON of 1.5 MB", "monosem 41.7, 71.4 ×")


def test_pages_without_the_other_side_say_why() -> None:
    size = dashboard.Size(contender("monosem", 2, 1.0), [contender("SAEDashboard", 2)])
    size.turn(1)
    size.turn(2)
    ours, index, theirs = dashboard.rows([size])
    assert ours[-1] == index[-1] == "–"
    assert theirs[2:] == ("–",) * 5 + ("failed: exit code 1: out of memory",)
    looked = subjects.Looked("a model", Path(), "stdlib", 0)
    assert "alike" not in dashboard.notes([size], dashboard.QUICK, looked)[0]


def test_versions_are_read_from_the_list_that_is_installed(tmp_path: Path) -> None:
    listed = tmp_path / "peers.txt"
    listed.write_text("# comment\none-two==1.2.3\nother==4\n", encoding="utf-8")
    assert peer.pinned("one-two", listed) == "1.2.3"
    for path in (peer.LISTED, dashboard.LISTED):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.startswith("#") or line.count("==") == 1, line


def test_ratios_are_taken_round_by_round() -> None:
    assert timing.ratio([10, 1, 30], [5, 1, 10]) == 2.0  # of 2, 1 and 3, not 10 over 5
    assert timing.spread([1234.4, 20_000.0, 999.0]) == "999 – 20 000"


def test_explained_variance_by_hand() -> None:
    x_ND = np.array([[0, 0], [2, 0], [0, 4], [2, 4]], np.float32)  # mean (1, 2), Σ‖x - mean‖² = 4 · 5
    off_ND = x_ND + np.array([[1, 0], [0, 0], [0, 0], [0, 2]], np.float32)  # Σ‖x - x̂‖² = 5
    assert quality.explained_variance(x_ND, off_ND) == pytest.approx(0.75)


def test_the_dense_reference_and_float32_steps_take_the_same_course() -> None:
    size = topk.Size(16, 64, 4, 128)
    planted = loss.Planted(size.d_in)
    settings = topk.trainer_settings(size, 30, "float32")
    trainer = topk.started(settings, planted.batch(0, size.batch))
    dense = topk.DenseTopK(settings, trainer.weights(), trainer.scale)
    losses = [(dense.step(x), loss._loss_of_step(trainer, x)) for x in map(planted.batch, range(30), [size.batch] * 30)]
    reference, ours = np.array(losses).T
    assert reference[-1] < 0.8 * reference[0]
    np.testing.assert_allclose(ours, reference, rtol=1e-3)
    np.testing.assert_allclose(dense.W_dec.detach().numpy(), trainer.weights()["W_dec"], atol=2e-3)


def test_planted_batches_repeat_by_number() -> None:
    one, other = loss.Planted(16), loss.Planted(16)
    torch.testing.assert_close(one.batch(3, 8), other.batch(3, 8), rtol=0, atol=0)
    assert not torch.equal(one.batch(3, 8), one.batch(4, 8))


def test_a_missing_text_is_named_and_leaves_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(bench, "PAGE", tmp_path / "page.md")
    for name in ("STORIES", "TEXT"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("HELD_OUT", str(tmp_path / "nowhere.txt"))
    bench.run("end-to-end", quick=False)
    assert "nowhere.txt is missing; name another by make bench HELD_OUT=..." in capsys.readouterr().out
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == PAGE


def test_activations_are_the_models_own_without_bos(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    text = tmp_path / "text.txt"
    text.write_text("<|endoftext|>".join(["Once upon a time there was a dog. " * 20] * 4), encoding="utf-8")
    found = stories.Stories(shared_path("models/stories260K"), text, text)
    contexts_CT = found.contexts(text)
    assert contexts_CT[0, 0] == 1
    assert contexts_CT.shape[1] == stories.CONTEXT
    model = AutoModelForCausalLM.from_pretrained(found.model).eval()
    with torch.no_grad():
        hidden_CTD = model(torch.from_numpy(contexts_CT), output_hidden_states=True).hidden_states[stories.LAYER + 1]
    counted_CT = (contexts_CT != 1) & (np.arange(stories.CONTEXT) > 0)
    assert (contexts_CT[:, 1:] == 1).any()
    expected_ND = hidden_CTD.numpy()[counted_CT]
    np.testing.assert_allclose(stories.activations(found.network(), contexts_CT), expected_ND, rtol=1e-4, atol=1e-4)


def test_a_letter_is_no_concept() -> None:
    birds = steering.Concept("birds", ("bird", "birds", "nest"))
    texts = ["A Bird, a bird and a ball.", "Blackbirds nested. The nest was big."]
    assert birds.counts(texts) == {"bird": 2, "nest": 1}
    assert birds.commonest(texts) == "bird"
    assert birds.share(texts) == pytest.approx(3 / 13)
    assert birds.share(texts, "bird") == pytest.approx(1 / 13)
    assert birds.commonest(["nothing"]) == ""
    found = re.findall(birds.before, "the old bird saw a nest of birdsong")
    assert found == ["old", "a"]


def test_absorption_is_a_mean_over_classes_beside_shuffled_words(tmp_path: Path) -> None:
    found = dict.fromkeys(absorption.FIGURES, 0.5)
    classes = [{"found": found | {"absorbed": part}, "shuffled": found | {"absorbed": 0.0}} for part in (0.1, 0.3)]
    evaluation = {"l0": 3.0, "explained_variance": 0.9, "absorption": classes}
    complete = {"share": 0.5, "share_set": None, "judged": 8}
    told = absorption.row("topk --k 3", 1024, evaluation, complete)
    assert (told[0], told[1], told[-2], told[-1]) == ("topk --k 3", "1 024", "20.0 % (0.0 %)", "50 %, – of 8")
    (tmp_path / "run.json").write_text('{"status": "failed", "message": "the loss has exploded"}')
    told = absorption.measured("relu", 4096, tmp_path)
    assert told[2] == "failed: the loss has exploded"
    assert len(told) == len(absorption.COLUMNS)


def test_what_a_clamp_costs_is_measured() -> None:
    shared_path(stories.PLACES["STORIES"])
    table = clamping.measure(clamping.Plan(1, 4, 3, 1, 512))
    assert [row[0].split(",")[0] for row in table.rows] == ["stories260K"] * 2 + ["GPT-2's size"] * 2
    assert all(float(row[-1]) > 0 for row in table.rows)
