"""Autoencoders of a real model in Gemma Scope 2's layout, read rightly and wrongly: prints a table.

    python -m tests.bench.scope_layout FOLDER MODEL TEXT...

MODEL is Gemma 3 270M. Everything lies in FOLDER, and what is there is not made again: the texts mixed (mixed.jsonl, and
check.jsonl to check on), an autoencoder and a transcoder trained by `monosem train`, and their files: of the
autoencoder, of the transcoder, and of the transcoder with an affine connection that was fitted to what it leaves.
Each is imported as it is, then with one mistake after another; the table has the figures and the verdicts.

Shapes: N tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

import engine
from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.formats.foreign_sae import Foreign
from engine.formats.hook_names import site_of_hook
from engine.formats.registry import read
from engine.formats.self_check import ReadPlace, SelfCheck, captured, checked, chosen, places_to_try
from engine.formats.verdict import Trial
from engine.jobs.subject import Subject, open_subject
from engine.model.norms import gain_before
from engine.model.sites import resolve_site
from engine.runtime.progress import Silent
from engine.runtime.sizes import SAMPLE_ROWS
from store.files.errors import MonosemError
from store.run.weights import load_sae
from store.settings.train import MAX_NORM, TrainSettings
from tests.bench.page import Table

MONOSEM = Path(sys.executable).parent / "monosem"
LAYER, TOKENS, FITTED, CHECKED = 5, "300k", 40_000, 4096
PIECE, TO_CHECK = 6000, 12
"""Characters of a piece of text at most; and one piece in so many is kept to check on."""
RIDGE = 1e-3
"""Penalty of the affine connection, relative to the mean variance of what it reads."""
RUNS: Mapping[str, Sequence[str]] = {
    "sae": ("--site", "resid_post", "--d-sae", "2048", "--k", "48"),
    "transcoder": ("--site", "mlp_in", "--site-out", "mlp_out", "--d-sae", "2048", "--k", "96"),
}
POINTS = {"sae": (".output", ".output")} | dict.fromkeys(
    ("transcoder", "affine"), (".pre_feedforward_layernorm.output", ".post_feedforward_layernorm.output")
)
FOLDERS = {"transcoder": "transcoder", "affine": "transcoder", "sae": "resid_post"}


@dataclass(frozen=True)
class Misread:
    """A way to read a file wrongly."""

    flags: str
    """The flags of `monosem import` that read it so."""
    conventions: Mapping[str, Any] = field(default_factory=dict)
    site: str = ""
    """Another place than the file's."""
    layer: int = LAYER


MISTAKES: Mapping[str, Sequence[Misread]] = {
    "sae": (
        Misread("--subtract-b-dec", {"subtracts_b_dec": True}),
        Misread("--input-scale 0.01", {"input_scale": 0.01, "output_scale": 0.01}),
        Misread(f"--layer {LAYER + 2}", site="resid_post", layer=LAYER + 2),
        Misread("--site resid_mid", site="resid_mid"),
        Misread("--site mlp_out", site="mlp_out"),
    ),
    "transcoder": (
        Misread("--before-gain", {"before_gain": True}),
        Misread("--input-scale 0.1", {"input_scale": 0.1}),
        Misread("--site resid_mid", site="resid_mid"),
        Misread(f"--layer {LAYER + 2} --layer-out {LAYER + 2}", site="mlp_in", layer=LAYER + 2),
    ),
    "affine": (
        Misread("--skip-transposed", {"skip_transposed": True}),
        Misread("--before-gain", {"before_gain": True}),
        Misread("--site resid_mid", site="resid_mid"),
    ),
}
COLUMNS = ("file", "read", "explained variance, ordinary tokens", "of all", "L0", "the check")


def pieces_of(path: Path) -> Iterator[str]:
    """Yield a file's documents in pieces; of .jsonl the field `text`, else all strings of a line."""
    raw = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in raw.splitlines() if line.strip()]
        texts = [str(one["text"]) if "text" in one else "".join(map(str, one.values())) for one in lines]
    else:
        texts = [one.strip() for one in raw.split("<|endoftext|>")]
    for text in texts:
        for start in range(0, len(text), PIECE):
            if piece := text[start : start + PIECE].strip():
                yield piece


def mix(folder: Path, texts: Sequence[Path]) -> None:
    """Write mixed.jsonl and check.jsonl: all texts in pieces, in random order."""
    pieces = [piece for path in texts for piece in pieces_of(path)]
    random.Random(0).shuffle(pieces)
    for name, start in (("check", True), ("mixed", False)):
        chosen_pieces = [one for number, one in enumerate(pieces) if (number % TO_CHECK == 0) == start]
        lines = "".join(json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in chosen_pieces)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def train(folder: Path, model: Path, name: str) -> None:
    """Train one of RUNS."""
    data = ("--model", str(model), "--data", str(folder / "mixed.jsonl"), "--layer", str(LAYER))
    how = ("--arch", "batchtopk", "--tokens", TOKENS, "--no-index", "--out", str(folder / name))
    subprocess.run([MONOSEM, "train", *data, *RUNS[name], *how], check=True)


def tensors_of(run: Path) -> dict[str, NDArray[np.float32]]:
    """Return a run's tensors in Gemma Scope 2's conventions: b_dec is not subtracted, a threshold for each feature."""
    t = load_sae(run / "sae.h5").tensors
    centre_D = t.get("b_in", t["b_dec"]).astype(np.float64)
    b_enc = t["b_enc"] - centre_D @ t["W_enc"].astype(np.float64)
    same = {name.lower(): t[name] for name in ("W_enc", "W_dec", "b_dec")}
    threshold_F = np.broadcast_to(t["threshold"], t["b_enc"].shape).copy()
    return same | {"b_enc": b_enc.astype(np.float32), "threshold": threshold_F}


def with_affine(folder: Path, model: Path) -> dict[str, NDArray[np.float32]]:
    """Return the transcoder's tensors with a ridge regression, from what it reads, of what it does not explain."""
    ends = {"layer": LAYER, "site": "mlp_in", "layer_out": LAYER, "site_out": "mlp_out"}
    subject = open_subject(TrainSettings(model=str(model), data=str(folder / "mixed.jsonl"), **ends), Silent())
    place = ReadPlace(subject.site(), subject.target())
    contexts = subject.stream("all").look_ahead(FITTED)
    (rows,) = captured(subject.lm, [place], subject.stream("all").batches(8, contexts))
    rows_ND = chosen(rows)
    d_in, d_out = place.ends[0].d_in, place.ends[1].d_in
    ordinary = OrdinaryTokens.measured(rows_ND[:SAMPLE_ROWS], places_of(d_in, d_out), MAX_NORM)
    rows_ND = rows_ND[~ordinary.outliers(rows_ND)]
    x_ND, left_NO = rows_ND[:, :d_in], rows_ND[:, d_in:].clone()
    sae = engine.load(folder / "transcoder")
    for start in range(0, len(x_ND), 2048):
        left_NO[start : start + 2048] -= sae(x_ND[start : start + 2048])
    x_mean_D, left_mean_O = x_ND.mean(0), left_NO.mean(0)
    x_ND = (x_ND - x_mean_D).double()
    gram_DD = x_ND.T @ x_ND
    gram_DD += RIDGE * gram_DD.trace() / d_in * torch.eye(d_in)
    skip_DO = torch.linalg.solve(gram_DD, x_ND.T @ (left_NO - left_mean_O).double()).float()
    tensors = tensors_of(folder / "transcoder")
    b_dec = torch.from_numpy(tensors["b_dec"]) + left_mean_O - x_mean_D @ skip_DO
    return tensors | {"affine_skip_connection": skip_DO.numpy(), "b_dec": b_dec.numpy()}


def export(folder: Path, name: str, tensors: Mapping[str, NDArray[np.float32]]) -> Path:
    """Write config.json and params.safetensors; return their folder."""
    affine = "_affine" if name == "affine" else ""
    path = folder / "gemma-scope-2-270m-pt" / FOLDERS[name] / f"layer_{LAYER}_width_4k_l0_medium{affine}"
    path.mkdir(parents=True)
    state = {one: torch.from_numpy(np.ascontiguousarray(values)) for one, values in tensors.items()}
    save_file(state, path / "params.safetensors")
    ends = dict(zip(("hf_hook_point_in", "hf_hook_point_out"), POINTS[name], strict=True))
    config = {key: f"model.layers.{LAYER}{end}" for key, end in ends.items()}
    config |= {"architecture": "jump_relu", "model_name": "google/gemma-v3-270m-pt", "affine_connection": bool(affine)}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def told(subject: Subject, foreign: Foreign, misread: Misread) -> SelfCheck:
    """Return what an import with these flags says: the file's own places are known to it."""
    lm = subject.lm
    target = site_of_hook(lm, foreign.hook_out) if foreign.hook_out else None
    right = ReadPlace(site_of_hook(lm, foreign.hook), target, named=True)
    own = right
    if misread.site:
        moved = target and resolve_site(lm, target.name, misread.layer)
        own = ReadPlace(resolve_site(lm, misread.site, misread.layer), moved)
    gain = gain_before(lm, own.site.module) if own.site.name == "mlp_in" else None
    foreign = replace(foreign, gain=gain, conventions=replace(foreign.conventions, **misread.conventions))
    places = places_to_try(lm, own, CHECKED, [right] if own != right else [])
    batches = subject.stream("all").batches(8, subject.stream("all").skip_tokens(CHECKED))
    rows = captured(lm, places, batches)
    ordinary = OrdinaryTokens.measured(chosen(rows[0])[:SAMPLE_ROWS], places_of(foreign.d_in, foreign.d_out), MAX_NORM)
    return checked(foreign, places, rows, subject.corpus.spec, foreign.stated, ordinary)


def rows_of(subject: Subject, name: str, foreign: Foreign) -> Iterator[tuple[str, ...]]:
    """Yield a row for the right reading, for the reading and the place nearest to it, and for each mistake."""
    right = told(subject, foreign, Misread(""))
    others = [one for one in right.trials[1:] if one.flag]
    yield _row(name, "as it is", right.trials[0], f"{right.verdict}: {right.text}")
    by_kind = ([one for one in others if not one.place], [one for one in others if one.place])
    for kind, found in zip(("the best other reading", "the best other place"), by_kind, strict=True):
        best = max(found, key=lambda one: one.ordinary)
        yield _row(name, f"{kind}: {best.place or best.reading}", best, "")
    for misread in MISTAKES[name]:
        try:
            wrong = told(subject, foreign, misread)
        except MonosemError as error:
            yield (name, misread.flags, "", "", "", f"refused: {error.what.rpartition('/')[2]}")
            continue
        yield _row(name, misread.flags, wrong.trials[0], f"{wrong.verdict}: {wrong.text}")


def _row(name: str, read: str, trial: Trial, said: str) -> tuple[str, ...]:
    return (name, read, f"{trial.ordinary:.3f}", f"{trial.explained_variance:.3f}", f"{trial.l0:.1f}", said)


def main() -> None:
    """Make what is missing, and print the table."""
    folder, model, *texts = (Path(one) for one in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mixed.jsonl").is_file():
        mix(folder, texts)
    for name in RUNS:
        if not (folder / name / "sae.h5").is_file():
            train(folder, model, name)
    settings = TrainSettings(model=str(model), data=str(folder / "check.jsonl"), context=1024, device="cpu")
    subject = open_subject(settings, Silent())
    rows: list[tuple[str, ...]] = []
    for name in FOLDERS:
        affine = "_affine" if name == "affine" else ""
        source = folder / "gemma-scope-2-270m-pt" / FOLDERS[name] / f"layer_{LAYER}_width_4k_l0_medium{affine}"
        if not (source / "params.safetensors").is_file():
            export(folder, name, with_affine(folder, model) if affine else tensors_of(folder / name))
        for row in rows_of(subject, name, read(source)):
            sys.stderr.write(" | ".join(row) + "\n")
            rows.append(row)
    sys.stdout.write(Table(COLUMNS, rows).markdown() + "\n")


if __name__ == "__main__":
    main()
