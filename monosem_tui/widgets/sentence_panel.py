"""What a sentence needs beyond the bottom line."""

from __future__ import annotations

from monosem_tui.widgets.lines_panel import LinesPanel


class SentencePanel(LinesPanel):
    """Lines above the bottom one. They cover what stands there rather than moving it, as they go with the next key."""

    DEFAULT_CSS = "SentencePanel { layer: over; dock: bottom; margin-bottom: 1; }"
