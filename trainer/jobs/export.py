"""Export job: a checkpoint of this box into `exports/` of its run's folder, with what the monitor knows of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cusp.checkpoints import location, paths
from cusp.checkpoints.manifest import CheckpointError
from cusp.protocol.fields import Id, Step
from trainer.export import exporting
from trainer.export.card import Facts
from trainer.export.exporting import Wanted, export, name_of
from trainer.jobs.client import Job, MonitorClient
from trainer.jobs.held.beat import Heartbeat

Say = Callable[[str], None]
EXPORTS = "exports"


class ExportOrder(BaseModel):
    """The payload of an export job."""

    model_config = ConfigDict(frozen=True)
    checkpoint_id: Id
    step: Step
    path: str
    sha256: str
    merged: bool


def export_checkpoint(
    monitor: MonitorClient, directory: Path, job: Job, heartbeat: Heartbeat, say: Say
) -> dict[str, Any]:
    """Write the export and return its folder, hashes and size; one that is there already is returned.

    Raises CheckpointError when the checkpoint is not whole on this box, JobCancelled between what it says.
    """

    def say_on(line: str) -> None:
        heartbeat.check()
        say(line)

    order = ExportOrder.model_validate(job.payload)
    registered = {"id": order.checkpoint_id, **order.model_dump(exclude={"checkpoint_id"})}
    found = location.look(directory, job.run_id, registered)
    if found is None or found.place is None:
        raise CheckpointError(found.words if found else f"step {order.step} is not on this box")
    heartbeat.report(0, 1, f"exporting step {order.step}{', merged' if order.merged else ''}")
    facts = _facts(monitor, job.run_id, order.checkpoint_id)
    into = _folder(paths.run_root(directory, job.run_id), order)
    wanted = Wanted(name_of(str(facts.run.get("name", "run")), order.step), order.merged)
    cache = directory / "cache"
    made = exporting.found_in(into) or export(found.place, into, wanted, cache, say_on, facts)
    say(f"step {order.step} is exported to {made.folder}")
    return {"export": made.as_result()}


def _folder(root: Path, order: ExportOrder) -> Path:
    kind = "merged" if order.merged else "adapter"
    return root / EXPORTS / f"checkpoint-{order.step}-{order.sha256[:16]}-{kind}"


def _facts(monitor: MonitorClient, run_id: str, checkpoint_id: str) -> Facts:
    run = monitor.read(f"/runs/{run_id}")
    scores = monitor.read(f"/runs/{run_id}/evaluations")
    known = monitor.checkpoints(run_id)
    checkpoint = next((each for each in known if each["id"] == checkpoint_id), {})
    return Facts(run, checkpoint, scores.get("evaluations", ()), scores.get("comparison"))
