"""Output of `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monosem_tui.cli import output
from monosem_tui.draw.flags import with_flags
from monosem_tui.draw.numbers import compact, duration
from store.run.folder import RunFolder

if TYPE_CHECKING:
    from engine.commands.dry_run import Forecast
    from engine.resources.estimates import Need


def report(runs: Sequence[RunFolder], forecast: Forecast, *, json: bool) -> None:
    """Print disk, memory and time, then the reasons why the command would be refused, if any."""
    if json:
        output.emit_json(forecast_json(runs, forecast))
        return
    from engine.resources.estimates import peak
    from engine.resources.limits import sharing

    plan, room = forecast.plan, forecast.room
    output.emit_text(f"{plan.command} in {runs[0].path}" + (f" and {len(runs) - 1} more" if len(runs) > 1 else ""))
    for title, needs, free, ranks in (
        ("disk", plan.disk, room.disk, 1),
        ("memory", plan.host, room.host, plan.ranks),
        ("device memory", plan.device, room.device, sharing(plan)),
    ):
        if needs:
            _needs(title, needs, peak(needs), free, ranks)
    if plan.traffic:
        output.emit_text(f"{'traffic':<14}{_bytes(plan.traffic):>9}  sent by each process in a training step")
    of = "in one process" if plan.in_one else "in each process, without sending and waiting"
    output.emit_text(f"{'time':<14}{_seconds(plan.seconds):>9}" + (f"  {of}" if plan.ranks > 1 else ""))
    for stage in plan.stages:
        output.emit_text(f"  {_seconds(stage.seconds):>10}  {stage.name}, {compact(stage.tokens)} {plan.noun.many}")
    for error in forecast.refusals:
        output.emit_text(f"it would be refused: {with_flags(error.what)}")
        output.emit_text(f"  {with_flags(error.hint)}")


def _needs(title: str, needs: Sequence[Need], most: int, free: int | None, ranks: int) -> None:
    each = f": {ranks} processes, {_bytes(most)} each" if ranks > 1 else ""
    available = "" if free is None else f", of {_bytes(free)} free"
    kept = sum(need.kept for need in needs)
    stays = f", {_bytes(kept)} in the end" if kept else ""
    output.emit_text(f"{title:<14}{_bytes(ranks * most):>9}  at most{stays}{available}{each}")
    for need in needs:
        when = f", {need.phase}" if need.phase else ""
        flags = f" ({with_flags(need.settings)})" if need.settings else ""
        output.emit_text(f"  {_bytes(need.n_bytes):>10}  {need.what}{when}{flags}")


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else duration(seconds)


def _bytes(n_bytes: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1000:.1f} kB"


def forecast_json(runs: Sequence[RunFolder], forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON values."""
    from dataclasses import asdict

    from engine.resources.estimates import peak
    from engine.resources.limits import sharing

    def item(need: Need) -> dict[str, Any]:
        values = asdict(need)
        return {"flags" if name == "settings" else name: value for name, value in values.items()} | {
            "flags": with_flags(need.settings)
        }

    plan, room = forecast.plan, forecast.room
    return {
        "command": plan.command,
        "path": str(runs[0].path),
        "paths": [str(run.path) for run in runs],
        "fits": not forecast.refusals,
        "refusals": [{"what": with_flags(error.what), "hint": with_flags(error.hint)} for error in forecast.refusals],
        **{
            name: {"peak": ranks * peak(needs), "free": free, "items": [item(need) for need in needs]}
            for name, needs, free, ranks in (
                ("disk", plan.disk, room.disk, 1),
                ("memory", plan.host, room.host, plan.ranks),
                ("device_memory", plan.device, room.device, sharing(plan)),
            )
        },
        "ranks": plan.ranks,
        "memory_per_rank": peak(plan.host),
        "disk_kept": sum(need.kept for need in plan.disk),
        "traffic_per_step": plan.traffic,
        "flops": None,
        "seconds": plan.seconds,
        "stages": [{"name": s.name, "tokens": s.tokens, "flops": None, "seconds": s.seconds} for s in plan.stages],
    }
