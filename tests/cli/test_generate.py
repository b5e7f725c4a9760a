"""`monosem generate` and `monosem inspect` as they are called: what is printed, replayed and refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.live.live_model import open_live
from engine.model.hooks import capture
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run as monosem
from store.index.reader import FeatureStore
from store.notes.note_file import Notes
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings
from tests.cli.live_runs import live_run
from tests.engine.live.test_generation import generated
from tests.engine.small import BOS, words

PROMPT = words([5, 9, 33, 12])
CLAMP = ("--clamp", "3=max*40@response", "--clamp", "7=off")
DRAWN = ("--temperature", "1.2", "--top-k", "20", "--top-p", "0.95", "--seed", "40")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return live_run(tmp_path_factory.mktemp("live") / "run")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert monosem(arguments) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def generate(capsys: pytest.CaptureFixture[str], run: RunFolder, *arguments: str) -> dict[str, Any]:
    found = call(capsys, "generate", str(run.path), "--prompt", PROMPT, "--max-new", "12", "--json", *arguments)
    values: dict[str, Any] = json.loads(found)
    return values


def test_the_keys_that_programs_rely_on(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = generate(capsys, run, *CLAMP, *DRAWN)
    assert (found["prompt"], found["seed"], found["clamps"]) == (PROMPT, 40, ["3=max*40@response", "7=off"])
    for side in ("base", "clamped"):
        text = found[side]
        assert len(text["tokens"]) == len(text["logprobs"]) == len(text["ids"]) == 12
        assert text["text"] == "".join(text["tokens"])
        assert all(value <= 0 for value in text["logprobs"])
        assert found["tok_s"][side] > 0
    assert found["base"]["tokens"] != found["clamped"]["tokens"]
    assert len(found["kl"]) == 12
    assert found["kl_mean"] == pytest.approx(np.mean(found["kl"]))
    assert found["perplexity"]["base"] == pytest.approx(np.exp(-np.mean(found["base"]["logprobs"])))
    assert found["perplexity"]["clamped"] == pytest.approx(np.exp(-np.mean(found["own_logprobs"])))
    with FeatureStore.open(run.path) as store:
        maximum = float(store.columns.max_F[3])
    (first, second) = found["activations"]
    assert (first["feature"], second["feature"]) == (3, 7)
    assert first["clamped"][0] == first["natural"][0]  # drawn from the prompt's last token
    counted = np.array(found["clamped"]["ids"][:-1]) != BOS
    np.testing.assert_allclose(np.array(first["clamped"][1:])[counted], 40 * maximum, rtol=1e-6)
    assert second["clamped"][0] == 0


def test_without_clamps_it_is_transformers_own_text(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.live.from_recipe import prompt_of
    from store.live.recipe import Recipe
    from store.live.sampling import Sampling

    live = open_live(run, ReopenSettings(), Silent())
    for flags, recipe in (
        ((), Recipe(prompt=PROMPT)),
        (DRAWN, Recipe(prompt=PROMPT, sampling=Sampling(temperature=1.2, top_k=20, top_p=0.95, seed=40))),
    ):
        found = generate(capsys, run, *flags)
        assert found["base"]["ids"] == generated(live, prompt_of(live, recipe), recipe.sampling, 12)
        assert found["clamped"] == found["base"]
        assert found["kl"] == [0.0] * 12


def test_samples_have_one_seed_after_another(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = generate(capsys, run, *CLAMP, *DRAWN, "--samples", "3")
    assert [sample["seed"] for sample in found["samples"]] == [40, 41, 42]
    assert found["samples"][0]["clamped"] == found["clamped"]
    alone = generate(capsys, run, *CLAMP, *DRAWN[:-1], "42")
    assert found["samples"][2]["clamped"] == alone["clamped"]
    assert len({tuple(sample["base"]["ids"]) for sample in found["samples"]}) == 3


def test_a_recipe_is_replayed_exactly(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "recipe.json"
    first = generate(capsys, run, *CLAMP, *DRAWN, "--save", str(saved))
    again = json.loads(call(capsys, "generate", str(run.path), "--recipe", str(saved), "--json"))
    for name in ("prompt", "seed", "clamps", "base", "clamped", "kl"):
        assert again[name] == first[name]
    other = json.loads(call(capsys, "generate", str(run.path), "--recipe", str(saved), "--seed", "9", "--json"))
    assert (other["seed"], other["clamps"]) == (9, first["clamps"])
    assert other["base"]["ids"] != first["base"]["ids"]
    changed = json.loads(saved.read_text()) | {"dictionary": "0" * 64}
    saved.write_text(json.dumps(changed))
    assert monosem(["generate", str(run.path), "--recipe", str(saved), "--json"]) == 0
    assert "another dictionary" in capsys.readouterr().err


def test_a_sweep(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = generate(capsys, run, "--sweep", "3=0,max*20@response", *DRAWN)
    assert [one["clamp"] for one in found["sweep"]] == ["3=0@response", "3=max*20@response"]
    for one in found["sweep"]:
        alone = generate(capsys, run, "--clamp", one["clamp"], *DRAWN)
        assert one["ids"] == alone["clamped"]["ids"]
        assert one["kl_mean"] == pytest.approx(alone["kl_mean"], abs=1e-4)
        assert one["perplexity"] == pytest.approx(alone["perplexity"]["clamped"], rel=1e-3)
        assert found["base"]["ids"] == alone["base"]["ids"]
    shown = call(capsys, "generate", str(run.path), "--prompt", PROMPT, "--sweep", "3=0,1", "--max-new", "5")
    assert "set to 0  KL" in shown
    assert "set to 1  KL" in shown


def test_what_people_see(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    Notes(run.notes).set(3, "label", "boats\x1b[31m")
    found = generate(capsys, run, *CLAMP)
    out = call(capsys, "generate", str(run.path), "--prompt", PROMPT, "--max-new", "12", *CLAMP)
    assert "\x1b" not in out
    assert "boats⟨0x1B⟩[31m  set to max × 40 on response" in out
    base, clamped = out.split("base\n")[1].split("\n\nclamped\n")
    assert base == PROMPT + found["base"]["text"]
    assert clamped.startswith(PROMPT + found["clamped"]["text"] + "\n")
    assert "nats a token" in clamped
    alone = call(capsys, "generate", str(run.path), "--prompt", PROMPT, "--max-new", "12")
    assert alone.startswith(PROMPT + found["base"]["text"] + "\n")
    assert "KL" not in alone


def test_a_prompt_may_be_piped_in(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((PROMPT + "\n").encode())))
    found = json.loads(call(capsys, "generate", str(run.path), "--max-new", "3", "--json"))
    assert found["prompt"] == PROMPT
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9")))
    assert monosem(["inspect", str(run.path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--clamp", "3=x"), "'x' is not a strength (character 3)"),
        (("--clamp", "40=1"), "there is no feature 40"),
        (("--clamp", "3=1@user"), "Add --chat"),
        (("--chat",), "has no chat template"),
        (("--system", "x"), "Add --chat"),
        (("--samples", "2"), "at temperature 0 every sample is the same"),
        (("--sweep", "3=1"), "not a row of strengths"),
        (("--sweep", "3=1,2", "--samples", "2"), "one text for each strength"),
        (("--top-p", "1.5"), "top-p"),
        (("--prompt", words([1] * 64)), "the prompt has 65 tokens"),
        (("--recipe", "nowhere.json"), "nowhere.json"),
        (("--max-new", "0"), "count"),
    ],
)
def test_wrong_use_is_a_sentence(
    run: RunFolder, arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = () if "--prompt" in arguments else ("--prompt", PROMPT)
    assert monosem(["generate", str(run.path), *prompt, *arguments]) == 2
    captured = capsys.readouterr()
    assert why in captured.err
    assert len(captured.err.splitlines()) <= 2
    assert captured.out == ""


def test_multiples_of_the_maximum_need_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = live_run(tmp_path / "run", indexed=False)
    assert monosem(["generate", str(bare.path), "--prompt", PROMPT, "--clamp", "3=max*2"]) == 2
    assert "no feature index" in capsys.readouterr().err
    assert generate(capsys, bare, "--clamp", "3=2")["clamps"] == ["3=2"]


def test_the_corpus_is_not_needed_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lonely = live_run(tmp_path / "run", indexed=False)
    (tmp_path / "texts.txt").unlink()
    assert generate(capsys, lonely)["base"]["ids"]


def test_inspect(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(call(capsys, "inspect", str(run.path), "--text", PROMPT, "--top", "3", "--json"))
    live = open_live(run, ReopenSettings(), Silent())
    ids = torch.tensor([found["ids"]])
    assert found["ids"] == [BOS, *live.encoding.encode([PROMPT])[0]]
    assert found["tokens"][1:] == [f" {word}" for word in PROMPT.split()]
    assert found["counted"] == [False, *[True] * 4]
    assert found["features"][0] == []
    acts = live.sae.encode(capture(live.lm, live.source, ids)[0])
    for place in range(1, 5):
        order = acts.act_BK[place].argsort(descending=True)[:3]
        wanted = [(int(acts.feature_BK[place, i]), float(acts.act_BK[place, i])) for i in order]
        shown = [(one["feature"], one["activation"]) for one in found["features"][place]]
        assert shown == [pytest.approx(pair) for pair in wanted if pair[1] > 0]
        assert found["active"][place] == int((acts.act_BK[place] > 0).sum())
    ablated = json.loads(call(capsys, "inspect", str(run.path), "--text", PROMPT, "--ablate", "--json"))
    assert all("loss_change" in one for firings in ablated["features"][1:-1] for one in firings)
    assert len(ablated["next_loss"]) == 5
    text = call(capsys, "inspect", str(run.path), "--text", PROMPT, "--ablate")
    assert len(text.splitlines()) >= 5
    assert "left out" in text.splitlines()[0]
    assert "\x1b" not in text


def test_inspect_a_document_of_the_corpus(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    texts = (run.path.parent / "texts.txt").read_text().split("<|endoftext|>")
    found = json.loads(call(capsys, "inspect", str(run.path), "--document", "2", "--json"))
    given = json.loads(call(capsys, "inspect", str(run.path), "--text", texts[2], "--json"))
    assert found == given
    assert monosem(["inspect", str(run.path), "--document", "9999"]) == 2
    assert "no document 9999" in capsys.readouterr().err
    assert monosem(["inspect", str(run.path), "--document", "1", "--text", "x"]) == 2
    assert monosem(["inspect", str(run.path), "--text", ""]) == 2
    assert "no text to inspect" in capsys.readouterr().err


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} w9{% if m.role == 'user' %} w8 {% else %} w7 {% endif %}"
    "{{ m.content | trim }} w4{% endfor %}{% if add_generation_prompt %} w9 w6{% endif %}"
)


def test_a_chat_is_written_by_the_template_in_the_models_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = live_run(tmp_path / "run")
    (tmp_path / "model" / "chat_template.jinja").write_text(TEMPLATE)
    as_chat = ("--chat", "--system", words([20, 21]))
    written_out = f"w9 w7 {words([20, 21])} w4 w9 w8 {PROMPT} w4 w9 w6"
    chat = generate(capsys, run, *DRAWN, *as_chat)
    plain = json.loads(
        call(capsys, "generate", str(run.path), "--prompt", written_out, "--max-new", "12", "--json", *DRAWN)
    )
    assert chat["base"]["ids"] == plain["base"]["ids"]
    # BOS, w9 w7, then the system's two words; w4 w9 w8, then the user's four: the same positions by number.
    for role, places in (("system", "3:5"), ("user", "8:12"), ("assistant", "15:")):
        by_role, by_place = (
            generate(capsys, run, *DRAWN, *as_chat, "--clamp", f"3=max*40@{where}") for where in (role, places)
        )
        assert by_role["clamped"] == by_place["clamped"]
        assert max(by_role["kl"]) > 1e-6


def test_memory_that_runs_out_is_a_sentence(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def feed(*_: object) -> None:
        torch.empty(1 << 60)

    monkeypatch.setattr("engine.live.decoder.Decoder.feed", feed)
    assert monosem(["generate", str(run.path), "--prompt", PROMPT, "--device", "cpu"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "monosem: out of memory"


def test_numbers_that_overflow_are_a_sentence(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def feed(_: object, rows: list[list[int]], __: object) -> torch.Tensor:
        return torch.full((len(rows), 60), torch.nan)

    monkeypatch.setattr("engine.live.decoder.Decoder.feed", feed)
    for flags in (("--temperature", "1"), ()):
        assert monosem(["generate", str(run.path), "--prompt", PROMPT, "--clamp", "3=2e38", *flags]) == 2
        assert "the model's numbers have overflowed" in capsys.readouterr().err
