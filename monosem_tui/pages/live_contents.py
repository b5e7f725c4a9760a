"""The contents of the Live page: prompt, tray, texts, what they are painted by, and where they lie on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from monosem_tui.draw.spans import Span
from monosem_tui.draw.token_rows import Growing, TextSpot
from monosem_tui.draw.token_text import display_tokens
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.sampling_text import DEFAULT
from monosem_tui.live.tray import Tray
from monosem_tui.pages.live_paint import Paint, top_of
from store.index.vocabulary import Vocabulary
from store.live.sampling import Sampling


@dataclass
class Shown:
    """Contents of the page."""

    talk: ModelClient
    tray: Tray
    vocabulary: Vocabulary
    maximum: Callable[[int], float | None]
    label: Callable[[int], Span]
    recipes: Callable[[], Sequence[str]] = tuple
    """Returns the names of the recipes that are kept."""
    prompt: str = ""
    chat: bool = False
    """Whether the prompt is the user's turn of a chat."""
    system: str = ""
    """System prompt of a chat; empty for none."""
    sampling: Sampling = DEFAULT
    cursor: int | None = None
    """The token under the cursor; None while the text is followed to its end."""
    paint: Paint = field(default_factory=Paint)
    """The quantity that the texts are painted by."""
    base: Growing = field(init=False)
    clamped: Growing = field(init=False)
    """Both texts, laid out as far as they were shown."""
    spots: list[TextSpot] = field(default_factory=list)
    """Places of the texts when the page was drawn last."""
    offered: int = 0
    """The cursor among the prompt's features, where nothing is clamped."""
    sweeping: bool = False
    """Whether a sweep is shown in place of the text."""

    def __post_init__(self) -> None:
        """Begin with nothing laid out."""
        self.base, self.clamped = Growing(self._printable), Growing(self._printable)

    def _printable(self, tokens: Sequence[int]) -> list[str]:
        return display_tokens(self.vocabulary.tokens(tokens))

    @property
    def alone(self) -> bool:
        """Whether nothing is or was clamped, so that one text says all."""
        return not self.tray.clamps and self.talk.writing.unclamped

    @property
    def feature(self) -> int | None:
        """The prompt's feature under the cursor, where nothing is clamped."""
        features = self.talk.writing.prompt_features if self.alone and not self.tray.held else ()
        return features[min(self.offered, len(features) - 1)].feature if features else None

    def top(self) -> float:
        """Return the largest activation of the feature that the texts are painted by; 0 without one."""
        feature = self.paint.of(self.tray)
        return 0.0 if feature is None else top_of(self.talk.writing, self.maximum(feature))

    def token_at(self, x: int, y: int, *, behind: bool = False) -> int | None:
        """Return the token drawn at a cell; see `TextSpot.token_at`."""
        found = (spot.token_at(x, y, behind=behind) for spot in self.spots)
        return next((token for token in found if token is not None), None)
