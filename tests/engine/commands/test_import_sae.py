"""`monosem import` and `monosem export` on a tiny model: what a run holds, what is printed, all kinds of bad files."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import engine
from engine.formats.hub_files import located
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import load_sae
from tests.engine.formats.written import WRITERS, D, F, K, inputs, saelens, sparsify, write_json
from tests.engine.small import random_texts
from tests.engine.trained import model_folder, text_file

WIDE = 32
"""Width of the tiny model."""


@dataclass(frozen=True)
class Place:
    """Folders of a case."""

    folder: Path
    model: Path
    text: Path

    def imported(self, *arguments: str) -> int:
        """The exit code of `monosem import SOURCE`, on the tiny model and text."""
        fixed = ["--model", str(self.model), "--data", str(self.text), "--device", "cpu", "--tokens", "300"]
        return run(["import", str(self.folder / "it"), *fixed, "--runs-dir", str(self.folder / "runs"), *arguments])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A tiny model of 2 layers, some text, and nothing at `it` yet."""
    text = text_file(tmp_path / "text.txt", random_texts(60, longest=30))
    return Place(tmp_path, model_folder(tmp_path / "model"), text)


def wide(folder: Path, **config: object) -> None:
    """A sparsify autoencoder that fits the tiny model."""
    made = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True)
    rows_FD = torch.nn.functional.normalize(torch.randn(F, WIDE, generator=made), dim=1)
    tensors = {"encoder.weight": rows_FD.clone(), "encoder.bias": torch.zeros(F), "W_dec": rows_FD}
    save_file(tensors | {"b_dec": torch.zeros(WIDE)}, folder / "sae.safetensors")
    write_json(folder / "cfg.json", {"activation": "topk", "num_latents": F, "k": K, "d_in": WIDE} | config)


def test_a_run_like_ones_own(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide(place.folder / "it" / "layers.1")
    assert place.imported("--out", "mine", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["spec"]["site"], found["spec"]["layer"], found["hook"]) == ("resid_post", 1, "layers.1")
    assert found["check"]["tokens"] > 0 and found["check"]["ce_recovered_zero"] is not None
    folder = RunFolder(place.folder / "runs" / "mine")
    record = folder.record()
    assert record.status == "done"
    assert record.config["import"]["subtracts_b_dec"] is True
    assert record.config["import"]["bos"]
    assert record.results.l0 == pytest.approx(K, abs=0.01)
    assert record.provenance.model_digest
    assert (load_sae(folder.sae).spec.k, load_sae(folder.sae).spec.d_in) == (K, WIDE)
    assert run(["index", str(folder.path), "--tokens", "300", "--device", "cpu"]) == 0
    assert run(["eval", str(folder.path), "--device", "cpu"]) == 0
    assert "(all of it)" in capsys.readouterr().out
    assert run(["train", "--resume", "--out", str(folder.path), "--k", "4"]) == 2
    assert "was imported, not trained here" in capsys.readouterr().err


def test_a_dictionary_that_normalises_tokens(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenAI's TopK from the file to the text: imported, measured, indexed, shown, inspected, clamped, given on."""
    wide_openai(place.folder / "it")
    source = place.folder / "it" / "0.pt"
    fixed = ["--model", str(place.model), "--data", str(place.text), "--device", "cpu", "--tokens", "300"]
    where = ["--site", "resid_post", "--layer", "1", "--runs-dir", str(place.folder / "runs"), "--out", "mine"]
    assert run(["import", str(source), *fixed, *where]) == 0
    said = capsys.readouterr().out
    assert "tokens    each normalised by itself (layer_norm), what is decoded turned back" in said
    assert f"topk {F} k{K} layer_norm" in said
    mine = str(place.folder / "runs" / "mine")
    assert run(["eval", mine, "--device", "cpu", "--json"]) == 0
    assert 0.1 < json.loads(capsys.readouterr().out)["explained_variance"] < 1
    assert run(["index", mine, "--tokens", "300", "--device", "cpu"]) == 0
    assert run(["show", mine]) == 0
    assert "layer_norm" in capsys.readouterr().out
    assert run(["show", mine, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["token_norm"] == "layer_norm"
    assert run(["verify", mine]) == 0
    assert run(["inspect", mine, "--text", "w5 w9 w33 w12", "--ablate", "--device", "cpu"]) == 0
    assert run(["generate", mine, "--prompt", "w5 w9", "--clamp", "3=2", "--max-new", "4", "--device", "cpu"]) == 0
    sae = engine.load(mine)
    x_BD = torch.randn(5, WIDE)
    torch.testing.assert_close(sae(x_BD), sae.decode(sae.encode(x_BD), x_BD))
    with pytest.raises(MonosemError, match="cannot decode from features alone"):
        sae.decode(sae.encode(x_BD))
    capsys.readouterr()
    for library, code in (("sparsify", 2), ("dictionary-learning", 2), ("saelens", 0)):
        assert run(["export", mine, "--to", library, "--out", str(place.folder / library)]) == code
        assert ("does not normalise every token" in capsys.readouterr().err) == (code == 2)
    again = ["--model", str(place.model), "--no-check", "--out", str(place.folder / "runs" / "again")]
    assert run(["import", str(place.folder / "saelens"), *again]) == 0
    torch.testing.assert_close(engine.load(place.folder / "runs" / "again")(x_BD), sae(x_BD))
    again[-1] = str(place.folder / "runs" / "otherwise")
    assert run(["import", str(place.folder / "saelens"), *again, "--token-norm", "none"]) == 0
    assert load_sae(place.folder / "runs" / "otherwise" / "sae.h5").spec.token_norm == "none"


def wide_openai(folder: Path) -> None:
    """OpenAI's TopK (v5) for the tiny model."""
    made = torch.Generator().manual_seed(0)
    rows_FD = torch.nn.functional.normalize(torch.randn(F, WIDE, generator=made), dim=1)
    state = {"pre_bias": torch.zeros(WIDE), "encoder.weight": rows_FD, "latent_bias": torch.zeros(F)}
    topk = {"activation": "TopK", "activation_state_dict": {"k": K, "postact_fn": "ReLU"}}
    folder.mkdir(parents=True)
    torch.save(state | topk, folder / "0.pt")


def test_a_transcoder_that_skips(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide(place.folder / "it" / "layers.0.mlp", transcode=True)
    file = place.folder / "it" / "layers.0.mlp" / "sae.safetensors"
    W_skip = torch.randn(WIDE, WIDE, generator=torch.Generator().manual_seed(1))
    save_file(load_file(file) | {"W_skip": W_skip}, file)
    assert place.imported("--out", "mine") == 0
    assert "W_skip x is added" in capsys.readouterr().out
    mine = str(place.folder / "runs" / "mine")
    sae, x_BD = engine.load(mine), torch.randn(5, WIDE)
    acts = sae.encode(x_BD)
    rows = (acts.act_BK[..., None] * sae.W_dec[acts.feature_BK]).sum(1)
    torch.testing.assert_close(sae(x_BD), rows + sae.b_dec + x_BD @ W_skip.T)
    assert run(["index", mine, "--tokens", "300", "--device", "cpu"]) == 0
    assert run(["verify", mine]) == 0
    assert run(["eval", mine, "--device", "cpu"]) == 0
    assert run(["generate", mine, "--prompt", "w5 w9", "--clamp", "3=2", "--max-new", "4", "--device", "cpu"]) == 0
    assert run(["export", mine, "--to", "sparsify", "--out", str(place.folder / "out")]) == 0
    torch.testing.assert_close(load_file(place.folder / "out" / "sae.safetensors")["W_skip"], W_skip)


def test_engine_load_is_a_torch_module(place: Place) -> None:
    wide(place.folder / "it" / "layers.1")
    assert place.imported("--out", "mine", "--no-check") == 0
    sae = engine.load(place.folder / "runs" / "mine")
    x_BD = torch.randn(5, WIDE)
    assert isinstance(sae, torch.nn.Module)
    torch.testing.assert_close(sae(x_BD), sae.decode(sae.encode(x_BD)))
    with pytest.raises(MonosemError, match="no trained autoencoder"):
        engine.load(place.folder)


def test_a_folder_of_several_asks_which(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for hookpoint in ("layers.0", "layers.1", "layers.1.mlp"):
        wide(place.folder / "it" / hookpoint)
    assert place.imported("--no-check") == 2
    said = capsys.readouterr().err
    assert "3 autoencoders: layers.0, layers.1, layers.1.mlp" in said and "--part NAME, or --all" in said
    assert place.imported("--no-check", "--part", "layers.9") == 2
    assert "has no autoencoder called layers.9" in capsys.readouterr().err
    assert place.imported("--no-check", "--part", "layers.1.mlp", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spec"]["site"] == "mlp_out"
    assert place.imported("--no-check", "--all", "--out", "every", "--json") == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert names == ["every-layers.0", "every-layers.1", "every-layers.1.mlp"]


def test_a_transcoder_reads_one_site_and_explains_another(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide(place.folder / "it" / "layers.0.mlp", transcode=True)
    assert place.imported("--json") == 0
    spec = json.loads(capsys.readouterr().out)["spec"]
    assert (spec["site"], spec["site_out"], spec["layer_out"], spec["d_out"]) == ("mlp_in", "mlp_out", 0, WIDE)


class Thief:
    """A pickle that runs code."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return _leave_mark, (str(self.mark),)


def _leave_mark(path: str) -> None:
    Path(path).touch()


def _lens(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        saelens(folder)
        tensors = load_file(folder / "sae_weights.safetensors")
        change(tensors)
        save_file(tensors, folder / "sae_weights.safetensors")

    return write


def _nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["W_dec"][3, 4] = float("nan")


def _narrow(tensors: dict[str, torch.Tensor]) -> None:
    tensors["b_enc"] = tensors["b_enc"][:-1].clone()


def _lacking(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["b_enc"]


def _truncated(folder: Path) -> None:
    saelens(folder)
    file = folder / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _truncated_torch(folder: Path) -> None:
    WRITERS["dictionary_learning"](folder)
    file = folder / "ae.pt"
    file.write_bytes(file.read_bytes()[:2000])


def _truncated_npz(folder: Path) -> None:
    WRITERS["Gemma Scope"](folder)
    (file,) = folder.rglob("params.npz")
    file.write_bytes(file.read_bytes()[:2000])


def _thief_torch(folder: Path) -> None:
    folder.mkdir()
    torch.save({"encoder.weight": Thief(folder / "mark")}, folder / "ae.pt")


def _thief_pickle(folder: Path) -> None:
    folder.mkdir()
    (folder / "ae.pt").write_bytes(pickle.dumps(Thief(folder / "mark"), protocol=2))


def _thief_of_today(folder: Path) -> None:
    folder.mkdir()
    (folder / "ae.pt").write_bytes(pickle.dumps(Thief(folder / "mark"), protocol=4))


def _thief_npz(folder: Path) -> None:
    folder.mkdir()
    np.savez(folder / "params.npz", W_enc=np.array([Thief(folder / "mark")], object))


def _no_json(folder: Path) -> None:
    sparsify(folder)
    write_json(folder / "cfg.json", {"d_in": D})


def _cut_json(folder: Path) -> None:
    saelens(folder)
    (folder / "cfg.json").write_text((folder / "cfg.json").read_text()[:40])


def _empty(folder: Path) -> None:
    folder.mkdir()


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan": (_lens(_nan), "W_dec holds NaN or infinite numbers"),
    "shape": (_lens(_narrow), "b_enc is [39] where the encoder is [12, 40]"),
    "missing": (_lens(_lacking), "lacks b_enc"),
    "truncated safetensors": (_truncated, "sae_weights.safetensors is damaged or cannot be read"),
    "truncated torch": (_truncated_torch, "ae.pt is damaged"),
    "truncated npz": (_truncated_npz, "params.npz is damaged"),
    "code in torch.save": (_thief_torch, "monosem never runs code from a file"),
    "code in a pickle": (_thief_pickle, "monosem never runs code from a file"),
    "code in a pickle of protocol 4": (_thief_of_today, "monosem never runs code from a file"),
    "code in npz": (_thief_npz, "params.npz is damaged or holds more than arrays"),
    "configuration": (_no_json, "k is null, not a positive number"),
    "truncated configuration": (_cut_json, "cfg.json cannot be read"),
    "nothing there": (_empty, "has no format that monosem knows"),
    "no such folder": (lambda folder: None, "there is no"),
    "another model": (saelens, "reads vectors of 12 values, and resid_post 1 of"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_bad_file_is_one_clear_line(
    place: Place, case: str, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    write, said = CASES[case]
    write(place.folder / "it")
    assert place.imported("--out", "mine") == 2
    captured = capsys.readouterr()
    complaint = [line for line in captured.err.splitlines() if line.startswith("monosem: ")]
    assert captured.out == ""
    assert len(complaint) == 1 and said in complaint[0], captured.err
    assert [one for one in recwarn if "pickle" in str(one.message)] == []
    assert not (place.folder / "it" / "mark").exists()
    assert not (place.folder / "runs" / "mine").exists()


def test_a_run_is_not_written_over(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide(place.folder / "it" / "layers.1")
    assert place.imported("--out", "mine", "--no-check") == 0
    assert place.imported("--out", "mine", "--no-check") == 2
    assert "already holds an autoencoder" in capsys.readouterr().err


def test_figures_that_lie_beside(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """dictionary_learning's evaluation, then SAEBench's, which Neuronpedia shows; both count as stated."""
    wide(place.folder / "it" / "layers.1")
    metrics = {"reconstruction_quality": {"explained_variance": -3.0}, "sparsity": {"l0": 4.5}}
    for number, values in enumerate(({"frac_variance_explained": -3.0, "l0": 4.5}, {"eval_result_metrics": metrics})):
        write_json(place.folder / "it" / "layers.1" / "x_eval_results.json", dict(values))
        assert place.imported("--out", f"mine{number}", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["check"]["stated"]["explained_variance"], found["check"]["stated"]["l0"]) == (-3.0, 4.5)
        assert "figures to compare with are from x_eval_results.json" in found["notes"]
    assert place.imported("--out", "last") == 0
    assert "standardised" in capsys.readouterr().out


def wide_dictionary(folder: Path, kind: str, name: str = "ae.pt") -> None:
    """One of dictionary_learning's classes for the tiny model; with one threshold for all features where it has any."""
    made = torch.Generator().manual_seed(0)
    rows_FD = torch.nn.functional.normalize(torch.randn(F, WIDE, generator=made), dim=1)
    rows_FD = rows_FD * torch.linspace(0.5, 2, F)[:, None]
    chosen = {"k": torch.tensor(K), "threshold": torch.tensor(0.4)}
    state = {"encoder.weight": rows_FD, "encoder.bias": torch.zeros(F), "decoder.weight": rows_FD.T.contiguous()}
    if kind == "MatryoshkaBatchTopKSAE":
        state = {"W_enc": rows_FD.T.contiguous(), "b_enc": torch.zeros(F), "W_dec": rows_FD}
        chosen["group_sizes"] = torch.tensor([10, F - 10])
    folder.mkdir(parents=True)
    if kind == "AutoEncoder":
        torch.save(state | {"bias": torch.zeros(WIDE)}, folder / name)
        return
    torch.save(state | chosen | {"b_dec": torch.zeros(WIDE)}, folder / name)
    trainer = {"dict_class": kind, "lm_name": "tiny", "submodule_name": "resid_post_layer_1", "k": K}
    write_json(folder / "config.json", {"trainer": trainer})


@pytest.mark.parametrize("kind", ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_one_threshold_for_all_features(place: Place, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The check tries it by decoder norms, which makes a threshold for each feature; imported so, it opens."""
    wide_dictionary(place.folder / "it", kind)
    assert place.imported("--out", "plain", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    flags = {trial["flag"]: trial for trial in found["check"]["trials"]}
    assert flags["--by-norm selection"]["l0"] != flags[""]["l0"] > 0
    assert place.imported("--out", "normed", "--by-norm", "selection", "--no-check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spec"]["arch"] == "jumprelu"
    sae = engine.load(place.folder / "runs" / "normed")
    assert torch.isfinite(sae(torch.randn(5, WIDE))).all()
    assert run(["eval", str(place.folder / "runs" / "normed"), "--device", "cpu", "--json"]) == 0
    active = json.loads(capsys.readouterr().out)["l0"]
    assert active == pytest.approx(flags["--by-norm selection"]["l0"], rel=0.1)


def test_a_file_is_known_by_its_tensors_and_not_by_its_name(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide_dictionary(place.folder / "it", "AutoEncoder", "of_mine.pt")
    assert place.imported("--out", "mine", "--site", "resid_post", "--layer", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["format"] == "dictionary_learning AutoEncoder"
    torch.save({"weights": torch.zeros(3)}, place.folder / "it" / "of_mine.pt")
    assert place.imported("--out", "other") == 2
    said = capsys.readouterr().err
    assert "has no format that monosem knows: weights [3]" in said and "latent_bias" not in said


def test_a_source_that_says_no_place(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    wide(place.folder / "it")
    assert place.imported("--no-check") == 2
    assert "does not say which place it reads" in capsys.readouterr().err
    assert place.imported("--no-check", "--layer", "0", "--site", "attn_out") == 0


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MonosemError, match="is not in the hub cache, and the hub is switched off"):
        located("hf:nobody/has-this/layer_3", Silent())
    with pytest.raises(MonosemError, match="names no repository"):
        located("hf:nobody", Silent())


def test_the_hub_gives_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Requests to the hub and their local answers; the hub itself is not reachable."""
    saelens(tmp_path / "snapshot" / "blocks.8")
    asked: list[tuple[str, list[str]]] = []

    def fetch(repository: str, *, allow_patterns: list[str], **_: object) -> str:
        asked.append((repository, allow_patterns))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("engine.runtime.hub.snapshot_download", fetch)
    assert located("hf:owner/name/blocks.8", Silent()) == tmp_path / "snapshot" / "blocks.8"
    assert asked[0][0] == "owner/name"
    assert "blocks.8/*.safetensors" in asked[0][1]
    with pytest.raises(MonosemError, match="owner/name has no blocks"):
        located("hf:owner/name/blocks.9", Silent())


def test_features_as_a_table(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    wide(place.folder / "it" / "layers.1")
    assert place.imported("--out", "mine", "--no-check") == 0
    out, mine = place.folder / "out", str(place.folder / "runs" / "mine")
    assert run(["export", mine, "--to", "csv", "--out", str(out)]) == 2
    assert "has no feature index" in capsys.readouterr().err
    assert run(["index", mine, "--tokens", "300", "--device", "cpu"]) == 0
    assert run(["label", mine, "3", "=danger"]) == 0
    assert run(["export", mine, "--to", "csv", "--out", str(out)]) == 0
    with (out / "features.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == F
    assert rows[3]["label"] == "'=danger"
    assert run(["export", mine, "--to", "parquet", "--out", str(out)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert run(["export", mine, "--to", "parquet", "--out", str(out / "more"), "--json"]) == 0
    table = pq.read_table(out / "more" / "features.parquet").to_pylist()
    assert [row["n_active"] for row in table] == [int(row["n_active"]) for row in rows]
    assert table[3]["label"] == "=danger"
    assert max(len(row["promotes"]) for row in table) == 5


def test_an_export_computes_the_same_when_imported_again(place: Place) -> None:
    wide(place.folder / "it" / "layers.1")
    assert place.imported("--out", "mine", "--no-check") == 0
    first = engine.load(place.folder / "runs" / "mine")
    x_BD = torch.from_numpy(np.tile(inputs(), (1, 3))[:, :WIDE].astype(np.float32))
    for library in ("saelens", "sparsify", "dictionary-learning"):
        out = place.folder / library
        assert run(["export", str(place.folder / "runs" / "mine"), "--to", library, "--out", str(out)]) == 0
        place_again = ["--layer", "1", "--site", "resid_post"] if library == "sparsify" else []
        fixed = ["--model", str(place.model), "--no-check", "--out", str(place.folder / "runs" / library)]
        assert run(["import", str(out), *fixed, *place_again]) == 0
        torch.testing.assert_close(engine.load(place.folder / "runs" / library)(x_BD), first(x_BD))
