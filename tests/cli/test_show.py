"""`monosem show`: pages and summaries against the dense truth the sample run was made from."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from monosem_tui.cli.main import run
from store.index.reader import FeatureColumns
from store.index.vocabulary import Vocabulary
from store.notes.note_file import Notes
from store.query.showcase import telling
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests import sample_run
from tests.cli.test_output import HARMFUL, HOSTILE, SGR
from tests.sample_run import CONCEPTS, VOCAB, Sample, build_sample

FEATURE_KEYS = [
    "feature", "label", "n_active", "density", "max", "mean", "histogram", "logits", "neighbours", "examples",
    "zeros", "quantiles", "log_histogram", "cofiring", "neurons", "drift", "twin",
    "kind", "token_share", "ngram_share", "position_share", "context_share", "explanations",
]  # fmt: skip
EXAMPLE_KEYS = ["interval", "tokens", "activations", "peak", "context", "position"]
INTERVALS = ["top", "75–100 %", "50–75 %", "25–50 %", "0–25 %"]
CONTEXT = 32


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["show", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["show", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize("feature", [0, 1, 5, 46])
def test_numbers_follow_from_the_activations(sample: Sample, feature: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), str(feature))
    act_N = sample.dense_NF[:, feature]
    firing = act_N[act_N > 0]
    assert list(found) == FEATURE_KEYS
    assert (found["feature"], found["label"]) == (feature, "")
    assert found["n_active"] == len(firing)
    assert found["density"] == pytest.approx(len(firing) / sample.counted_N.sum())
    assert found["max"] == firing.max()
    assert found["mean"] == pytest.approx(firing.mean(dtype=np.float64), rel=1e-5)
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    assert (edges[0], edges[-1], len(edges)) == (0.0, firing.max(), len(counts) + 1)
    assert counts == np.histogram(firing, edges)[0].tolist()


def test_examples_are_where_it_fires(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "0", "--top", "5")
    act_N = sample.dense_NF[:, 0]
    vocabulary = Vocabulary.from_tokens(VOCAB)
    by_interval: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for example in found["examples"]:
        assert list(example) == EXAMPLE_KEYS
        peak = example["context"] * CONTEXT + example["position"]
        start = peak - example["peak"]
        stop = start + len(example["tokens"])
        assert start // CONTEXT == (stop - 1) // CONTEXT == example["context"]
        assert example["tokens"] == vocabulary.strings(sample.token_N[start:stop])
        assert example["activations"] == act_N[start:stop].tolist()
        by_interval[example["interval"]].append(act_N[peak])
    strongest = np.sort(act_N.reshape(-1, CONTEXT).max(axis=1))[::-1][:5]
    assert by_interval["top"] == strongest.tolist()
    firing = act_N[act_N > 0]
    for i, name in enumerate(INTERVALS[1:]):
        low, high = np.quantile(firing, [0.75 - i / 4, 1 - i / 4])
        assert len(by_interval[name]) == 3
        assert all(low - 0.05 <= act <= high + 0.05 for act in by_interval[name])


def test_logits_and_neighbours(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "1")
    top, bottom = found["logits"]["top"], found["logits"]["bottom"]
    words = {f" {word}" for word in CONCEPTS[1]}
    assert words <= {entry["token"] for entry in top}
    assert all(set(entry) == {"token", "value"} for entry in top + bottom)
    assert [e["value"] for e in top] == sorted((e["value"] for e in top), reverse=True)
    assert [e["value"] for e in bottom] == sorted(e["value"] for e in bottom)
    assert top[-1]["value"] > bottom[-1]["value"]
    near = found["neighbours"]
    assert all(set(entry) == {"feature", "cosine"} and entry["feature"] != 1 for entry in near)
    assert [e["cosine"] for e in near] == sorted((e["cosine"] for e in near), reverse=True)


def test_figures_follow_from_the_activations(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "2")
    act_N, fires_NF = sample.dense_NF[:, 2], sample.dense_NF > 0
    falling, counted = np.sort(act_N[act_N > 0])[::-1], int(sample.counted_N.sum())
    n = len(falling)
    assert found["zeros"] == counted - n
    assert found["quantiles"]["values"] == [falling[round((1 - q) * (n - 1))] for q in found["quantiles"]["q"]]
    edges = found["log_histogram"]["edges"]
    assert (edges[0], edges[-1]) == (falling[-1], falling[0])
    assert sum(found["log_histogram"]["counts"]) == n
    together = found["cofiring"]
    assert (together["tokens"], together["sampled"], together["minimum"]) == (n, False, 5)
    for other in together["features"]:
        joint = int((fires_NF[:, 2] & fires_NF[:, other["feature"]]).sum())
        lift = joint * counted / (n * int(fires_NF[:, other["feature"]].sum()))
        assert joint >= 5
        assert (other["joint"], other["share"], other["label"]) == (joint, joint / n, "")
        assert (other["lift"], other["pmi"]) == (pytest.approx(lift), pytest.approx(np.log(lift)))
    places = np.flatnonzero(act_N)
    drift = found["drift"]
    assert drift["counts"] == np.histogram(places, np.array(drift["edges"]) - 0.5)[0].tolist()
    assert sum(drift["counted"]) == counted
    assert len(drift["density"]) == len(drift["edges"]) - 1 == 40
    assert [set(entry) for entry in found["neurons"]] == [{"layer", "neuron", "cosine"}] * 10
    assert {entry["layer"] for entry in found["neurons"]} == {2}
    logits = found["logits"]
    assert sum(logits["histogram"]["counts"]) == len(VOCAB)
    assert logits["histogram"]["edges"][0] == pytest.approx(logits["bottom"][0]["value"])
    assert logits["histogram"]["edges"][-1] == pytest.approx(logits["top"][0]["value"])


def test_examples_can_be_chosen(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    path, act_N = str(sample.run.path), sample.dense_NF[:, 0]
    found = _json(capsys, path, "0", "--intervals", "12", "--each", "2", "--before", "3", "--after", "0")["examples"]
    names = list(dict.fromkeys(example["interval"] for example in found))
    assert (names[0], names[1], names[-1], len(names)) == ("top", "92–100 %", "0–8 %", 13)
    assert all(len(example["tokens"]) == example["peak"] + 1 <= 4 for example in found)
    drawn = [
        _json(capsys, path, "0", "--intervals", "0", "--random", "7", "--seed", seed)["examples"][10:]
        for seed in ("3", "3", "4")
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    places = [example["context"] * CONTEXT + example["position"] for example in drawn[0]]
    assert len(set(places)) == 7
    assert (act_N[places] > 0).all()
    alone = _json(capsys, path, "0", "--one-per-document", "--random", "9")["examples"]
    for name in {example["interval"] for example in alone}:
        documents = [(e["context"] * CONTEXT + e["position"]) // 48 for e in alone if e["interval"] == name]
        assert len(set(documents)) == len(documents)
    out = _text(capsys, path, "0", "--one-per-document", "--random", "4", "--width", "80")
    assert "one a document" in out
    assert out.count("TOP") == 1
    assert "RANDOM" in out
    assert max(map(cell_len, out.splitlines())) <= 80


def test_the_figures_are_quiet_lines(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    for feature in ("0", "5", "46"):
        out = _text(capsys, str(sample.run.path), feature, "--width", "80")
        for said in ("in log bins", "along corpus", "quantiles", "LOGIT EFFECT", "NEURONS", "layer 2", "at zero"):
            assert said in out
        assert max(map(cell_len, out.splitlines())) <= 80
    dead = _text(capsys, str(sample.run.path), "47", "--width", "80")
    assert "quantiles" not in dead
    assert "NEURONS" in dead


def test_a_file_without_the_figures_says_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = ("logit_histogram_FB", "neuron_id_FT", "neuron_cosine_FT")
    columns = sample_run._columns
    monkeypatch.setattr(sample_run, "_columns", lambda *known: replace(columns(*known), **dict.fromkeys(later)))
    older = build_sample(tmp_path / "older", n_features=8, n_contexts=8)
    found = _json(capsys, str(older.run.path), "0")
    assert (found["neurons"], found["logits"]["histogram"]) == ([], None)
    out = _text(capsys, str(older.run.path), "0")
    assert "PROMOTES" in out
    for name in ("NEURONS", "LOGIT EFFECT", "None"):
        assert name not in out


def test_a_dead_feature(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    last = str(sample.dense_NF.shape[1] - 1)
    found = _json(capsys, str(sample.run.path), last)
    assert (found["n_active"], found["density"], found["max"], found["examples"]) == (0, 0.0, 0.0, [])
    assert sum(found["histogram"]["counts"]) == 0
    assert "Dead" in _text(capsys, str(sample.run.path), last)


def test_the_page_marks_peaks_when_it_is_plain(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    out = _text(capsys, str(sample.run.path), "0", "--top", "6", "--width", "90")
    act_N = sample.dense_NF[:, 0]
    assert f"max {act_N.max():.1f}" in out
    top = out.split("TOP")[1].split("PROMOTES")[0]
    strongest = np.sort(act_N.reshape(-1, CONTEXT).max(axis=1))[::-1][:6]
    assert re.findall(r"‹([\d.]+)›", top) == [f"{act:.1f}" for act in strongest]
    words = re.findall(r"(\w+)‹", top)
    assert set(words) <= set(CONCEPTS[0])
    for part in ("PROMOTES", "SUPPRESSES", "SIMILAR", *INTERVALS[1:]):
        assert part in out
    assert max(map(cell_len, out.splitlines())) <= 90
    assert "\x1b" not in out


def test_colour_carries_activation_on_a_terminal(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = _text(capsys, str(sample.run.path), "0", "--width", "90")
    assert "48;5;214m" in out
    assert "‹" not in out
    assert not HARMFUL.search(SGR.sub("", out))
    assert max(cell_len(line) for line in SGR.sub("", out).splitlines()) <= 90
    monkeypatch.setenv("NO_COLOR", "1")
    out = _text(capsys, str(sample.run.path), "0")
    assert "\x1b" not in out
    assert "‹" in out


def test_notes_are_shown(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(sample.run.path, tmp_path / "copy"))
    notes = Notes(copy / "notes.jsonl")
    notes.set(0, "label", "water, boats")
    notes.set(0, "bookmark", True)
    notes.set(0, "tags", ["place"])
    notes.set(0, "comment", "seen in stories")
    assert _json(capsys, str(copy), "0")["label"] == "water, boats"
    out = _text(capsys, str(copy), "0")
    for said in ("feature 0  water, boats", "★", "#place", "seen in stories"):
        assert said in out
    # A features.h5 in its run has the run's notes; carried elsewhere it has none.
    assert _json(capsys, str(copy / "features.h5"), "0")["label"] == "water, boats"
    alone = shutil.copy(copy / "features.h5", tmp_path / "home.h5")
    assert _json(capsys, str(alone), "0")["label"] == ""


def test_the_summary(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, str(sample.run.path), "--top", "4")
    dense = sample.dense_NF
    density = (dense > 0).sum(axis=0) / sample.counted_N.sum()
    shown = [entry["feature"] for entry in found["features"]]
    assert len(shown) == len(set(shown)) == len({entry["top_token"] for entry in found["features"]}) == 4
    assert [density[i] for i in shown] == sorted((density[i] for i in shown), reverse=True)
    for entry in found["features"]:
        act_N = dense[:, entry["feature"]]
        example = entry["example"]
        assert example["activations"][example["peak"]] == entry["max"] == act_N.max()
        assert entry["n_active"] == (act_N > 0).sum()
    assert (found["name"], found["status"], found["path"]) == ("stories", "done", str(sample.run.path))
    assert (found["alive"], found["dead"]) == ((density > 0).sum(), (density == 0).sum())
    assert found["index"]["tokens"] == len(sample.token_N)
    assert found["index"]["counted"] == sample.counted_N.sum()
    histogram = found["density_log10_histogram"]
    assert sum(histogram["counts"]) == found["alive"]
    assert found["spec"]["d_sae"] == dense.shape[1]
    assert found["results"]["explained_variance"] == 0.91


def test_telling_features_are_neither_common_nor_rare_nor_weak_nor_alike() -> None:
    #                 dead  everywhere  rare  weak  common  same token, stronger  rarest
    count = np.array([0, 900, 3, 400, 200, 100, 100, 50])
    top = np.array([0, 4, 4, 1, 5, 4, 6, 7], np.float32)
    token = np.array([-1, 1, 2, 3, 4, 5, 5, 6], np.int32)
    columns = FeatureColumns(count, count / 20_000, top, top / 2, token, np.ones(8, np.float32))
    assert telling(columns, 10).tolist() == [4, 6, 7]
    assert telling(columns, 2).tolist() == [4, 7]
    none = np.zeros(8, np.int64)
    assert len(telling(FeatureColumns(none, none / 1.0, top * 0, top * 0, token, top), 10)) == 0


def test_the_summary_for_people(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    out = _text(capsys, "stories", "--runs-dir", str(sample.run.path.parent), "--width", "80")
    for said in ("stories", "sample resid_post 2 · topk 48 k4", "explained variance 0.910", "47 of 48 features alive"):
        assert said in out
    assert f"{len(sample.token_N):,} tokens".replace(",", " ") in out
    rows = out.split("where it fires most\n")[1].splitlines()
    assert len(rows) == 10
    assert all(re.search(r"‹[\d.]+›", row) for row in rows)
    assert max(map(cell_len, out.splitlines())) <= 80


def test_a_run_without_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = RunFolder(tmp_path / "bare")
    bare.create(RunRecord(status="stopped", message="interrupted", spec=SaeSpec(model="gpt2", site="mlp_out", layer=3)))
    assert run(["show", str(bare.path)]) == 0
    captured = capsys.readouterr()
    assert "gpt2 mlp_out 3" in captured.out
    assert "interrupted" in captured.out
    assert f"monosem index {bare.path}" in captured.err
    assert _json(capsys, str(bare.path))["status"] == "stopped"
    assert run(["show", str(bare.path), "0"]) == 2
    assert "no feature index yet" in capsys.readouterr().err


def test_an_index_that_is_still_being_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = build_sample(tmp_path / "filling", n_features=8, n_contexts=6, segments=3, merged=False)
    (small.run.index / "seg-00002.h5").unlink()
    for arguments in (["show", str(small.run.path)], ["show", str(small.run.path), "0"]):
        assert run(arguments) == 0
        captured = capsys.readouterr()
        assert captured.err == "the index is unfinished: 4 of 6 contexts so far\n"
    found = _json(capsys, str(small.run.path), "0")
    assert found["n_active"] == (small.dense_NF[: 4 * CONTEXT, 0] > 0).sum()


@pytest.mark.parametrize("feature", ["48", "99999"])
def test_a_feature_that_is_not_there(sample: Sample, feature: str, capsys: pytest.CaptureFixture[str]) -> None:
    for mode in ([], ["--json"]):
        assert run(["show", str(sample.run.path), feature, *mode]) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"monosem: there is no feature {feature}",
            "  Features of this run are 0 to 47.",
        ]
    assert run(["show", str(sample.run.path), "--", "-1"]) == 2
    assert "there is no feature -1" in capsys.readouterr().err


def test_damage_is_a_sentence(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = sample.run.features.read_bytes()
    for name, broken in (("cut.h5", content[:-9]), ("empty.h5", b""), ("text.h5", b"hello\n" * 200)):
        (tmp_path / name).write_bytes(broken)
        assert run(["show", str(tmp_path / name), "0"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert 1 <= len(captured.err.splitlines()) <= 2
        assert name in captured.err


def test_hostile_tokens_labels_and_names_stay_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = HOSTILE.replace("/", "")
    monkeypatch.setattr("tests.sample_run.VOCAB", [*VOCAB[:7], *(token + evil.encode() for token in VOCAB[7:])])
    monkeypatch.setattr(
        "tests.sample_run.word_ids", lambda words: np.array([VOCAB.index(b" " + word.encode()) for word in words])
    )
    bad = build_sample(tmp_path / evil, n_features=8, n_contexts=8)
    bad.run.update(spec=SaeSpec(model=evil, site=evil, d_sae=8), message=evil)
    for field in ("label", "comment"):
        Notes(bad.run.notes).set(0, field, HOSTILE)
    Notes(bad.run.notes).set(0, "tags", [HOSTILE])
    for force in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", force)
        for arguments in ([], ["0"], ["2"], ["0", "--width", "40"]):
            out = SGR.sub("", _text(capsys, str(bad.run.path), *arguments))
            assert "evil" in out
            assert not HARMFUL.search(out)
    assert _json(capsys, str(bad.run.path), "0")["label"] == HOSTILE


def test_a_list_of_features(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(sample.run.path, tmp_path / "copy"))
    Notes(copy / "notes.jsonl").set(3, "label", "animals")
    dense = sample.dense_NF
    top, rate = dense.max(axis=0), (dense > 0).sum(axis=0) / sample.counted_N.sum()
    expected = sorted(np.flatnonzero((rate > 0.01) & (top > 3)).tolist(), key=lambda i: (-top[i], i))
    found = _json(capsys, str(copy), "--filter", "density>0.01 max>3", "--top", "5")
    assert [entry["feature"] for entry in found["features"]] == expected[:5]
    assert (found["passed"], found["filter"], found["d_sae"]) == (len(expected), "density>0.01 max>3", dense.shape[1])
    for entry in found["features"]:
        i = entry["feature"]
        assert (entry["max"], entry["n_active"]) == (top[i], (dense[:, i] > 0).sum())
        assert entry["match"] is None
    by_id = _json(capsys, str(copy), "--filter", "density>0.01 max>3", "--sort", "id", "--top", "100")
    assert [entry["feature"] for entry in by_id["features"]] == sorted(expected)
    silent = np.flatnonzero(top == 0).tolist()
    for key, values in (("density", rate), ("max", top)):
        for sign, direction in ((1, "-"), (-1, "")):
            listed = _json(capsys, str(copy), "--sort", direction + key, "--top", "99")["features"]
            fires = [i for i in np.lexsort((np.arange(len(rate)), sign * values)).tolist() if i not in silent]
            assert [entry["feature"] for entry in listed] == [*fires, *silent]
    nearest = _json(capsys, str(copy), "--filter", "like:3>-1", "--sort", "-match", "--top", "99")["features"]
    assert {entry["feature"] for entry in nearest[-len(silent) :]} == set(silent)
    assert _json(capsys, str(copy), "--filter", "label:ANIM")["features"][0]["label"] == "animals"
    dead = _json(capsys, str(copy), "--filter", "dead", "--top", "99")["features"]
    assert [entry["feature"] for entry in dead] == np.flatnonzero(top == 0).tolist()
    assert {entry["top_token"] for entry in dead} == {None}


def test_a_list_says_how_strongly_the_filter_holds(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    here = sample.token_N == VOCAB.index(b" said")
    dense = sample.dense_NF.astype(np.float64)
    share = dense[here].sum(axis=0) / np.maximum(dense.sum(axis=0), 1e-30)
    found = _json(capsys, str(sample.run.path), "--filter", 'token:" said"', "--top", "99")
    assert found["features"][0]["feature"] == 1  # it fires on nothing else
    for entry in found["features"]:
        assert entry["match"] == pytest.approx(share[entry["feature"]], rel=1e-9)
    strengths = [entry["match"] for entry in found["features"]]
    assert strengths == sorted(strengths, reverse=True)
    assert len(found["features"]) == (share > 0).sum()
    assert run(["show", str(sample.run.path), "--filter", "like:3", "--top", "2", "--width", "80"]) == 0
    captured = capsys.readouterr()
    head, first, _second = captured.out.splitlines()
    assert head.split()[:5] == ["id", "density", "max", "mean", "match"]
    assert (first.split()[0], "1.000" in first) == ("3", True)
    assert captured.err == f"2 of {dense.shape[1]} features that pass\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--filter", "max<<2"], "“<2” at character 5 of the filter: a number is expected after <"),
        (["--filter", "token:zebra"], "no token of the vocabulary is “zebra”"),
        (["--filter", "like:48"], "there is no feature 48"),
        (["--sort", "size"], "there is no sort key size"),
        (["--filter", "dead", "--sort", "match"], "this filter measures nothing to sort by"),
        (["3", "--sort", "max"], "--filter and --sort list features"),
    ],
)
def test_a_filter_that_cannot_be_read(
    arguments: list[str], said: str, sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", str(sample.run.path), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"monosem: {said}")
    assert len(captured.err.splitlines()) <= 2
