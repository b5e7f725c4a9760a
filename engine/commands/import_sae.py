"""`monosem import`: an autoencoder of another library becomes a run like one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.commands.array_import import CheckedImport, ReadImport, import_for_array
from engine.corpus.data_argument import open_corpus
from engine.data.activations import forward_contexts
from engine.data.contexts import ContextBatch
from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.evaluation.figures import note
from engine.evaluation.quality import evaluate
from engine.formats.fold import folded
from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.hook_names import hub_name, site_of_hook
from engine.formats.named_tensors import Given
from engine.formats.published_figures import with_figures_beside
from engine.formats.registry import found_under, read
from engine.formats.self_check import EVALUATED, ReadPlace, SelfCheck, as_sae, captured, checked, chosen, places_to_try
from engine.jobs.subject import Subject, context_of, encoding_of, model_provenance, open_model, pinned, spec_of
from engine.model.language_model import LanguageModel
from engine.model.norms import gain_before
from engine.model.sites import SITES, Site, resolve_site
from engine.runtime.progress import Progress, Task
from engine.runtime.sizes import SAMPLE_ROWS
from engine.sae.base import Sae
from store.files.errors import MonosemError
from store.run.folder import RunFolder, RunRecord
from store.run.ordinary import save_limits
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, save_sae
from store.settings.import_sae import ImportSettings
from store.settings.subject import FULL
from store.settings.train import MAX_NORM, TrainSettings

REPORTS = 8
"""Reports of progress while a check reads activations, at least where there are so many contexts."""
COMMAND = "import"
"""Under which a run's record keeps where it came from; a run that has it was not trained here."""
CONVENTIONS = ("subtracts_b_dec", "input_scale", "by_norm", "centred", "token_norm", "before_gain", "skip_transposed")
"""Facts that the user may know better than the file."""
_OF_LAYER = re.compile(r"layer_?\d")
KEPT = (
    *("model", "layer", "site", "layer_out", "site_out", "data", "context", "packing", "arch", "d_sae", "k"),
    "activations",
)
"""Settings that a run's record has, as a training's has them."""
SHOWN = 8
"""Autoencoders of a folder that are named in a message."""


@dataclass(frozen=True)
class Imported:
    """A run that was made, and what there is to say of it."""

    run: RunFolder
    foreign: Foreign
    spec: SaeSpec
    steps: tuple[str, ...]
    """Conventions folded into the weights."""
    check: SelfCheck | None

    def to_json(self) -> dict[str, Any]:
        """Return its JSON values."""
        return {
            "name": self.run.name,
            "path": str(self.run.path),
            "format": self.foreign.format,
            "source": self.foreign.source,
            "hook": self.foreign.hook,
            "spec": asdict(self.spec),
            "conventions": asdict(self.foreign.conventions),
            "folded": list(self.steps),
            "notes": list(self.foreign.notes),
            "check": None if self.check is None else asdict(self.check),
        }


def choose(path: Path, part: str | None, *, everything: bool) -> list[Path]:
    """Return the chosen autoencoders of a folder.

    Raises:
        MonosemError: there are several and none was chosen, or none has that name.
    """
    found = found_under(path) if path.exists() else []
    if not found or found == [path]:
        return [path]
    names = [str(one.relative_to(path)) for one in found]
    if part is not None:
        matching = [one for one, name in zip(found, names, strict=True) if part in (name, one.name)]
        if len(matching) != 1:
            count = f"{len(matching)} autoencoders" if matching else "no autoencoder"
            raise MonosemError(f"{path} has {count} called {part}", f"It has {_listed(names)}.")
        return matching
    if everything or len(found) == 1:
        return found
    raise MonosemError(
        f"{path} holds {len(found)} autoencoders: {_listed(names)}",
        "Choose one with `part=NAME`, or `everything=True`.",
    )


def name_of(one: Path, path: Path) -> str:
    """Return a name for one of the autoencoders in `path`, from the folders below it; files' own names are generic,
    but for those with a layer in them."""
    folder = one.parent if one.is_file() else one
    within = folder.relative_to(path).parts if folder.is_relative_to(path) else (folder.absolute().name,)
    own = [one.name.partition(".")[0]] if one.is_file() and _OF_LAYER.match(one.name) else []
    return "-".join([*within, *own]) or folder.absolute().name


def import_sae(run: RunFolder, path: Path, asked: ImportSettings, progress: Progress) -> Imported:
    """Read an autoencoder, fold it into one of our architectures, measure it, and write it down as a run.

    Args:
        run: where to; it may hold a language model of its own, and no autoencoder.
        path: file or folder of one autoencoder.
        asked: what the caller knows better than the files.
        progress: receives reports.

    Raises:
        MonosemError: it cannot be read or computed, or model, place and autoencoder do not fit together.
    """
    config = run.record().config if run.exists() else {}
    if run.sae.is_file() or ("train" in config and COMMAND not in config):
        raise MonosemError(f"{run.path} already holds an autoencoder", "Choose another `out`.")
    asked = pinned(asked)
    foreign = with_figures_beside(read(path, _given(asked)))
    foreign = replace(foreign, conventions=_conventions(foreign, asked))
    if asked.activations is not None:
        on_array = import_for_array(foreign, asked, _stated(foreign, asked), progress)
        _write(run, on_array)
        return Imported(run, on_array.foreign, on_array.spec, on_array.made.steps, _check(on_array.found))
    subject = _opened(foreign, asked, progress)
    spec = _spec(foreign, subject, asked)
    settings = replace(subject.settings, layer=spec.layer, site=spec.site)
    settings = replace(settings, layer_out=spec.layer_out, site_out=spec.site_out)
    subject = subject.on(settings)
    site = subject.site()
    if site.name == "mlp_in" and (asked.check or foreign.conventions.before_gain):
        foreign = replace(foreign, gain=gain_before(subject.lm, site.module))
    made = folded(foreign)
    spec = replace(spec, arch=made.arch)
    sae = as_sae(foreign, made, subject.lm.device)  # before anything is written: it must open again
    found = _checked(foreign, sae, subject, asked, progress) if asked.check else None
    provenance = subject.provenance() if found else model_provenance(subject.lm)
    _write(run, ReadImport(foreign, made, spec, subject.settings, provenance, found))
    return Imported(run, foreign, spec, made.steps, _check(found))


def _check(found: CheckedImport | None) -> SelfCheck | None:
    return found.check if found else None


def _stated(foreign: Foreign, asked: ImportSettings) -> Stated:
    """Return the figures to compare with: the user's, else the source's."""
    given = {name: getattr(asked, name) for name in ("explained_variance", "l0") if name in asked.given}
    return replace(foreign.stated, **given, **({"nominal": False} if "l0" in given else {}))


def _given(asked: ImportSettings) -> Given | None:
    """Return what the user says of the tensors of a file of no known format."""
    if asked.tensors is None:
        if asked.arch is not None or asked.k is not None:
            raise MonosemError("`arch` and `k` go with `tensors`", "Known formats state theirs.")
        return None
    return Given(tensors=asked.tensors, arch=asked.arch, k=asked.k, transcodes=asked.site_out is not None)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _conventions(foreign: Foreign, asked: ImportSettings) -> Conventions:
    changes = {name: getattr(asked, name) for name in CONVENTIONS if name in asked.given}
    if "input_scale" in changes and foreign.d_out is None:
        changes["output_scale"] = changes["input_scale"]
    return replace(foreign.conventions, **changes)


def _opened(foreign: Foreign, asked: ImportSettings, progress: Progress) -> Subject:
    """Open the model and the text, with the context size of its training."""
    model = asked.model or hub_name(foreign.model)
    if not model:
        raise MonosemError(f"{foreign.source} does not say which language model it is of", "Give it with `model`.")
    data = asked.data or (_text(foreign, progress) if asked.check else "stdlib")
    settings = TrainSettings(
        model=model,
        data=data,
        arch=foreign.arch,
        d_sae=foreign.d_sae,
        k=foreign.k,
        device=asked.device or "auto",
        dtype=asked.dtype or "auto",
        weights=asked.weights or FULL,
    )
    corpus = open_corpus(data)
    if asked.check:
        progress.say(corpus.describe())
    lm = _loaded(settings, foreign, asked, progress)
    wanted = asked.context
    if wanted is None and foreign.context is not None:
        wanted = min(foreign.context, lm.max_context or foreign.context)
    settings = replace(settings, context=wanted)
    context = context_of(settings, lm)
    return Subject(replace(settings, context=context), lm, corpus, encoding_of(lm), context)


def _loaded(settings: TrainSettings, foreign: Foreign, asked: ImportSettings, progress: Progress) -> LanguageModel:
    try:
        return open_model(settings, progress)
    except MonosemError as error:
        if asked.model:
            raise
        raise MonosemError(
            f"{foreign.source} is of {foreign.model}: {error.what}", "Say with `model` where it is."
        ) from None


def _text(foreign: Foreign, progress: Progress) -> str:
    """Return the text it was trained on where available, else the standard library's."""
    name = foreign.data
    for data in [name] if Path(name).is_file() else [f"hf:{name}"] if name.count("/") == 1 else []:
        try:
            next(iter(open_corpus(data).documents()), None)
        except MonosemError:
            continue
        return data
    said = f"its own text, {name}, is not at hand" if name else "it does not say what text it was trained on"
    progress.say(f"{said}: checking on stdlib, where figures may differ; `data` takes other text")
    return "stdlib"


def _spec(foreign: Foreign, subject: Subject, asked: ImportSettings) -> SaeSpec:
    lm = subject.lm
    site = _place(lm, foreign, foreign.hook, asked.site, asked.layer)
    _check_width(foreign, lm, site, foreign.d_in, "reads")
    target = None
    if foreign.d_out is not None:
        target = _place(lm, foreign, foreign.hook_out, asked.site_out, asked.layer_out, out=True)
        _check_width(foreign, lm, target, foreign.d_out, "explains")
    return replace(
        spec_of(subject.settings.model, subject.encoding, site, target),
        arch=foreign.arch,
        d_sae=foreign.d_sae,
        k=foreign.k,
        token_norm=foreign.conventions.token_norm,
        skip=foreign.skips,
    )


def _place(
    lm: LanguageModel, foreign: Foreign, hook: str, site: str | None, layer: int | None, *, out: bool = False
) -> Site:
    """Return the user's facts, completed by the source's."""
    end = "_out" if out else ""
    if not hook and (site is None or (layer is None and site in SITES)):
        raise MonosemError(
            f"{foreign.source} does not say which place it {'explains' if out else 'reads'}",
            f"Give it with `layer{end}` and `site{end}`.",
        )
    if site is None and layer is None:
        return site_of_hook(lm, hook)
    if site is None or (layer is None and site in SITES):
        own = site_of_hook(lm, hook)
        site, layer = site or own.name, own.layer if layer is None else layer
    return resolve_site(lm, site, layer)


def _check_width(foreign: Foreign, lm: LanguageModel, site: Site, width: int, verb: str) -> None:
    if site.d_in != width:
        own = (
            f"It was made for {foreign.model}." if foreign.model else "Was it made for another model, or another site?"
        )
        raise MonosemError(
            f"{foreign.source} {verb} vectors of {width} values, and {site.title} of {lm.name} has {site.d_in}", own
        )


def _checked(foreign: Foreign, sae: Sae, subject: Subject, asked: ImportSettings, progress: Progress) -> CheckedImport:
    tokens, (site, *targets) = asked.tokens, subject.sites()
    own = ReadPlace(site, targets[0] if targets else None)
    places = places_to_try(subject.lm, own, tokens, _named_places(foreign, subject.lm))
    contexts = subject.stream("all").skip_tokens(tokens)
    together = min(forward_contexts(subject.context), max(1, contexts // REPORTS))
    batches = subject.stream("all").batches(together, contexts)
    gains = {site.module: foreign.gain} if site.name == "mlp_in" else {}
    with progress.task(f"activations of {len(places)} places", contexts, "contexts") as bar:
        rows = captured(subject.lm, places, _counted(batches, bar), foreign.first_positions, gains)
    ordinary = OrdinaryTokens.measured(chosen(rows[0])[:SAMPLE_ROWS], places_of(foreign.d_in, foreign.d_out), MAX_NORM)
    evaluation = evaluate(subject, sae, "all", tokens, progress, ordinary)
    check = checked(foreign, places, rows, subject.corpus.spec, _stated(foreign, asked), ordinary, progress)
    return CheckedImport(
        evaluation, replace(check, **{name: getattr(evaluation, name) for name in EVALUATED}), ordinary
    )


def _counted(batches: Iterator[ContextBatch], bar: Task) -> Iterator[ContextBatch]:
    """Yield batches; each is reported once the next is asked for."""
    for batch in batches:
        yield batch
        bar.advance(len(batch.tokens_BT))


def _named_places(foreign: Foreign, lm: LanguageModel) -> list[ReadPlace]:
    """Return the places that the file names and the model has."""
    found = []
    for hook in (foreign.hook, *foreign.places):
        try:
            if hook:
                target = site_of_hook(lm, foreign.hook_out) if foreign.hook_out else None
                found.append(ReadPlace(site_of_hook(lm, hook), target, named=True))
        except MonosemError:
            continue
    return found


def _write(run: RunFolder, one: ReadImport) -> None:
    settings, found = one.settings, one.found
    kept = {name: getattr(settings, name) for name in KEPT if hasattr(settings, name)}
    with run.locked():
        if not run.exists():
            run.create(RunRecord())
        config = run.record().config | {
            "train": kept,
            COMMAND: _source(one),
        }
        run.update(spec=one.spec, provenance=one.provenance, config=config, status="done")
        if found is not None:
            note(run, found.evaluation)
            save_limits(run.ordinary, found.ordinary.limits_2D)
        # Last: as long as it is missing, the import can be made again.
        save_sae(run.sae, SaeWeights(one.spec, {name: tensor.numpy() for name, tensor in one.made.tensors.items()}))


def _source(one: ReadImport) -> dict[str, Any]:
    """Return the record of the import: its origin and how it was read."""
    foreign = one.foreign
    return {
        "format": foreign.format,
        "source": str(Path(foreign.source).absolute()),
        "model": foreign.model,
        "hook": foreign.hook,
        "hook_out": foreign.hook_out,
        "data": foreign.data,
        "context": foreign.context,
        "bos": foreign.bos,
        "left_out": f"monosem leaves out: {one.spec.excluded}",
        **asdict(foreign.conventions),
        "folded": list(one.made.steps),
        "notes": list(foreign.notes),
        **foreign.details,
        "check": None if one.found is None else asdict(one.found.check),
    }
