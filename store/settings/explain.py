"""Settings of `monosem explain`: who explains features, and how."""

from __future__ import annotations

from dataclasses import dataclass

from store.files.errors import MonosemError
from store.settings.setting import LARGEST_SEED, Settings, setting


@dataclass(frozen=True, kw_only=True)
class ExplainSettings(Settings):
    """Settings of explanations and their scores."""

    by: str = setting("rules", "The author: rules, a server of models (http://HOST:PORT/v1), or hf:FOLDER", "AUTHOR")
    again: bool = setting(False, "Explain features again that this author has explained from the same index")
    seed: int = setting(0, "Which half of the documents is held out, and which are drawn again", "N", most=LARGEST_SEED)
    processes: int | None = setting(None, "Processes that work at a time", "N", unset="one a core", least=1, most=256)

    @property
    def by_model(self) -> bool:
        """Whether the author is a language model."""
        return self.by.startswith("hf:") or "://" in self.by

    def check_author(self) -> None:
        """Refuse an author that there is not.

        Raises:
            MonosemError: it is neither rules nor a model.
        """
        if self.by != "rules" and not self.by_model:
            raise MonosemError(
                f"there is no author {self.by}",
                "`by=rules` needs no model; `by=http://127.0.0.1:8080/v1` asks a server, `by=hf:FOLDER` a model here.",
            )
