"""Verdicts on the files of a run: digests first, then whether the parts of an index follow from each other."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import h5py

from store.comparison.file import FOLDER, load_comparison
from store.files.array_rules import ANY
from store.files.errors import MonosemError
from store.files.hdf5_arrays import UNREADABLE, array_shapes
from store.files.sealed_hdf5 import Seal, open_sealed, read_seal, seal_holds
from store.index.index_file import RULES, IndexFile, check_consecutive
from store.index.index_part import IndexPart
from store.index.kept_vocabulary import KIND as VOCABULARY
from store.index.kept_vocabulary import read_vocabulary
from store.index.neuron_file import KIND as NEURONS
from store.index.neuron_file import NeuronActs, neuron_path
from store.index.offsets_file import KIND as OFFSETS
from store.index.offsets_file import offsets_path
from store.index.open_index import described
from store.rules.kind_file import load_kinds
from store.run.folder import COMPLETENESS, MAPS, RunFolder
from store.run.ordinary import load_limits
from store.run.weights import load_sae
from store.verify.crosscheck import BLOCK, index_problem
from store.verify.damage_probe import survey
from store.verify.run_agreement import disagreements
from store.verify.text_check import offsets_problem, text_problem
from store.verify.weightcheck import weights_problem

_KINDS = {
    r"sae\.h5": "sae",
    r"ordinary\.h5": "ordinary",
    r"features\.h5": "features",
    r"kinds\.h5": "kinds",
    r"offsets\.h5": "offsets",
    r"neurons\.h5": "neurons",
    r"common\.h5": "common",
    r"comparisons/.*\.h5": "comparison",
    r"maps/.*\.h5": "map",
    r"(seg|early)-\d+\.h5": "segment",
    r"step-\d+\.h5": "checkpoint",
    r"shard-\d+\.h5": "activations",
}
"""Kinds of files by the names that a run gives them."""


@dataclass(frozen=True)
class Finding:
    """The verdict on one file."""

    path: Path
    ok: bool
    detail: str
    """The damage and what is still readable; for a sound file, what was checked."""
    damaged: tuple[str, ...] = ()
    """Datasets whose content is not what was written, as far as the file still shows."""
    readable: tuple[str, ...] = ()
    """Datasets of a damaged file whose content is what was written."""


def verify_run(run: RunFolder) -> list[Finding]:
    """Check run.json, every sealed file of a run and its explanations. Reads all of them, whole.

    The files must also agree with each other, and the others of the run be regular files without a link out of it.
    """
    sealed = [run.sae, run.ordinary, run.vocabulary, run.features, offsets_path(run.features), run.kinds]
    sealed += sorted(run.index.glob("*.h5"))
    sealed += [*sorted(run.checkpoints.rglob("*.h5")), *sorted(run.activations.glob("*.h5"))]
    sealed += [*sorted((run.path / FOLDER).glob("*.h5")), *_neurons(run)]
    sealed += sorted((run.path / MAPS).glob("*.h5"))
    sealed += [
        path
        for one in run.texts_indexed()
        for path in (one.features, offsets_path(one.features), *sorted(one.index.glob("*.h5")))
    ]
    findings = [*_record(run), *(verify_file(path) for path in sealed if os.path.lexists(path))]
    findings += [_explained(run.explanations)] if os.path.lexists(run.explanations) else []
    findings += [_measured(path) for path in sorted((run.path / COMPLETENESS).glob("*.json"))]
    sound = {finding.path for finding in findings if finding.ok}
    wrong = dict(disagreements(run, sound))
    return [
        *(Finding(one.path, False, wrong[one.path]) if one.path in wrong else one for one in findings),
        *(Finding(path, False, problem) for path, problem in wrong.items() if path not in sound),
    ]


def verify_file(path: Path) -> Finding:
    """Check one sealed file: seal, length, every byte, and that it refers to no other file.

    For an index also that its parts follow from each other: the two orders, the columns over the corpus, the columns
    over the weights, and the vocabulary. Memory does not grow with the number of activations.
    """
    try:
        seal = read_seal(path)
        holds = seal_holds(path)
    except MonosemError as error:
        return Finding(path, False, error.what)
    except OSError as error:
        return Finding(path, False, f"cannot be read: {error.strerror}")
    if not holds:
        return _damage(path)
    try:
        with open_sealed(path, seal.kind) as file:
            found = _attributes(path, seal, file) or _contents(path, seal)
            return (_arrays(path, file) if found.ok else None) or found
    except MonosemError as error:
        return Finding(path, False, error.what)
    except UNREADABLE as error:
        return Finding(path, False, f"its bytes are what was sealed, but not a {seal.kind} file: {error}")


def _attributes(path: Path, seal: Seal, file: h5py.File) -> Finding | None:
    """Check the attributes that repeat the seal, which covers all bytes but its own."""
    for name, said in (("kind", seal.kind), ("schema_version", seal.schema_version)):
        if file.attrs[name] != said:
            return Finding(
                path, False, f"its head is damaged: {name} is {file.attrs[name]}, not {said}; the rest is whole"
            )
    named = next((kind for name, kind in _KINDS.items() if re.fullmatch(name, _told(path))), seal.kind)
    if seal.kind != named:
        return Finding(path, False, f"it holds what a file of the kind {seal.kind} does, under a name of {named}")
    return None


def _told(path: Path) -> str:
    """Return the name of a file; of a comparison or map, whose name a user chose, with its folder."""
    return f"{path.parent.name}/{path.name}" if path.parent.name in (FOLDER, MAPS) else path.name


def _arrays(path: Path, file: h5py.File) -> Finding | None:
    """Check that all arrays hold numbers, also those that nothing reads."""
    for name, found in array_shapes(file, path).items():
        if found.dtype.kind not in "biuf":
            return Finding(path, False, f"{name} is {found.dtype}, not numbers")
    return None


def _contents(path: Path, seal: Seal) -> Finding:
    """Check the content of a file whose bytes are what was sealed."""
    if seal.kind == "sae":
        for name, values in load_sae(path).tensors.items():
            if problem := ANY.problem(values):
                return Finding(path, False, f"{name}: {problem}")
    elif seal.kind == "checkpoint":
        from store.run.checkpoint import check_checkpoint

        check_checkpoint(path, BLOCK)
    elif seal.kind == VOCABULARY:
        read_vocabulary(path)
    elif seal.kind == "activations":
        from store.run.shards import check_shard

        check_shard(path, BLOCK)
    elif seal.kind == "ordinary":
        load_limits(path)
    elif seal.kind == "kinds":
        load_kinds(path)
    elif seal.kind == NEURONS:
        with NeuronActs.open(path) as acts:
            for block in acts.blocks(BLOCK):
                acts.keys(block.start, block.stop)
    elif seal.kind == "comparison":
        load_comparison(path)
    elif seal.kind == OFFSETS:
        if problem := offsets_problem(path):
            return Finding(path, False, problem)
        return Finding(path, True, "digests hold, it fits the text of the tokens")
    elif seal.kind == "map":
        from store.map.map_file import load_map  # few runs have one

        load_map(path)
    elif seal.kind not in RULES:
        return Finding(
            path, False, f"its bytes are what was sealed, but monosem knows no files of the kind {seal.kind}"
        )
    if seal.kind not in RULES:
        return Finding(path, True, "digests hold")
    with IndexFile.open(path, seal.kind) as file:
        file.check_values(BLOCK)
        problem = ""
        if seal.kind != "common":
            part = IndexPart(file)
            if seal.kind == "features":
                check_consecutive([(part.first_token, part.n_tokens)])
            problem = index_problem(file)
        if seal.kind != "segment":
            described(file)
            problem = problem or weights_problem(file)
        if seal.kind == "features" and "corpus/text/length" in file.names and not problem:
            problem = text_problem(path)
        if problem:
            return Finding(path, False, problem)
        if seal.kind == "common":
            return Finding(path, True, "digests hold, its columns follow from the weights")
        checked = f"digests hold, both orders hold the same {file.lengths['E']:,} entries, its columns follow from them"
        return Finding(path, True, checked + (" and the weights" if seal.kind == "features" else ""))


def _damage(path: Path) -> Finding:
    """Find which datasets of a file with changed bytes are still what was written."""
    states = survey(path)
    damaged = tuple(name for name, whole in states.items() if not whole)
    readable = tuple(name for name, whole in states.items() if whole)
    if not readable:
        return Finding(path, False, "damaged: nothing in it can be read")
    if not damaged:
        detail = f"damaged outside its datasets (names, attributes or layout); readable are {', '.join(readable)}"
    else:
        detail = f"damaged in {', '.join(damaged)}; the other datasets are readable"
    return Finding(path, False, detail, damaged, readable)


def _explained(path: Path) -> Finding:
    """Read every line of the explanations."""
    from store.notes.explanations import check_explanations

    try:
        check = check_explanations(path)
    except MonosemError as error:
        return Finding(path, False, error.what)
    if check.damaged:
        lines = ", ".join(map(str, check.damaged[:5])) + (", …" if len(check.damaged) > 5 else "")
        return Finding(path, False, f"damaged lines, which are skipped: {lines}")
    by = f" by {len(check.authors)} author{'s' * (len(check.authors) != 1)}" if check.authors else ""
    return Finding(path, True, f"readable: {check.explanations:,} explanations of {check.features:,} features{by}")


def _measured(path: Path) -> Finding:
    """Read the completeness of an index for a list of concepts."""
    from store.query.completeness_file import load_completeness  # questions' modules, for a file that few runs have

    try:
        _, found = load_completeness(path)
    except MonosemError as error:
        return Finding(path, False, error.what)
    return Finding(path, True, f"readable: {len(found.concepts):,} concepts of {found.features:,} features")


def _neurons(run: RunFolder) -> list[Path]:
    """Return the file of a run's neurons; none behind a link, which is not followed."""
    try:
        return [neuron_path(run)]
    except MonosemError:
        return []


def _record(run: RunFolder) -> list[Finding]:
    """Check run.json, and that no folder of the run is a link into another one."""
    findings = []
    for check, path, good in ((run.record, run.run_json, "readable"), (run.check_links, run.path, "")):
        try:
            check()
        except MonosemError as error:
            findings.append(Finding(path, False, error.what))
        else:
            findings += [Finding(path, True, good)] if good else []
    return findings
