"""A browser of all features in files: a searchable list and a page per feature, without a server or requests.

    index.html            the list, with its data inside
    map.html              all features as points
    features/412.html     a page, which works without JavaScript

Each page is self-contained, so that it can be sent and linked to. A browser opens pages from disk, where scripts may
not fetch and a policy's 'self' means nothing: style, script and data are therefore inside, and the policy names their
digests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from monosem_tui.draw.html_parts import bars, escaped, head, isolated, style_of
from monosem_tui.draw.numbers import compact, count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.token_text import display_token
from monosem_tui.export.assets import asset, script_json
from monosem_tui.export.feature_html import Browser, as_html
from monosem_tui.export.map_html import PAGE, write_map
from monosem_tui.model.context_borders import BORDER
from monosem_tui.model.feature_card import FeatureCard, top_token
from monosem_tui.model.feature_document import read_document
from monosem_tui.pages.passage import bordered_texts
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.feature_order import COMMON, FEW, worth_seeing
from store.query.histogram import density_histogram
from store.rules.kind_file import KeptKinds
from store.run.counted_noun import CountedNoun
from store.settings.features import ExampleSettings

SAMPLE = 4096
"""Active tokens from which companions are computed, so that dense features take no longer."""
RAISED = 5
"""Promoted tokens in each row of the list."""
HEADS = (
    ("number", ""),
    ("label", "label"),
    ("token", ""),
    ("strongest example", "mid"),
    ("fires on", "n mid"),
    ("max", "n low"),
    ("mean", "n least"),
    ("promotes", "low"),
)
"""Columns of the list, and which are dropped where room is short. index.js relies on their order."""
BEFORE, AFTER = 45, 35
"""Characters of the strongest example around its peak, in the list."""
Snippet = tuple[str, str, str]
"""The strongest example: text before the peak, the peak, text after it."""


class ExportProgress(Protocol):
    """The shape of `monosem_tui.cli.progress.ConsoleProgress`."""

    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> AbstractContextManager[Any]:
        """Open a progress bar."""


def write_browser(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    name: str,
    folder: Path,
    progress: ExportProgress,
    origin: str = "",
) -> Path:
    """Write all pages into `folder` and return the path of the list; `origin` says where an import came from."""
    pages = folder / "features"
    pages.mkdir()
    browser, snippets = Browser(store.d_sae, asset("page.js")), list[Snippet]()
    explained, kinds = Explanations.load(store.path), KeptKinds(store).sound()
    with progress.task("writing pages", store.d_sae, "features") as task:
        for feature in range(store.d_sae):
            document = read_document(store, notes, feature, ExampleSettings(), name, SAMPLE, origin, explained, kinds)
            snippets.append(_snippet(document.card))
            page = pages / browser.page(feature)
            page.write_text(as_html(document, browser), encoding="utf-8")
            task.advance(1)
    write_map(store, notes, explained, kinds, name, folder)
    index = folder / "index.html"
    with index.open("w", encoding="utf-8") as file:
        for part in _index(store, notes, name, origin, snippets):
            file.write(part + "\n")
    return index


def order_words(noun: CountedNoun) -> str:
    """Return what the list begins with, in words."""
    return (
        f"Worth seeing first: what has a label or a star; then what fires on {FEW} {noun.many} or more and on at most "
        f"{100 * COMMON:g} % of all, the strongest first, one for each {noun.one} before the others; then rarer, then "
        "denser, then dead features. Click a column for another order."
    )


def _snippet(card: FeatureCard) -> Snippet:
    """Return some text around the peak of the strongest example; nothing for a dead feature."""
    if not card.sections or not card.sections[0].examples:
        return "", "", ""
    example = card.sections[0].examples[0]
    before, after = example.tokens[: example.peak], example.tokens[example.peak + 1 :]
    texts = bordered_texts(example)
    peak = texts[example.peak].strip(BORDER)
    bar = BORDER * texts[example.peak].endswith(BORDER)
    before, after = texts[: example.peak], texts[example.peak + 1 :]
    return "".join(before[-BEFORE:])[-BEFORE:], peak, (bar + "".join(after[:AFTER]))[:AFTER]


def _index(
    store: FeatureStore, notes: dict[int, FeatureNotes], name: str, origin: str, snippets: Sequence[Snippet]
) -> Iterator[str]:
    script, order, noun = asset("index.js"), order_words(store.plan.noun), store.plan.noun.one
    yield from head(f"{printable(name)} · features", style_of(asset("index.css")), script)
    yield from _summary(store, name, origin)
    yield f"""<form>
<input type="search" id="search" placeholder="label, {noun} or number" aria-label="Search" autocomplete="off">
<button type="button" id="worth" title="{escaped(order)}">worth seeing</button>
<label><input type="checkbox" id="dead"> dead ones too</label> <output id="said"></output>
<a href="{PAGE}">map</a>
<span class="dim"><kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> move <kbd>Enter</kbd> open</span>
</form>
<p class="dim order">{escaped(order)}</p>
<noscript><p>The list needs JavaScript, the pages do not: <a href="features/0.html">feature 0</a></p></noscript>
<div id="view" tabindex="0"><table><thead><tr>"""
    for place, (title, kind) in enumerate(HEADS):
        title = noun if title == "token" else title
        yield f'<th class="c{place} {kind}" scope="col"><button type="button">{title}</button></th>'
    yield "</tr></thead><tbody></tbody></table></div>"
    yield '<script type="application/json" id="features">['
    noted = [feature for feature, note in notes.items() if note.label or note.bookmark]
    rank_F = np.argsort(worth_seeing(store.columns, noted))
    for feature in range(store.d_sae):
        row = [*_row(store, notes, feature), int(rank_F[feature]), *snippets[feature]]
        yield script_json(row) + ("," if feature + 1 < store.d_sae else "")
    yield "]</script>"
    yield f"<script>{script}</script>"
    yield "</html>"


def _summary(store: FeatureStore, name: str, origin: str) -> Iterator[str]:
    """Yield the description of the dictionary and its densities."""
    columns = store.columns
    dead = int((columns.count_F == 0).sum())
    l0 = columns.count_F.sum() / max(1, store.n_counted)
    data = store.plan.data if store.plan.data.startswith("hf:") else Path(store.plan.data).name
    of = " · ".join(part for part in (store.spec.title(), origin) if part)
    yield f"<header><div><h1>{isolated(printable(name))}</h1><p class=dim>{isolated(printable(of))}</p>"
    yield (
        f"<p>{count(store.d_sae)} features, {count(dead)} of them dead · L0 {l0:.1f} · "
        f"{compact(store.n_counted)} {store.plan.noun.many} of {isolated(printable(data))}</p></div>"
    )
    histogram = density_histogram(columns.density_F)
    if histogram.counts.any():
        low, many = f"1e{int(np.floor(histogram.edges[0]))}", store.plan.noun.many
        yield f"<figure>{bars(histogram.counts)}"
        yield f"<figcaption>features by the share of {many} they fire on, {escaped(low)} to 1</figcaption></figure>"
    yield "</header>"


def _row(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> list[Any]:
    """Return one row of the list without rank and example, in the order of index.js."""
    note, columns = notes.get(feature, FeatureNotes()), store.columns
    raised = store.vocabulary.tokens(store.logits(feature).top.id[:RAISED].tolist())
    return [
        feature,
        printable(note.label),
        top_token(store, feature),
        _figure(columns.density_F[feature]),
        _figure(columns.max_F[feature]),
        _figure(columns.mean_F[feature]),
        " ".join(display_token(token, longest=20) for token in raised),
        " ".join(f"#{printable(tag)}" for tag in note.tags),
        int(note.bookmark),
    ]


def _figure(value: Any) -> float:
    """Round to few digits: the list shows three."""
    return float(f"{float(value):.4g}")
