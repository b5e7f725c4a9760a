"""Snapshots of Hugging Face Hub repositories in the local cache, and one-line errors for what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from engine.runtime.progress import Progress
from store.files.errors import FULL, MonosemError, disk_errors


@dataclass(frozen=True)
class HubFiles:
    """Files of a repository, by glob patterns, and how errors about them read."""

    repository: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    tried: str = ""
    """Result of the local search, such as "there is no folder x"; starts errors."""
    names: str = "Write hf:OWNER/NAME or hf:OWNER/NAME/FOLDER."
    """Advice for a name that is not a hub id."""
    use: str = "import FOLDER"
    """Advice on using a folder downloaded elsewhere."""

    def cached(self) -> Path | None:
        """Return the newest cached snapshot, complete or not; None if there is none.

        Raises:
            MonosemError: the repository's name is not a hub id.
        """
        try:
            return self._snapshot(offline=True)
        except HFValidationError:
            raise MonosemError(f"{self._and}{self.repository} is not a hub id", self.names) from None
        except LocalEntryNotFoundError:
            return None

    def fetch(self, progress: Progress) -> Path:
        """Return a complete snapshot, downloading what the cache lacks, unless the hub is switched off.

        Raises:
            MonosemError: the name is not a hub id, there is no such repository, or it cannot be fetched.
        """
        disable_progress_bars()
        repository, offline = self.repository, bool(constants.HF_HUB_OFFLINE)
        if not offline:
            progress.say(f"fetching {repository} from the hub into {constants.HF_HUB_CACHE}")
        try:
            return self._snapshot(offline=offline)
        except HFValidationError:
            raise MonosemError(f"{self._and}{repository} is not a hub id", self.names) from None
        except GatedRepoError:
            raise MonosemError(
                f"{repository} is gated: its owner wants you to accept terms first",
                f"Accept them at https://huggingface.co/{repository}, then run `hf auth login` (or set HF_TOKEN).",
            ) from None
        except RepositoryNotFoundError:
            raise MonosemError(
                f"{self._and}the hub has no repository {repository} that you may read",
                "Check the spelling; for a private one run `hf auth login` first.",
            ) from None
        except Exception as error:  # the hub's client raises what its network stack raises
            if isinstance(error, OSError) and error.errno in FULL:
                with disk_errors(Path(constants.HF_HUB_CACHE)):
                    raise
            raise self._unreachable(error) from error

    def _snapshot(self, *, offline: bool) -> Path:
        return Path(
            snapshot_download(
                self.repository,
                allow_patterns=list(self.wanted),
                ignore_patterns=list(self.unwanted) or None,
                local_files_only=offline,
            )
        )

    @property
    def _and(self) -> str:
        return f"{self.tried}, and " if self.tried else ""

    def _unreachable(self, error: Exception) -> MonosemError:
        if constants.HF_HUB_OFFLINE:
            why = "the hub is switched off (HF_HUB_OFFLINE)"
        elif isinstance(error, LocalEntryNotFoundError):
            why = "the hub cannot be reached"
        else:
            why = f"fetching it failed: {one_line(error)}"
        before = f"{self.tried}, " if self.tried else ""
        return MonosemError(
            f"{before}{self.repository} is not in the hub cache, and {why}",
            f"Set HF_HOME to a cache that has it, or run `hf download {self.repository} --local-dir FOLDER` where "
            f"there is internet and {self.use}.",
        )


def one_line(error: BaseException, limit: int = 160) -> str:
    """Return another library's error message as one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
