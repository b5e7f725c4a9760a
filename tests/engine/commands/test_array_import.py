"""`monosem import --activations`: no language model, several formats, traps that need none, and what works afterwards.

Shapes: N rows, D = d_in, O = d_out, F features.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.commands.import_sae import choose, import_sae
from engine.data.arrays import open_array
from engine.indexing import array_index
from engine.indexing.array_index import ArrayRows, build_array_index
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.settings.import_sae import ImportSettings
from store.verify.run_check import verify_run
from tests.engine.formats.fitted import F64, Fitted
from tests.engine.formats.written import WRITERS, write_json

N, D, F = 1500, 24, 400
Write = Callable[[Path, Fitted], None]


def activations() -> F64:
    """Rows around 2, of sparse combinations of 60 directions."""
    rng = np.random.default_rng(4)
    directions = rng.standard_normal((60, D)) / D**0.5
    sparse = np.where(rng.random((N, 60)) < 0.1, rng.uniform(1, 3, (N, 60)), 0)
    return (sparse @ directions + 0.05 * rng.standard_normal((N, D)) + 2).astype(np.float32).astype(np.float64)


def saelens(folder: Path, made: Fitted, **config: Any) -> None:
    """SAELens' standard autoencoder, which reads x unchanged."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("W_enc", "b_enc", "W_dec", "b_dec")
    save_file({name: made.tensor(name).contiguous() for name in names}, folder / "sae_weights.safetensors")
    metadata = {"sae_lens_version": "6.54.12", "model_name": "gpt2-small", "hook_name": "blocks.1.hook_resid_post"}
    sizes = {"architecture": "standard", "d_in": D, "d_sae": F, "apply_b_dec_to_input": False}
    write_json(folder / "cfg.json", sizes | {"normalize_activations": "none", "metadata": metadata} | config)


def openai(folder: Path, made: Fitted) -> None:
    """OpenAI's .pt, which subtracts pre_bias."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "pre_bias": made.tensor("b_dec"),
        "encoder.weight": made.tensor("W_enc").T.contiguous(),
        "latent_bias": torch.from_numpy((made.b_enc + made.b_dec @ made.W_enc).astype(np.float32)),
        "decoder.weight": made.tensor("W_dec").T.contiguous(),
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
        "activation": "ReLU",
        "activation_state_dict": {},
    }
    torch.save(state, folder / "0.pt")


def gemma_scope(folder: Path, made: Fitted) -> None:
    """Gemma Scope's params.npz."""
    place = folder / "gemma-scope-2b-pt-res" / "layer_1" / "width_16k" / "average_l0_70"
    place.mkdir(parents=True)
    names = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")
    np.savez(place / "params.npz", **{name: made.tensor(name).numpy() for name in names})


FORMATS: dict[str, tuple[Write, str]] = {
    "SAELens": (saelens, "relu"),
    "OpenAI": (openai, "relu"),
    "Gemma Scope": (gemma_scope, "jumprelu"),
}


def fitted(act: Any = "relu") -> tuple[F64, Fitted]:
    """Rows, and an autoencoder that explains them."""
    x_ND = activations()
    made = Fitted.to(x_ND, x_ND, act)
    assert made.explained_variance > 0.9
    return x_ND, made


def imported(tmp_path: Path, x_ND: F64, *arguments: str) -> int:
    """The exit code of importing what lies at `it` on an array."""
    np.save(tmp_path / "x.npy", x_ND.astype(np.float32))
    given = ["import", str(tmp_path / "it"), "--activations", str(tmp_path / "x.npy"), "--out", str(tmp_path / "run")]
    return run([*given, "--device", "cpu", *arguments])


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_read_rightly_and_browsed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, act = FORMATS[name]
    x_ND, made = fitted(act)
    write(tmp_path / "it", made)
    stated = ["--explained-variance", f"{made.explained_variance:.3f}", "--l0", f"{made.l0:.1f}"]
    assert imported(tmp_path, x_ND, "--json", "--tokens", str(N), *(stated if act == "relu" else [])) == 0
    check = json.loads(capsys.readouterr().out)["check"]
    assert check["verdict"] == ("agrees" if act == "relu" else "plausible"), check["text"]
    own = check["trials"][0]
    assert own["explained_variance"] == pytest.approx(made.explained_variance, abs=1e-4)
    assert own["l0"] == pytest.approx(made.l0, rel=1e-4)
    folder = RunFolder(tmp_path / "run")
    assert run(["index", str(folder.path), "--device", "cpu"]) == 0
    acts_NF = made.acts(x_ND)
    with FeatureStore.open(folder.path) as store:
        assert (store.n_tokens, store.vocabulary.token(7)) == (N, b"#7")
        np.testing.assert_allclose(store.columns.count_F, (acts_NF > 0).sum(0), atol=1)
        np.testing.assert_allclose(store.columns.max_F, acts_NF.max(0), rtol=2e-3, atol=1e-6)
        for feature in (0, 5):
            strongest = int(acts_NF[:, feature].argmax())
            assert store.vocabulary.token(int(store.columns.top_token_F[feature])) == b"#%d" % strongest
    assert all(finding.ok for finding in verify_run(folder))


def test_what_needs_a_model_says_so_and_the_rest_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x_ND, made = fitted()
    saelens(tmp_path / "it", made)
    assert imported(tmp_path, x_ND) == 0
    name = str(tmp_path / "run")
    assert run(["show", name]) == 0
    assert f"monosem index {name}" in capsys.readouterr().err
    assert run(["index", name, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] > 0
    assert run(["index", name, "--device", "cpu"]) == 0
    capsys.readouterr()
    before = json.loads((tmp_path / "run" / "run.json").read_text())["evaluation"]
    assert run(["eval", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["ce_clean"], found["tokens"]) == ("all", None, N)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["evaluation"] == before
    strongest = int(made.acts(x_ND)[:, 3].argmax())
    assert run(["show", name, "3"]) == 0
    page = capsys.readouterr().out
    assert f"#{strongest}" in page
    assert "unknown: that needs a language model" in page
    assert run(["find", name, f"^#{strongest}$", "--tokens", "--json"]) == 0
    assert 3 in [one["feature"] for one in json.loads(capsys.readouterr().out)["results"]]
    for form in ("csv", "html"):
        assert run(["export", name, "--to", form, "--out", str(tmp_path / form)]) == 0
    assert run(["export", name, "--to", "saelens", "--out", str(tmp_path / "back")]) == 0
    capsys.readouterr()
    for command in (["inspect", name, "--text", "a"], ["generate", name, "--prompt", "a"]):
        assert run(command) == 2
        assert "there is no language model to run" in capsys.readouterr().err


def scale_of(x_ND: F64) -> float:
    return float(D**0.5 / np.linalg.norm(x_ND, axis=1).mean())


def scaled(folder: Path, x_ND: F64) -> None:
    """Fitted to x · s, and its file does not say so."""
    made = Fitted.to(x_ND * 9 * scale_of(x_ND), x_ND * 9 * scale_of(x_ND), "relu")
    saelens(folder, made)


def subtracting(folder: Path, x_ND: F64) -> None:
    """A file that says that b_dec is subtracted, which it was not in training."""
    saelens(folder, Fitted.to(x_ND, x_ND, "relu"), apply_b_dec_to_input=True)


def linear(folder: Path, x_ND: F64) -> None:
    """The principal components, both signs in one latent."""
    mean_D = x_ND.mean(0)
    _, _, axes_DD = np.linalg.svd(x_ND - mean_D, full_matrices=False)
    zero = np.zeros(D)
    made = Fitted("relu", axes_DD.T, -mean_D @ axes_DD.T, axes_DD, mean_D, zero, np.zeros((D, D)), 1.0, D)
    saelens(folder, made, d_sae=D)


def turned(folder: Path, x_ND: F64) -> None:
    """Of another model, as far as anybody can tell."""
    saelens(folder, Fitted.to(x_ND[:, ::-1] ** 3, x_ND[:, ::-1] ** 3, "relu"))


TRAPS: dict[str, tuple[Callable[[Path, F64], None], str, str]] = {
    "b_dec": (subtracting, "differs", "likely b_dec subtracted twice (--no-subtract-b-dec)"),
    "linear": (linear, "differs", "it is linear: without the nonlinearity explained variance is 1.000"),
    "other": (turned, "doubtful", "another model?"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps_that_need_no_model_are_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, verdict, said = TRAPS[name]
    x_ND = activations()
    write(tmp_path / "it", x_ND)
    assert imported(tmp_path, x_ND, "--json") == 0
    check = json.loads(capsys.readouterr().out)["check"]
    assert (check["verdict"], said in check["text"]) == (verdict, True), check["text"]


def test_an_input_scale_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x_ND = activations() * 40
    s = scale_of(x_ND)
    saelens(tmp_path / "it", Fitted.to(x_ND * s, x_ND * s, "jumprelu"), architecture="jumprelu")
    made = Fitted.to(x_ND * s, x_ND * s, "jumprelu")
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    save_file({one: made.tensor(one) for one in names}, tmp_path / "it" / "sae_weights.safetensors")
    assert imported(tmp_path, x_ND, "--json") == 0
    check = json.loads(capsys.readouterr().out)["check"]
    assert check["verdict"] == "differs"
    assert "likely input scale not folded" in check["text"]
    (tmp_path / "again").mkdir()
    flag = next(one["flag"] for one in check["trials"] if "input scale" in one["reading"])
    np.save(tmp_path / "x.npy", x_ND.astype(np.float32))
    asked = ImportSettings(activations=str(tmp_path / "x.npy"), input_scale=float(flag.split()[1]), device="cpu")
    right = import_sae(RunFolder(tmp_path / "other"), tmp_path / "it", asked, Silent())
    assert right.check is not None and right.check.verdict == "plausible"


def test_a_transcoder_needs_its_target_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x_ND = activations()
    y_NO = np.tanh(x_ND @ np.random.default_rng(1).standard_normal((D, 7)) / 5)
    made = Fitted.to(x_ND, y_NO, "relu")
    names = ("W_enc", "b_enc", "W_dec", "b_dec")
    (tmp_path / "it").mkdir()
    save_file({one: made.tensor(one) for one in names}, tmp_path / "it" / "sae_weights.safetensors")
    metadata = {"model_name": "gpt2-small", "hook_name": "blocks.1.ln2.hook_normalized", "hook_name_out": "blocks.1.x"}
    sizes = {"architecture": "transcoder", "d_in": D, "d_out": 7, "d_sae": F, "apply_b_dec_to_input": False}
    write_json(tmp_path / "it" / "cfg.json", sizes | {"normalize_activations": "none", "metadata": metadata})
    assert imported(tmp_path, x_ND) == 2
    assert "reads 24 values and explains 7 beside them" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert imported(tmp_path, np.concatenate([x_ND, y_NO], 1), "--tokens", str(N), "--json") == 0
    own = json.loads(capsys.readouterr().out)["check"]["trials"][0]
    assert own["explained_variance"] == pytest.approx(made.explained_variance, abs=1e-3)
    assert run(["index", str(tmp_path / "run"), "--device", "cpu"]) == 0
    with FeatureStore.open(tmp_path / "run") as store:
        np.testing.assert_allclose(store.columns.count_F, (made.acts(x_ND) > 0).sum(0), atol=1)


BAD: dict[str, tuple[Callable[[F64], np.ndarray[Any, Any]], list[str], str]] = {
    "width": (lambda x: x[:, :23], [], "reads 24 values, but the rows of"),
    "transposed": (lambda x: x.T, [], "It may be transposed."),
    "dtype": (lambda x: x.astype(np.int32), [], "int32"),
    "NaN": (lambda x: np.where(np.arange(len(x))[:, None] == 700, np.nan, x), [], "row 700"),
    "shape": (lambda x: x[0], [], "[24]"),
    "model": (lambda x: x, ["--model", "gpt2"], "--model"),
    "text": (lambda x: x, ["--data", "stdlib"], "--data"),
    "place": (lambda x: x, ["--layer", "1"], "--layer"),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_do_not_fit(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, arguments, said = BAD[name]
    x_ND, made = fitted()
    saelens(tmp_path / "it", made)
    np.save(tmp_path / "x.npy", change(x_ND))
    given = ["import", str(tmp_path / "it"), "--activations", str(tmp_path / "x.npy"), "--out", str(tmp_path / "run")]
    assert run([*given, *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_a_folder_is_no_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saelens(tmp_path / "it", fitted()[1])
    assert run(["import", str(tmp_path / "it"), "--activations", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "is not an array file" in capsys.readouterr().err


def test_random_weights_of_every_format_are_computed_alike(tmp_path: Path) -> None:
    """What the index holds is what the format's own formula gives, for formats of all kinds."""
    for number, (name, write) in enumerate(WRITERS.items()):
        truth = write(tmp_path / f"it{number}")
        np.save(tmp_path / f"x{number}.npy", truth.x_ND.astype(np.float32))
        folder = RunFolder(tmp_path / f"run{number}")
        asked = ImportSettings(activations=str(tmp_path / f"x{number}.npy"), check=False, device="cpu")
        (one,) = choose(tmp_path / f"it{number}", None, everything=False)
        import_sae(folder, one, asked, Silent())
        assert run(["index", str(folder.path), "--device", "cpu"]) == 0
        with FeatureStore.open(folder.path) as store:
            np.testing.assert_allclose(store.columns.max_F, truth.acts_NF.max(0), rtol=2e-3, atol=1e-5, err_msg=name)


def test_an_index_is_the_same_however_it_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x_ND, made = fitted()
    saelens(tmp_path / "it", made)
    np.save(tmp_path / "x.npy", x_ND.astype(np.float32))
    asked = ImportSettings(activations=str(tmp_path / "x.npy"), check=False, device="cpu")
    array, cpu = open_array(str(tmp_path / "x.npy")), torch.device("cpu")
    folders = [RunFolder(tmp_path / name) for name in ("whole", "cut")]
    for folder in folders:
        import_sae(folder, tmp_path / "it", asked, Silent())
    rows = ArrayRows.of(array, "digest", 900, seed=3)
    assert 900 <= len(rows.row_N) < 1000
    assert (np.diff(rows.row_N) > 0).all()
    build_array_index(folders[0], rows, cpu, Silent())

    def stopping(*arguments: Any) -> Any:
        for number, one in enumerate(encoded(*arguments)):
            if number == 1:
                raise KeyboardInterrupt
            yield one

    encoded = array_index._encoded
    monkeypatch.setattr(array_index, "TOGETHER", 5)
    monkeypatch.setattr(array_index, "_encoded", stopping)
    with pytest.raises(KeyboardInterrupt):
        build_array_index(folders[1], rows, cpu, Silent())
    assert list(folders[1].index.glob("seg-*.h5"))
    monkeypatch.setattr(array_index, "_encoded", encoded)
    with pytest.raises(MonosemError, match="unfinished index made with another"):
        build_array_index(folders[1], ArrayRows.of(array, "digest", 900, seed=4), cpu, Silent())
    build_array_index(folders[1], rows, cpu, Silent())
    assert folders[0].features.read_bytes() == folders[1].features.read_bytes()
