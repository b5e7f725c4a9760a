"""Finding models: in folders, in runs, in the hub's cache, on the hub; and what is said where there is none."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from engine.model.model_files import ModelFiles, find_model
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests.engine.fake_hub import REVISION, FakeHub, serve_hub
from tests.engine.tiny_models import tiny, words_tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LLaMA with a tokenizer, as a folder."""
    folder = tmp_path_factory.mktemp("model") / "llama"
    tiny("llama").network.save_pretrained(folder)
    words_tokenizer(bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of our own, and a hub that is switched off."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that answers."""
    with serve_hub() as hub:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield hub


def into_cache(cache: Path, repository: str, source: Path) -> Path:
    """Lay a model out as the hub's client does."""
    home = cache / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(REVISION)
    return Path(shutil.copytree(source, home / "snapshots" / REVISION))


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def find(name: str | Path) -> ModelFiles:
    return find_model(str(name), Silent())


def refusal(name: str | Path) -> str:
    with pytest.raises(MonosemError) as caught:
        find(name)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_a_folder(folder: Path) -> None:
    assert find(folder) == ModelFiles(folder, (folder / "model.safetensors",), True, "")


def test_the_model_of_a_run(saved: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(RunRecord(spec=SaeSpec(model="owner/original")))
    assert "use `model=owner/original`" in refusal(run.path)
    shutil.copytree(saved, run.model)
    assert find(run.path).folder == run.model


@pytest.mark.parametrize("place", ["model", "."])
def test_the_model_of_a_run_holds_no_link_out_of_it(place: str, saved: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(RunRecord(name="run"))
    shutil.copytree(saved, run.path / place, dirs_exist_ok=True)
    (run.path / place / "again.json").symlink_to("config.json")
    (tmp_path / "secret").write_text("TOPSECRET")
    assert find_model(str(run.path), Silent()).folder == run.path / place
    (run.path / place / "chat_template.jinja").symlink_to(tmp_path / "secret")
    for name in (run.path, run.path / place):
        with pytest.raises(MonosemError, match=r"chat_template\.jinja is a link out of its folder"):
            find_model(str(name), Silent())


def test_a_short_name_and_its_revision(saved: Path, cache: Path) -> None:
    snapshot = into_cache(cache, "openai-community/gpt2", saved)
    assert find("gpt2") == ModelFiles(snapshot, (snapshot / "model.safetensors",), True, REVISION)


def test_a_folder_wins_over_a_short_name(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpt2").mkdir()
    assert "openai-community/gpt2" in refusal("gpt2")
    shutil.copytree(saved, "gpt2", dirs_exist_ok=True)
    assert find("gpt2").folder == Path("gpt2")


def test_a_cached_model_is_used_without_asking_the_hub(saved: Path, cache: Path, hub: FakeHub) -> None:
    into_cache(cache, "owner/name", saved)
    assert find("owner/name").revision == REVISION
    assert hub.fetched == []


def test_fetching_takes_only_what_is_needed(saved: Path, folder: Path, cache: Path, hub: FakeHub) -> None:
    for extra in ("pytorch_model.bin", "model.fp16.safetensors", "consolidated.safetensors", "tf_model.h5"):
        (folder / extra).write_bytes(b"x")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    hub.repositories["owner/name"] = folder
    progress = Listener()
    found = find_model("owner/name", progress)
    assert found.revision == REVISION
    assert found.has_tokenizer
    assert found.weights[0].read_bytes() == (saved / "model.safetensors").read_bytes()
    assert sorted(hub.fetched) == sorted(path.name for path in saved.iterdir())
    assert progress.said == [f"fetching owner/name from the hub into {cache}"]
    hub.repositories.clear()
    assert find("owner/name") == found


def test_an_incomplete_cache_is_filled(saved: Path, cache: Path, hub: FakeHub) -> None:
    snapshot = into_cache(cache, "owner/name", saved)
    (snapshot / "model.safetensors").unlink()
    hub.repositories["owner/name"] = saved
    assert find("owner/name").weights == (snapshot / "model.safetensors",)
    assert hub.fetched == ["model.safetensors"]


def test_an_incomplete_cache_without_the_hub(saved: Path, cache: Path) -> None:
    snapshot = into_cache(cache, "owner/name", saved)
    (snapshot / "model.safetensors").unlink()
    assert "holds no weights" in refusal("owner/name")


def test_switched_off_hub() -> None:
    message = refusal("owner/name")
    assert "owner/name is not in the hub cache" in message
    assert "HF_HUB_OFFLINE" in message
    assert "hf download owner/name --local-dir" in message
    assert "HF_HOME" in message


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the hub cannot be reached" in refusal("owner/name")


def test_a_cache_on_a_full_disk(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def full(*_: object, local_files_only: bool, **__: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("engine.runtime.hub.snapshot_download", full)
    assert f"no space left while writing {cache}" in refusal("owner/name")


def test_gated(hub: FakeHub) -> None:
    hub.gated.add("owner/name")
    message = refusal("owner/name")
    assert "gated" in message
    assert "hf auth login" in message


def test_unknown_to_the_hub(hub: FakeHub) -> None:
    assert "no repository owner/name" in refusal("owner/name")


@pytest.mark.parametrize("name", ["./missing", "/missing/model", "a/b/c", "no spaces please"])
def test_neither_a_folder_nor_an_id(name: str) -> None:
    message = refusal(name)
    assert "not a hub id" in message
    assert "gpt2, llama, gemma" in message


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    assert "empty" in refusal("")
    assert "no config.json" in refusal(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "is a file" in refusal(tmp_path / "file")


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refusal(folder)
    torch.save({}, folder / "pytorch_model.bin")
    message = refusal(folder)
    assert "pytorch_model.bin" in message
    assert "safetensors only" in message


@pytest.mark.parametrize("size", [0, 4, 5000, -1])
def test_truncated_weights(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path} is damaged or truncated" in refusal(folder)


def test_weights_in_parts(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    tiny("llama").network.save_pretrained(folder, max_shard_size="20KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 2
    assert find(folder).weights == tuple(parts)
    parts[1].unlink()
    assert f"lacks 1 of its {len(parts)} weight files, {parts[1].name}" in refusal(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": [')
    assert "index.json is damaged" in refusal(folder)


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert not find(folder).has_tokenizer
