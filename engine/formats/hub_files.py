"""Autoencoders on the Hugging Face hub: `hf:OWNER/NAME`, or `hf:OWNER/NAME/FOLDER/OR/FILE`."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from engine.model.model_files import one_line
from engine.runtime.progress import Progress
from store.files.errors import MonosemError

MARK = "hf:"
_WANTED = ("*.json", "*.safetensors", "*.npz", "*.pt", "*.yaml")


def located(source: str, progress: Progress) -> Path:
    """Where a source lies on this disk; what is on the hub is fetched into its cache.

    Raises:
        MonosemError: the hub cannot be reached, or has no such thing.
    """
    if not source.startswith(MARK):
        return Path(source).expanduser()
    parts = [part for part in source.removeprefix(MARK).split("/") if part]
    if len(parts) < 2:
        raise MonosemError(f"{source} names no repository", "Write hf:OWNER/NAME or hf:OWNER/NAME/FOLDER.")
    repository, within = "/".join(parts[:2]), "/".join(parts[2:])
    wanted = [f"{within}/{kind}" for kind in _WANTED] + [within] if within else list(_WANTED)
    # In a repository of many, the folder above may say what all of them were trained on.
    wanted += [f"{within.rpartition('/')[0]}/config.json"] if "/" in within else ["config.json"] if within else []
    folder = _fetched(repository, wanted, source, progress)
    path = folder / within
    if not path.exists():
        raise MonosemError(f"{repository} has no {within}", f"See https://huggingface.co/{repository}/tree/main.")
    return path


def _fetched(repository: str, wanted: list[str], source: str, progress: Progress) -> Path:
    disable_progress_bars()
    try:
        if constants.HF_HUB_OFFLINE:
            return Path(snapshot_download(repository, allow_patterns=wanted, local_files_only=True))
        progress.say(f"fetching {source.removeprefix(MARK)} from the hub into {constants.HF_HUB_CACHE}")
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except HFValidationError:
        raise MonosemError(f"{repository} is no hub id", "Write hf:OWNER/NAME or hf:OWNER/NAME/FOLDER.") from None
    except GatedRepoError:
        raise MonosemError(
            f"{repository} is gated: its owner wants you to accept terms first",
            f"Accept them at https://huggingface.co/{repository}, then run `hf auth login` (or set HF_TOKEN).",
        ) from None
    except RepositoryNotFoundError:
        raise MonosemError(f"the hub has no {repository} that you may read", "Check the spelling.") from None
    except Exception as error:  # the hub's client raises what its network stack raises
        if constants.HF_HUB_OFFLINE:
            why = "the hub is switched off (HF_HUB_OFFLINE)"
        elif isinstance(error, LocalEntryNotFoundError):
            why = "the hub cannot be reached"
        else:
            why = f"fetching it failed: {one_line(error)}"
        raise MonosemError(
            f"{repository} is not in the hub cache, and {why}",
            f"Run `hf download {repository} --local-dir FOLDER` where there is internet, and import FOLDER.",
        ) from error
