"""Output of `monosem show RUN`: description, provenance and the most legible features of a run."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from monosem_tui.cli import output
from monosem_tui.cli.reports.feature import narrate_unfinished, read_notes, rendering
from monosem_tui.cli.run_lookup import Place, has_index
from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import activation, count, share, with_error
from monosem_tui.draw.safe_text import cut, fit, printable, width
from monosem_tui.draw.spans import Line, Role, Span, line, wrap
from monosem_tui.draw.token_text import display_token
from monosem_tui.export.explanation_json import explained_json
from monosem_tui.export.feature_json import example_json, figures_json, histogram_json
from monosem_tui.model.feature_card import feature_name, shown
from monosem_tui.model.feature_explanations import shown_explanations
from monosem_tui.model.run_origin import imported_from
from monosem_tui.pages.passage import frame, passage
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.examples import Example, sections
from store.query.histogram import density_histogram
from store.query.showcase import telling
from store.rules.kind_file import KeptKinds
from store.rules.kinds import Kinds
from store.run.folder import RunFolder, RunRecord

DEMO_FEATURES, DEMO_EXAMPLES = 10, 3
DIGEST, NAME, TOKEN = 12, 24, 8
"""Characters of a digest, and the most and fewest cells for names of features."""


class _Said(NamedTuple):
    """Notes, explanations and kinds of features."""

    notes: dict[int, FeatureNotes]
    explanations: Explanations
    kinds: Kinds | None

    @classmethod
    def of(cls, store: FeatureStore, place: Place) -> _Said:
        return cls(read_notes(place), Explanations.load(place.path), KeptKinds(store).sound())


def report(place: Place, *, top: int, width: int, json: bool) -> None:
    """Print the summary of a run or a features.h5 on its own, with `top` features, for `width` columns."""
    record = place.run.record() if place.run and place.run.exists() else None
    if place.run and not has_index(place.run) and record is not None:
        if json:
            output.emit_json(_head_json(place, record))
            return
        output.emit_lines(_head(place, record, record.spec.title(), width))
        output.narrate(f"there is no feature index yet; make it with: monosem index {place.path}")
        return
    with FeatureStore.open(place.path) as store:
        said = _Said.of(store, place)
        best = _best(store, said, top, 1)
        if json:
            output.emit_json(_head_json(place, record) | _index_json(store, said, best))
            return
        narrate_unfinished(store)
        title = record.spec.title() if record else store.spec.title()
        lines = [*_head(place, record, title, width), *_index(store, width), (), *_features(store, said, best, width)]
        output.emit_lines(lines)


def report_demo(run: RunFolder) -> None:
    """Print the demo's folder, its figures, some legible features with strong examples, and how to browse it."""
    from monosem_tui.cli.reports.eval import stored_figures

    record = run.record()
    output.emit_text("\n".join([f"{run.path}  {record.spec.title()}\n", *stored_figures(run), ""]))
    with FeatureStore.open(run.path) as store:
        said = _Said.of(store, Place(run.path, run))
        best = _best(store, said, DEMO_FEATURES, DEMO_EXAMPLES)
        output.emit_lines(_features(store, said, best, output.page_width()))
    output.emit_text(f"\nbrowse it with: monosem tui {run.path}")


def _best(store: FeatureStore, said: _Said, wanted: int, examples: int) -> dict[int, list[Example]]:
    """Return the strongest examples of the features that are worth showing."""
    ids = telling(store.columns, wanted, said.kinds, said.explanations).tolist()
    return {i: sections(store, i, top=examples)[0].examples[:examples] for i in ids}


def _head(place: Place, record: RunRecord | None, title: str, width: int) -> list[Line]:
    """Return name, state, figures and provenance; only the name of a features.h5 on its own."""
    lines = [line(Span(printable(place.name), Role.HEADING), f"  {printable(title)}")]
    if record is None:
        return lines
    results, origin = record.results, record.provenance
    made = datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d %H:%M")
    tokens = "" if results.tokens is None else f"trained on {count(results.tokens)} {record.noun.many}"
    digest = f"sha256 {origin.model_digest[:DIGEST]}" if origin.model_digest else ""
    versions = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    lines += _named("status", [record.current_status(), record.message, f"created {made}", tokens], width)
    lines += _named("imported", imported_from(record), width)
    lines += _named("numbers", _figures(record), width)
    lines += _named("model", [origin.model, origin.model_revision[:DIGEST], digest], width)
    if origin.array:
        shape, array_digest = " × ".join(count(size) for size in origin.array_shape), origin.array_digest[:DIGEST]
        lines += _named("array", [origin.array, shape, f"sha256 {array_digest}", f"seed {origin.seed}"], width)
    else:
        read = str(record.evaluation.get("documents") or "")
        lines += _named("text", [origin.corpus, read, f"seed {origin.seed}"], width)
    return lines + _named("made on", [origin.hardware, versions], width)


def _figures(record: RunRecord) -> list[str]:
    results = record.results
    return [
        "" if results.explained_variance is None else f"explained variance {results.explained_variance:.3f}",
        "" if results.l0 is None else f"L0 {results.l0:.1f}",
        "" if results.ce_recovered_zero is None else f"CE recovered {results.ce_recovered_zero:.3f}",
        "" if results.delta_ce is None else f"ΔCE {with_error(results.delta_ce, results.delta_ce_se)}",
        "" if results.kl is None else f"KL {with_error(results.kl, results.kl_se)}",
        "" if results.alive is None else f"{count(results.alive)} of {count(record.spec.d_sae)} features alive",
    ]


def _named(name: str, parts: list[str], cells: int, indent: int = 9) -> list[Line]:
    """Return the parts after a name, or nothing where there are none."""
    rows = wrap([line(printable(part)) for part in parts if part], cells - indent, " · ")
    return [line(Span(fit(name if i == 0 else "", indent), Role.DIM), *row) for i, row in enumerate(rows)]


def _index(store: FeatureStore, cells: int) -> list[Line]:
    columns = store.columns
    dead = int((columns.count_F == 0).sum())
    histogram = density_histogram(columns.density_F)
    low = round(float(histogram.edges[0]))
    held = f"{count(store.n_tokens)} tokens in {count(store.n_contexts)} contexts"
    if store.plan.of_array:
        held = f"{count(store.n_tokens)} rows: #12 is row 12"
    parts = [held, store.plan.data]
    silent = "every feature fires" if not dead else f"{count(dead)} of {count(store.d_sae)} features never fire"
    return [
        *_named("index", parts, cells),
        line(Span(fit("density", 9), Role.DIM), f"1e{low} ", sparkline(histogram.counts), f" 1 · {silent}"),
    ]


def _features(store: FeatureStore, said: _Said, best: dict[int, list[Example]], cells: int) -> list[Line]:
    """Return a feature's figures, its name and its strongest examples, one per line, and its best explanation."""
    examples = {i: [shown(store, example) for example in found] for i, found in best.items()}
    names = {i: feature_name(store, said.notes, i) for i in best}
    digits = max([4, *(len(str(i)) for i in best)])
    widest = min(NAME, max([TOKEN, *(width(name) for name in names.values())]))
    where = frame([one for found in examples.values() for one in found], max(20, cells - digits - widest - 22))
    drawn = rendering()
    lines: list[Line] = [
        line(Span(f"{'id':>{digits}}  density     max  {fit('fires on', widest)}  where it fires most", Role.DIM))
    ]
    for i, found in examples.items():
        density, top = share(float(store.columns.density_F[i])), float(store.columns.max_F[i])
        numbers = f"{i:>{digits}}  {density:>8}  {activation(top):>6}  {fit(names[i], widest)}  "
        first, *rest = [spans for example in found for spans in passage(example, top, drawn, where)]
        lines.append(line(numbers, *first))
        margins = [_raises(store, i, width(numbers)), *[" " * width(numbers)] * len(rest)]
        lines += [line(Span(margin, Role.DIM), *spans) for margin, spans in zip(margins, rest, strict=False)]
        lines += _explained(said, i, cells)
    return lines


def _explained(said: _Said, feature: int, cells: int) -> list[Line]:
    """Return the kind and the best explanation, where there is one."""
    found = shown_explanations(said.explanations, feature)
    if not found:
        return []
    kind = (said.kinds.of(feature) if said.kinds else None) or ""
    text = " · ".join(part for part in (found[0].text, kind and f"{kind} feature", found[0].figures) if part)
    return [line("  ", Span(cut(text, cells - 2), Role.DIM))]


def _raises(store: FeatureStore, feature: int, cells: int) -> str:
    """Return the tokens that a feature promotes, as many as fit beside an example."""
    tokens = [display_token(token) for token in store.vocabulary.tokens(store.logits(feature).top.id)]
    return fit("  promotes " + "  ".join(tokens), cells - 2) + "  " if tokens else " " * cells


def _head_json(place: Place, record: RunRecord | None) -> dict[str, Any]:
    """Return the contents of run.json, or None without one."""
    said = asdict(record) if record else {}
    return {
        "name": place.name,
        "path": str(place.path),
        "status": record.current_status() if record else None,
        **{key: said.get(key) for key in ("message", "created", "spec", "results", "provenance")},
    }


def _index_json(store: FeatureStore, said: _Said, best: dict[int, list[Example]]) -> dict[str, Any]:
    columns = store.columns
    return {
        "spec": asdict(store.spec),
        "index": {
            "tokens": store.n_tokens,
            "counted": store.n_counted,
            "contexts": store.n_contexts,
            "planned_contexts": store.plan.n_contexts,
            "data": store.plan.data,
        },
        "alive": int((columns.count_F > 0).sum()),
        "dead": int((columns.count_F == 0).sum()),
        "d_sae": store.d_sae,
        "density_log10_histogram": histogram_json(density_histogram(columns.density_F)),
        "features": [
            {
                "feature": i,
                "label": said.notes.get(i, FeatureNotes()).label,
                **explained_json(i, said.kinds, said.explanations),
                **figures_json(store, i),
                "top_token": store.vocabulary.strings([int(columns.top_token_F[i])])[0],
                "example": example_json(store, found[0]),
            }
            for i, found in best.items()
        ],
    }
