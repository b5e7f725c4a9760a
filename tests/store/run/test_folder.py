"""run.json, who works on a run, and how runs are found."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from store.files.errors import MonosemError, WorkFailed
from store.files.schema import NEWEST_VERSION, SCHEMA_VERSION
from store.run.events import EndEvent, EventLog, EventTail
from store.run.folder import WORKING, Provenance, Results, RunFolder, RunRecord, find_run, list_runs, runs_root
from store.run.spec import SaeSpec
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings
from tests.patience import PATIENCE

RECORD = RunRecord(
    created=12.5,
    status="done",
    message="“odd” \n text",
    spec=SaeSpec(model="m", layer=3, site="mlp_out", arch="topk", d_in=8, d_sae=64, k=4),
    provenance=Provenance(versions={"python": "3.11"}, model="m", corpus="c", seed=7, hardware="cpu"),
    results=Results(tokens=1000, explained_variance=0.9, alive=60),
    config={"train": {"lr": 1e-3, "data": ["a", "b"], "k": None}},
    evaluation={"l0": 4.0},
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that has a record."""
    made = RunFolder(tmp_path / "demo")
    made.create(RECORD)
    return made


def edit(run: RunFolder, **changes: object) -> None:
    run.run_json.write_text(json.dumps(json.loads(run.run_json.read_text()) | changes))


def test_round_trip(run: RunFolder) -> None:
    assert run.record() == replace(RECORD, name="demo")
    assert run.update(status="stopped") == replace(RECORD, name="demo", status="stopped") == run.record()
    assert json.loads(run.run_json.read_text())["schema_version"] == SCHEMA_VERSION


def test_created_now_unless_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new")
    assert not run.exists()
    run.create(RunRecord())
    assert run.exists()
    assert abs(run.record().created - run.run_json.stat().st_mtime) < 60


def test_keys_of_a_later_version_are_ignored(run: RunFolder) -> None:
    nested = {name: asdict(getattr(RECORD, name)) | {"later": 1} for name in ("spec", "provenance", "results")}
    edit(run, later={"x": 1}, **nested)
    assert run.record() == replace(RECORD, name="demo")


def test_keys_of_an_earlier_version_may_be_missing(run: RunFolder) -> None:
    run.run_json.write_text('{"name": "demo"}')
    assert run.record() == RunRecord(name="demo")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "3",
        '{"spec": [1]}',
        '{"schema_version": null}',
        '{"schema_version": 1e999}',
        '{"schema_version": -Infinity}',
        '{"schema_version": NaN}',
        '{"results": "none"}',
        "\xff",
        "[" * 20_000,
        '{"pid": ' + "9" * 5000 + "}",
    ],
)
def test_damaged(run: RunFolder, text: str) -> None:
    run.run_json.write_bytes(text.encode("latin-1"))
    with pytest.raises(MonosemError, match=r"run\.json is damaged"):
        run.record()


WRONG: list[tuple[str, object]] = [
    *(("created", value) for value in ("yesterday", None, math.nan, math.inf, 1e300, -1e18, 10**400, True)),
    *(("status", value) for value in (5, None, [])),
    *(("message", value) for value in ([1], None, {})),
    *(("pid", value) for value in (2**80, "12", None, 1.5)),
    ("host", 3),
    *(("spec.d_sae", value) for value in ("many", None, 1.0, [])),
    *((f"spec.{name}", 5) for name in ("model", "site", "site_out", "arch", "excluded", "token_norm")),
    *((f"spec.{name}", "5") for name in ("layer", "layer_out", "d_out", "d_in", "k", "l1")),
    ("spec.skip", 0),
    ("provenance.versions", 5),
    ("provenance.versions.python", 3),
    *((f"provenance.{name}", 5) for name in ("model", "model_revision", "corpus", "array", "hardware")),
    ("provenance.array_shape", "2"),
    ("provenance.array_shape[1]", [1, 2.5]),
    ("provenance.seed", "x"),
    ("results.explained_variance", "high"),
    ("results.explained_variance", [1]),
    ("results.tokens", "x"),
    ("results.tokens", 1e9),
    ("results.alive", {}),
    ("config", []),
    ("config.train", 5),
    ("evaluation", "good"),
]


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_a_wrong_value_is_named_by_its_field(run: RunFolder, place: str, value: object) -> None:
    data = json.loads(run.run_json.read_text())
    inside = data
    *path, last = place.partition("[")[0].split(".")
    for name in path:
        inside = inside[name]
    inside[last] = value
    run.run_json.write_text(json.dumps(data))
    with pytest.raises(MonosemError) as error:
        run.record()
    assert error.value.what.startswith(f"{run.run_json} is damaged: {place} is ")
    assert list_runs(run.path.parent)


def test_recorded_settings_are_read_like_the_record(run: RunFolder) -> None:
    run.update(config={"train": {"k": 5, "of a later version": 1}, "lm": {"vocab": "many"}})
    assert run.settings("train", TrainSettings) == TrainSettings(k=5, held_out="documents"), "as monosem 0.1 held out"
    assert run.settings("extract", TrainSettings) is None
    with pytest.raises(MonosemError, match=r'run\.json is damaged: config\.lm\.vocab is "many", not an integer'):
        run.settings("lm", LmSettings)


def test_of_a_newer_schema(run: RunFolder) -> None:
    edit(run, schema_version=NEWEST_VERSION + 1)
    with pytest.raises(MonosemError, match=f"has schema version {NEWEST_VERSION + 1}"):
        run.record()


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match=r"is not a run: it has no run\.json"):
        RunFolder(tmp_path).record()


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    return child.pid


@pytest.mark.parametrize("status", WORKING)
def test_a_worker_that_died_reads_as_stopped(run: RunFolder, status: str) -> None:
    here = {"status": status, "host": platform.node()}
    assert run.update(**here, pid=os.getpid()).current_status() == status
    assert run.update(**here, pid=dead_pid()).current_status() == "stopped"
    assert run.update(**here, pid=0).current_status() == "stopped"
    assert run.update(status=status, host="elsewhere", pid=dead_pid()).current_status() == status


@pytest.mark.parametrize("status", ["done", "failed", "stopped", "new"])
def test_what_has_ended_stays_as_it_ended(run: RunFolder, status: str) -> None:
    assert run.update(status=status, host=platform.node(), pid=dead_pid()).current_status() == status


def test_working_says_how_it_ended(run: RunFolder) -> None:
    with run.working("training"):
        record = run.record()
        assert (record.status, record.pid, record.host) == ("training", os.getpid(), platform.node())
    assert (run.record().status, run.record().pid) == ("done", 0)
    for error, status, message in (
        (KeyboardInterrupt(), "stopped", "interrupted"),
        (WorkFailed("the loss is nan", "lower --lr"), "failed", "the loss is nan"),
        (ZeroDivisionError("division by zero"), "failed", "ZeroDivisionError: division by zero"),
    ):
        with pytest.raises(type(error)), run.working("training"):
            raise error
        assert (run.record().status, run.record().message, run.record().pid) == (status, message, 0)
    with run.working("indexing"):
        assert run.record().message == ""


def test_what_killed_writers_left_goes_with_the_next_lock_and_nothing_else(run: RunFolder, tmp_path: Path) -> None:
    theirs = ["{run}/.run.json.tmp-7", "{run}/.features.h5.tmp-7", "{run}/checkpoints/.step-30.h5.tmp-7"]
    theirs += ["{run}/checkpoints/lm/.tokenizer.json.tmp-7", "{run}/activations/.shard-00000.h5.tmp-7"]
    theirs += ["{run}/index/.seg-00012.h5.tmp-7", "{run}/.index.old/seg-00000.h5", "{run}/.model.tmp-7/config.json"]
    kept = ["{run}/.secret.tmp-7", "{run}/features.h5.tmp-7", "{run}/.run.json", "{run}/mine/.run.json.tmp-7"]
    kept += ["{run}/model/.run.json.tmp-7", "{run}/checkpoints/step-30.h5", "{run}/.notes.jsonl.swp"]
    places = [Path(name.format(run=run.path)) for name in theirs + kept]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / ".step-1.h5.tmp-7").write_text("x")
    (run.path / ".sae.h5.tmp-7").symlink_to(elsewhere / ".step-1.h5.tmp-7")
    with run.locked():
        pass
    assert [place.exists() for place in places] == [False] * len(theirs) + [True] * len(kept)
    assert not (run.path / ".sae.h5.tmp-7").is_symlink()
    shutil.rmtree(run.checkpoints)
    run.checkpoints.symlink_to(elsewhere)
    (elsewhere / "step-1.h5").write_text("x")
    with run.locked():
        assert (elsewhere / ".step-1.h5.tmp-7").exists()


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("name", ["index", "checkpoints", "checkpoints/lm", "activations", "model"])
def test_a_linked_folder_that_holds_nothing_of_a_run_is_not_worked_in(
    name: str, is_there: bool, run: RunFolder, tmp_path: Path
) -> None:
    home, link = tmp_path / "home", run.path / name
    if is_there:
        home.mkdir()
        if name != "model":  # any file may belong to a model
            (home / "precious.h5").write_text("x")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(home)
    with pytest.raises(MonosemError, match=f"{link} is a link to a place that holds nothing"), run.locked():
        pass
    assert home.exists() == is_there


def _lock_it(path: Path, answer: multiprocessing.Queue[str]) -> None:
    try:
        with RunFolder(path).locked():
            answer.put("held")
    except MonosemError as error:
        answer.put(error.what)


def from_another_process(path: Path) -> str:
    context = multiprocessing.get_context("fork")
    answer: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=_lock_it, args=(path, answer))
    child.start()
    child.join()
    return answer.get(timeout=PATIENCE)


def test_a_second_writer_is_refused_at_once(run: RunFolder) -> None:
    before = run.run_json.read_bytes()
    with run.locked():
        held = f"another monosem (process {os.getpid()} on {platform.node()}) is writing to {run.path}"
        assert from_another_process(run.path) == held
        with pytest.raises(MonosemError, match="Wait for it"), RunFolder(run.path).locked():
            pass
    assert run.run_json.read_bytes() == before
    assert from_another_process(run.path) == "held"


def test_a_lock_makes_the_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b").locked():
        assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b" / ".lock").read_bytes() == b""


def test_a_lock_that_cannot_be_made_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("store.files.owner_lock.open_regular", full)
    with pytest.raises(MonosemError, match="no space left"), RunFolder(tmp_path / "a" / "b").locked():
        pytest.fail("it was locked")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_does_not_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine" / ".git").mkdir(parents=True)
    with RunFolder(tmp_path / "mine").locked():
        pass
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for path, said in ((tmp_path / "mine", "is not empty, and not a run"), (tmp_path / "file", "File exists")):
        with pytest.raises(MonosemError, match=said), RunFolder(path).locked():
            pytest.fail("it was locked")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [".git", ".lock", "thesis.tex"]


def test_where_runs_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONOSEM_RUNS", raising=False)
    assert runs_root() == Path("runs")
    monkeypatch.setenv("MONOSEM_RUNS", "/elsewhere")
    assert runs_root() == Path("/elsewhere")
    assert runs_root("given") == Path("given")


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    for name, age in (("a", 30), ("b", 10), ("c", 20)):
        run = RunFolder(tmp_path / name)
        run.create(RunRecord())
        os.utime(run.run_json, (1e9 - age, 1e9 - age))
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "c", "a"]


def test_finding_a_run(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_run("demo", tmp_path).path == run.path
    assert find_run(str(run.path), Path("/nowhere")).path == run.path
    monkeypatch.chdir(run.path)
    assert find_run(".", Path("/nowhere")).name == "demo"
    monkeypatch.chdir(tmp_path)
    RunFolder(tmp_path / "root" / "demo").create(RunRecord(status="failed"))
    assert find_run("demo", tmp_path / "root").record().status == "done"  # a path goes before a name
    with pytest.raises(MonosemError, match=r"no run at other nor at .*root/other"):
        find_run("other", tmp_path / "root")


@pytest.mark.parametrize("pid", [2**62, 0, -1])
def test_a_pid_of_nobody_reads_as_stopped(run: RunFolder, pid: int) -> None:
    run.update(status="training", host=platform.node(), pid=pid)
    assert run.record().current_status() == "stopped"


def test_wrong_use_before_any_work_leaves_no_folder(tmp_path: Path) -> None:
    made = RunFolder(tmp_path / "runs" / "new")
    with pytest.raises(MonosemError, match="empty corpus"), made.locked():
        made.create(RECORD)
        raise MonosemError("empty corpus")
    assert not made.path.exists()


def test_wrong_use_before_any_work_leaves_the_record_as_it_was(run: RunFolder) -> None:
    before = run.run_json.read_bytes()
    with pytest.raises(MonosemError), run.locked(), run.working("training"):
        run.update(config={"train": {}})
        raise MonosemError("empty corpus")
    assert run.run_json.read_bytes() == before


@pytest.mark.parametrize("error", [WorkFailed("the loss is nan"), KeyboardInterrupt()])
def test_other_ends_are_kept(error: BaseException, tmp_path: Path) -> None:
    made = RunFolder(tmp_path / "new")
    with pytest.raises(type(error)), made.locked():
        made.create(RECORD)
        with made.working("training"):
            raise error
    assert made.record().status == ("stopped" if isinstance(error, KeyboardInterrupt) else "failed")


def test_a_failure_behind_some_work_is_kept(run: RunFolder) -> None:
    with pytest.raises(MonosemError), run.locked(), run.working("training"):
        run.events.write_text("{}\n")
        raise MonosemError("a bad line far behind")
    assert (run.record().status, run.record().message) == ("failed", "a bad line far behind")
    assert run.events.is_file()


def test_a_lock_that_leads_elsewhere_empties_no_file(run: RunFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / ".lock").symlink_to(victim)
    with pytest.raises(MonosemError, match=r"\.lock is a link out of its folder"), run.locked():
        pytest.fail("it was locked")
    assert victim.read_text() == "precious"


def test_a_lock_that_is_a_fifo_is_refused_and_not_waited_for(run: RunFolder) -> None:
    (run.path / ".lock").unlink(missing_ok=True)
    os.mkfifo(run.path / ".lock")
    with pytest.raises(MonosemError, match=r"\.lock is not a regular file"), run.locked():
        pytest.fail("it was locked")


def test_a_run_under_a_link_is_locked_like_any(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run.path)
    linked = RunFolder(tmp_path / "link")
    with linked.locked():
        linked.update(status="done")
    assert run.record().status == "done"


def test_events_and_records_are_not_read_through_links(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(run.run_json.read_text())
    EventLog(tmp_path / "events").append(EndEvent(tokens=1, seconds=1.0, tok_s=1.0))
    before = (tmp_path / "events").read_bytes()
    run.run_json.unlink()
    run.run_json.symlink_to(tmp_path / "record.json")
    run.events.symlink_to(tmp_path / "events")
    with pytest.raises(MonosemError, match="link out of its folder"):
        run.record()
    with pytest.raises(MonosemError, match="link out of its folder"):
        EventLog(run.events).append(EndEvent(tokens=1, seconds=1.0, tok_s=1.0))
    assert EventTail(run.events).poll() == ([], False)
    assert (tmp_path / "events").read_bytes() == before
