"""A run folder: its files, the record in run.json, and the lock of the process that works on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from store.files.atomic import atomic_path, read_json, remove, write_json
from store.files.errors import MonosemError, WorkFailed, disk_errors
from store.files.regular_file import read_whole
from store.files.schema import SCHEMA_VERSION, check_version
from store.files.typed_json import JsonError, Narrowed, decode
from store.run.counted_noun import CountedNoun, noun_of
from store.run.spec import SaeSpec

S = TypeVar("S")
COMPLETENESS = "completeness"
"""Folder in a run of what is known of its completeness (store.query.completeness_file)."""
MAPS = "maps"
"""Folder in a run of the maps of its features (store.map.map_file)."""
Time = Annotated[float, Narrowed("a time since 1970 in seconds", lambda value: 0 <= value < 1e11)]
WORKING = ("training lm", "extracting", "training", "indexing", "evaluating")
"""Statuses of a run that a process is working on; the others are "new", "done", "stopped" and "failed"."""
FIRST = {"held_out": "documents"}
"""Settings that monosem 0.1 did not record, as it had them."""
_LEFTOVER = re.compile(
    r"\.((run|tokenizer)\.json|(sae|ordinary|vocabulary|features|offsets|kinds|common|(step|shard|seg|early)-\d+)\.h5|model)\.tmp-[\w.-]+|\.index\.old"
)
"""Names of a run's temporary files and folders."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a result, complete enough to repeat it."""

    versions: dict[str, str] = field(default_factory=dict)
    """Version by package name, Python included."""
    model: str = ""
    model_revision: str = ""
    """Commit in the hub's repository; empty for a local folder."""
    model_digest: str = ""
    """SHA-256 over the model's safetensors files."""
    dtype: str = ""
    """Type in which the model was computed, or was asked for where it was not run; empty in runs of 0.1."""
    weights: str = ""
    """int8 or int4 where the model's matrices were quantised."""
    corpus: str = ""
    corpus_digest: str = ""
    """SHA-256 over the text, or over file names and sizes where the text is streamed."""
    array: str = ""
    """File (and dataset in it) of the activations, for a training on an array; model and corpus are then empty."""
    array_shape: list[int] = field(default_factory=list)
    """Rows and width."""
    array_digest: str = ""
    """SHA-256 over dtype, shape and all rows."""
    seed: int = 0
    hardware: str = ""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The numbers of a finished run that lists and headers show; None where not measured."""

    tokens: int | None = None
    """Tokens the SAE was trained on."""
    outlier_tokens: int | None = None
    """Tokens that the training left out."""
    explained_variance: float | None = None
    l0: float | None = None
    alive: int | None = None
    ce_recovered_zero: float | None = None
    delta_ce: float | None = None
    delta_ce_se: float | None = None
    kl: float | None = None
    kl_se: float | None = None


@dataclass(frozen=True)
class _Version:
    schema_version: int = 0


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of run.json."""

    schema_version: int = SCHEMA_VERSION
    name: str = ""
    created: Time = 0.0
    """Seconds since the epoch."""
    status: str = "new"
    message: str = ""
    """Reason that a run stopped or failed, in one sentence."""
    pid: int = 0
    host: str = ""
    spec: SaeSpec = field(default_factory=SaeSpec)
    provenance: Provenance = field(default_factory=Provenance)
    results: Results = field(default_factory=Results)
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Resolved settings of each command that worked on the run, by command name."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """The last output of `monosem eval --json`."""
    lm: dict[str, Any] = field(default_factory=dict)
    """The figures that `monosem lm` has printed of the model it trained."""

    @property
    def noun(self) -> CountedNoun:
        """The noun for what its figures are counted in."""
        return noun_of(array=bool(self.provenance.array))

    def current_status(self) -> str:
        """Return the status; "stopped" where the worker died without updating it (kill -9, power cut)."""
        if self.status in WORKING and self.host == platform.node():
            from store.files.owner_lock import is_alive

            if not is_alive(self.pid):
                return "stopped"
        return self.status


class RunFolder:
    """The paths of one run's files, its record and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_json = path / "run.json"
        self.events = path / "events.jsonl"
        self.sae = path / "sae.h5"
        self.ordinary = path / "ordinary.h5"
        self.vocabulary = path / "vocabulary.h5"
        self.checkpoints = path / "checkpoints"
        self.activations = path / "activations"
        self.index = path / "index"
        self.features = path / "features.h5"
        self.notes = path / "notes.jsonl"
        self.kinds = path / "kinds.h5"
        self.explanations = path / "explanations.jsonl"
        self.model = path / "model"
        self.texts = path / "texts"
        self._lock = path / ".lock"

    def on_text(self, name: str) -> RunFolder:
        """Return the folder of an index of this run's features on another text: its index and features.h5 alone.

        Raises:
            MonosemError: the folder, or the one of all such indexes, is a link.
        """
        place = RunFolder(self.texts / name)
        for folder in (self.texts, place.path, place.index):
            if folder.is_symlink():
                raise MonosemError(f"{folder} is a link", "Remove it: nothing is written through links of a run.")
        return place

    def texts_indexed(self) -> list[RunFolder]:
        """Return the folders of all indexes on other texts, links left out."""
        if self.texts.is_symlink() or not self.texts.is_dir():
            return []
        found = [path for path in sorted(self.texts.iterdir()) if path.is_dir() and not path.is_symlink()]
        return [RunFolder(path) for path in found if not (path / "index").is_symlink()]

    @property
    def name(self) -> str:
        """Name of the folder itself, links resolved."""
        return self.path.resolve().name

    def exists(self) -> bool:
        """Return whether there is a run.json."""
        return self.run_json.is_file()

    def record(self) -> RunRecord:
        """Read run.json.

        Raises:
            MonosemError: there is none, it is damaged, or it is of a newer schema.
        """
        if not self.exists():
            raise MonosemError(f"{self.path} is not a run: it has no run.json", "`monosem runs` lists all runs.")
        data = read_json(self.run_json)
        check_version(self._decoded(_Version, data).schema_version, self.run_json)
        return self._decoded(RunRecord, data)

    def settings(self, command: str, kind: type[S]) -> S | None:
        """Return the settings that a command has recorded; None where it has not worked on the run.

        Raises:
            MonosemError: as `record` does, or they are not settings of that kind.
        """
        config = self.record().config
        return self._decoded(kind, FIRST | config[command], f"config.{command}") if command in config else None

    def lm_figures(self, kind: type[S]) -> S | None:
        """Return the figures of the language model that was trained here; None where there are none.

        Raises:
            MonosemError: as `record` does, or they are not of that kind.
        """
        found = self.record().lm
        return self._decoded(kind, found, "lm") if found else None

    def _decoded(self, kind: type[S], data: Any, name: str = "") -> S:
        try:
            return decode(kind, data, finite=False)
        except JsonError as error:
            raise MonosemError(f"{self.run_json} is damaged: {error.inside(name) if name else error}") from error

    def create(self, record: RunRecord) -> None:
        """Write the first run.json, with the folder's name and the present time."""
        self._write(replace(record, name=self.name, created=record.created or time.time()))

    def update(self, **changes: Any) -> RunRecord:
        """Change fields of run.json, all or nothing, and return the new record. The caller holds `locked`."""
        record = replace(self.record(), **changes)
        self._write(record)
        return record

    def _write(self, record: RunRecord) -> None:
        values = asdict(replace(record, schema_version=SCHEMA_VERSION)) | {"spec": record.spec.as_values()}
        write_json(self.run_json, values)

    @contextmanager
    def working(self, status: str) -> Iterator[None]:
        """Set the status while this process works on the run, and at the end how the work ended."""
        self.update(status=status, message="", pid=os.getpid(), host=platform.node())
        try:
            yield
        except KeyboardInterrupt:
            self._close("stopped", "interrupted")
            raise
        except MonosemError as error:
            self._close("failed", error.what)
            raise
        except BaseException as error:
            self._close("failed", f"{type(error).__name__}: {error}")
            raise
        self.update(status="done", pid=0)

    def _close(self, status: str, message: str) -> None:
        try:
            self.update(status=status, message=message, pid=0)
        except MonosemError:
            return  # the disk is full: the first error matters more, and a dead pid reads as stopped

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock for writing; makes the folder.

        A `MonosemError` before any file was made (an empty corpus, say) leaves the run as it was, and no folder where
        there was none.

        Raises:
            MonosemError: another process holds the lock, or the folder cannot be written.
        """
        from store.files.owner_lock import owned

        made = [path for path in (self.path, self.path.parent) if not path.exists()]
        try:
            with disk_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
            if not self.exists() and any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise MonosemError(f"{self.path} is not empty, and not a run", "Choose another `out`.")
            with owned(self._lock):
                self.check_links()
                self._tidy()
                before, known = self._work(), read_whole(self.run_json) if self.exists() else None
                try:
                    yield
                except WorkFailed:
                    raise
                except MonosemError:
                    if self._work() == before:
                        self._forget(known, is_new=self.path in made)
                    raise
        finally:
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()  # as long as it is empty

    def check_links(self) -> None:
        """Refuse a folder of the run that is a link into a run, or to anything but such a folder: work writes there.

        Raises:
            MonosemError: there is such a link.
        """
        parts: dict[Path, tuple[str, ...]] = {
            self.index: ("common.h5",),
            self.checkpoints: ("step-*.h5", "lm"),
            self.checkpoints / "lm": ("step-*.h5", "tokenizer.json"),
            self.activations: ("shard-*.h5",),
            self.model: ("*",),
        }
        for folder, held in parts.items():
            if not folder.is_symlink():
                continue
            target = folder.resolve()
            if any((above / self.run_json.name).exists() for above in (target, *target.parents[:2])):
                raise MonosemError(f"{folder} is a link into a run", "Remove the link.")
            if not any(any(folder.glob(name)) for name in held):
                raise MonosemError(f"{folder} is a link to a place that holds nothing of a run", "Remove the link.")

    def _tidy(self) -> None:
        """Remove what killed writers have left: while this process holds the lock, nobody else writes these names."""
        places = (self.path, self.checkpoints, self.checkpoints / "lm", self.activations, self.index)
        on_texts = [folder for one in self.texts_indexed() for folder in (one.path, one.index)]
        for folder in (*places, *on_texts):
            for path in () if folder.is_symlink() else folder.glob(".*"):
                if _LEFTOVER.fullmatch(path.name):
                    remove(path)

    def _work(self) -> dict[Path, int]:
        """Return the size of every file of the run except run.json and the lock."""
        found = (path for path in self.path.rglob("*") if path not in (self.run_json, self._lock))
        return {path: path.stat().st_size for path in found if path.is_file()}

    def _forget(self, record: bytes | None, *, is_new: bool) -> None:
        """Restore run.json as it was before this process wrote it, and remove a new folder."""
        if record is not None:
            with suppress(MonosemError), atomic_path(self.run_json) as temporary:
                temporary.write_bytes(record)
            return
        self.run_json.unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(self.path, ignore_errors=True)


def runs_root(given: str | None = None) -> Path:
    """Return the folder of runs: the one given, else $MONOSEM_RUNS, else ./runs."""
    return Path(given or os.environ.get("MONOSEM_RUNS") or "runs")


def find_run(name: str, root: Path) -> RunFolder:
    """Return a run by its folder or by its name under `root`.

    Raises:
        MonosemError: neither is a run.
    """
    for path in (Path(name), root / name):
        if os.path.isfile(path / "run.json"):  # noqa: PTH113 - Path.is_file raises for names that are too long
            return RunFolder(path)
    places = " nor at ".join(dict.fromkeys((name, str(root / name))))
    raise MonosemError(f"no run at {places}", "`monosem runs` lists all runs.")


def list_runs(root: Path) -> list[RunFolder]:
    """Return every run under `root`, the last changed first."""
    if not root.is_dir():
        return []
    found = [(_changed(path), RunFolder(path.parent)) for path in root.glob("*/run.json")]
    return [run for _, run in sorted(found, key=lambda one: one[0], reverse=True)]


def _changed(path: Path) -> float:
    """Return the time of the last write; 0 where the file has vanished meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
