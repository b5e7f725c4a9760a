"""Parts of HTML pages: they load nothing from anywhere, and all text in them is escaped."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from html import escape

import numpy as np
from numpy.typing import NDArray
from rich.color import Color

from monosem_tui.draw.heat import STEPS
from monosem_tui.draw.palette import DARK_RAMP, LIGHT_RAMP

BAR_STEPS = 20
"""Lengths of a bar behind a value."""
_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --back: #ffffff; --dim: #5f5f5f; --rule: #d0d0d0; --at: #e6eefc;
  --link: #0b57b0; --up: #cfe3ff; --down: #ffdcd2; LIGHT }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e4e4; --back: #121212; --dim: #a0a0a0; --rule: #3a3a3a; --at: #23304a; --link: #8ab4f8;
    --up: #1d3a63; --down: #5a2a1c; DARK }
}
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: var(--text); background: var(--back);
  font: 15px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: .2rem 0; } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
small, .dim { color: var(--dim); font-weight: normal; font-size: .85rem; }
bdi { unicode-bidi: isolate; }
svg { display: block; width: 100%; max-width: 40rem; height: 4rem; fill: var(--dim); }
table { border-collapse: collapse; width: 100%; }
td { padding: .1rem .4rem .1rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; } td + td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
"""


def head(title: str, style: str, script: str = "") -> Iterator[str]:
    """Yield the start of a page whose policy allows `script` and nothing else, and no request.

    Args:
        title: plain text, escaped here.
        style: the result of `style_of`.
        script: JavaScript exactly as it appears in the page's `<script>`.
    """
    policy = ["default-src 'none'", f"style-src {_digest(style)}", "base-uri 'none'", "form-action 'none'"]
    policy += [f"script-src {_digest(script)}"] if script else []
    yield "<!doctype html>"
    yield '<html lang="en" dir="ltr">'
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(policy)}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{escaped(title)}</title>"
    yield f"<style>{style}</style>"


def escaped(text: str) -> str:
    """Escape text for an element or an attribute."""
    return escape(text, quote=True)


def isolated(text: str) -> str:
    """Isolate text that may run right to left, so that it does not reorder its neighbours."""
    return f"<bdi>{escaped(text)}</bdi>"


def bar_class(kind: str, share: float) -> str:
    """Return the classes, quoted, of a cell with a bar behind its value, `share` of its width: `u` for what rises, `d`
    for what falls."""
    return f'"{kind} p{max(1, min(BAR_STEPS, round(share * BAR_STEPS)))}"'


def style_of(more: str) -> str:
    """Return the shared style sheet (colours for dark and light screens, heat) followed by `more`."""
    style = _STYLE
    for name, ramp in {"LIGHT": LIGHT_RAMP, "DARK": DARK_RAMP}.items():
        steps = [f"--b{n}: {_hex(back)}; --t{n}: {_hex(text)};" for n, (back, text) in enumerate(ramp, 1)]
        style = style.replace(name, " ".join(steps))
    heat = [f".h{n} {{ background: var(--b{n}); color: var(--t{n}); }}" for n in range(1, STEPS + 1)]
    return style + more + "\n".join([*heat, *_bar_rules()]) + "\n"


def _bar_rules() -> list[str]:
    """Return the rules of `bar_class`: a policy without inline styles leaves nothing finer."""
    colours = [
        f".{kind} {{ background: linear-gradient(var(--{name}), var(--{name})) no-repeat right; }}"
        for kind, name in (("u", "up"), ("d", "down"))
    ]
    return colours + [f".p{n}{{background-size:{100 * n // BAR_STEPS}% 100%}}" for n in range(1, BAR_STEPS + 1)]


def bars(values: NDArray[np.int64] | NDArray[np.float64]) -> str:
    """Return columns as SVG; every positive value is visible."""
    heights = np.asarray(values, np.float64)
    top = float(heights.max(initial=0.0)) or 1.0
    columns = [
        f'<rect x="{place}.05" y="{40 - height:.2f}" width=".9" height="{height:.2f}"/>'
        for place, value in enumerate(heights.tolist())
        if (height := max(0.5, 40 * value / top) if value > 0 else 0.0)
    ]
    return (
        f'<svg viewBox="0 0 {len(heights)} 40" preserveAspectRatio="none" aria-hidden="true">{"".join(columns)}</svg>'
    )


def _digest(text: str) -> str:
    """Return the digest by which a Content-Security-Policy allows one script."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _hex(number: int) -> str:
    return str(Color.from_ansi(number).get_truecolor().hex)
