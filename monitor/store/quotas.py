"""Counts of stored objects, for the quotas."""

from sqlalchemy import Connection, Table, func, select

from monitor.database.schema import attempts, boundaries, checkpoints, jobs, runs, samples

_OF_RUN: dict[str, Table] = {
    "attempts": attempts,
    "boundaries": boundaries,
    "checkpoints": checkpoints,
    "samples": samples,
}


def of_run(connection: Connection, run_id: str, kind: str) -> int:
    """Return how many samples, checkpoints, boundaries or attempts a run has."""
    table = _OF_RUN[kind]
    return connection.execute(
        select(func.count()).select_from(table).where(table.c.run_id == run_id)
    ).scalar_one()


def of_project(connection: Connection, project: str) -> int:
    """Return how many runs a project has, deleted ones that can be restored too."""
    return connection.execute(
        select(func.count()).select_from(runs).where(runs.c.project == project)
    ).scalar_one()


def waiting_jobs(connection: Connection, run_id: str) -> int:
    """Return how many jobs of a run wait for a worker or are at work."""
    waiting = jobs.c.state.in_(("queued", "leased"))
    return connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.run_id == run_id, waiting)
    ).scalar_one()
