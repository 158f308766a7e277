"""Quotas of a run and of a project, and the error for a request beyond one.

Whoever may send can otherwise fill the disk with names, runs and attempts; each of them costs far more
than a point. A message beyond a quota is set aside, counted and shown; the rest of its batch is stored.
"""

from cusp.protocol.messages import BoundaryMessage, CheckpointMessage, Message, SampleMessage
from cusp.protocol.run import RunStart
from monitor.database.engine import Transaction
from monitor.errors import QuotaExceeded
from monitor.store import checkpoints, commands, quotas, runs

RUNS_OF_A_PROJECT = 10_000
ATTEMPTS_OF_A_RUN = 1_000
WAITING_JOBS_OF_A_RUN = 100
OPEN_COMMANDS_OF_A_RUN = 200  # each of them is in every answer to the trainer
OF_A_RUN = {"samples": 10_000, "checkpoints": 10_000, "boundaries": 1_000}
KEPT_ASIDE = 5_000  # of the messages of a run that were set aside; further ones are only counted
LIMITS = {
    "runs of a project": RUNS_OF_A_PROJECT,
    "attempts of a run": ATTEMPTS_OF_A_RUN,
    "jobs of a run that wait": WAITING_JOBS_OF_A_RUN,
    "open commands of a run": OPEN_COMMANDS_OF_A_RUN,
    **{f"{kind} of a run": most for kind, most in OF_A_RUN.items()},
}
"""All quotas by what they limit, for the settings page."""
_KINDS: dict[type, str] = {
    SampleMessage: "samples",
    CheckpointMessage: "checkpoints",
    BoundaryMessage: "boundaries",
}


def check_announced(tx: Transaction, start: RunStart) -> None:
    """Raise QuotaExceeded when the project has no room for the run, or the run none for the attempt."""
    if runs.get(tx, start.run_id) is None:
        _check_project(tx, start.project)
    elif runs.attempt(tx, start.attempt_id) is None:
        _check_attempts(tx, start.run_id)


def check_jobs(tx: Transaction, run_id: str) -> None:
    """Raise QuotaExceeded when as many jobs of the run wait or are at work as there can be."""
    if quotas.waiting_jobs(tx, run_id) >= WAITING_JOBS_OF_A_RUN:
        raise QuotaExceeded(
            f"run {run_id} has {WAITING_JOBS_OF_A_RUN} jobs that wait or are at work, the most there can"
            " be; start a worker (`cusp worker`), or ask again when some are done"
        )


def check_commands(tx: Transaction, run_id: str) -> None:
    """Raise QuotaExceeded when as many commands of the run are open as there can be."""
    if len(commands.pending(tx, run_id)) >= OPEN_COMMANDS_OF_A_RUN:
        raise QuotaExceeded(
            f"run {run_id} has {OPEN_COMMANDS_OF_A_RUN} open commands, the most there can be;"
            " ask again when its trainer has done some"
        )


def _check_project(tx: Transaction, project: str) -> None:
    if quotas.of_project(tx, project) >= RUNS_OF_A_PROJECT:
        raise QuotaExceeded(
            f"the project {project!r} has {RUNS_OF_A_PROJECT} runs, the most there can be;"
            " delete some, or record under another project (CUSP_PROJECT)"
        )


def _check_attempts(tx: Transaction, run_id: str) -> None:
    if quotas.of_run(tx, run_id, "attempts") >= ATTEMPTS_OF_A_RUN:
        raise QuotaExceeded(
            f"run {run_id} has {ATTEMPTS_OF_A_RUN} attempts, the most there can be;"
            " record under a new run (leave CUSP_RUN_ID unset)"
        )


class Quota:
    """What one run still has room for, during one batch."""

    def __init__(self, tx: Transaction, run_id: str) -> None:
        self._tx, self._run_id = tx, run_id
        self._there: dict[str, int] = {}

    def refusal(self, message: Message) -> str | None:
        """Return why the message finds no room, or None after counting it in."""
        kind = _KINDS.get(type(message))
        if kind is None or self._known(message):
            return None
        if kind not in self._there:
            self._there[kind] = quotas.of_run(self._tx, self._run_id, kind)
        if self._there[kind] >= OF_A_RUN[kind]:
            return f"the run has {OF_A_RUN[kind]} {kind}, the most there can be; send fewer"
        self._there[kind] += 1
        return None

    def _known(self, message: Message) -> bool:
        """Return whether the message is another word on a checkpoint that is there."""
        if not isinstance(message, CheckpointMessage):
            return False
        return checkpoints.get(self._tx, message.checkpoint_id) is not None
