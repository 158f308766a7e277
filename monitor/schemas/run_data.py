"""What is stored of one run, for its page, for a section of it and for REST: each table read once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from monitor.database.engine import Transaction
from monitor.database.union_select import UnionSelect
from monitor.roles.stored_series import as_shown
from monitor.runs.sample_choice import transition_step
from monitor.schemas import readings
from monitor.schemas.base import attempt_numbers
from monitor.schemas.downsample import drawn, judged_steps, length
from monitor.store import (
    checkpoints,
    commands,
    jobs,
    points,
    quarantine,
    runs,
    verdicts,
)
from monitor.store.access import audit
from monitor.store.checkpoints import Registered
from monitor.store.quarantine import Attempts
from monitor.store.scores import completions, evaluations, verifications
from webui.charts.series import MAX_POINTS, MAX_POINTS_SMALL, weight_for

QUARANTINED_SHOWN = 5
SAMPLES_SHOWN = 3  # on either side of the transition
# The series of the large charts; all others are drawn a few hundred pixels wide.
MAIN = ("format_reward", "completion_length", "accuracy_reward", "reward", "clipped_ratio")

_TOLD = UnionSelect(
    {
        "audit": audit.OF_RUN,
        "change_points": verdicts.CHANGE_POINTS,
        "commands": commands.OF_RUN,
        "decisions": verdicts.DECISIONS,
    },
    {"audit": "-at id", "change_points": "step seen_at_step", "commands": "id", "decisions": "id"},
)


class RunData:
    """A run's row and, read in its transaction when first asked for, the rows that belong to it.

    It has what `Readings` has, so `schemas.run.summary` takes either.
    """

    def __init__(self, tx: Transaction, run: Any) -> None:
        self._tx = tx
        self.run = run

    def read_told(self) -> None:
        """Read `audit`, `change_points`, `commands` and `decisions` now, by one statement, for who shows them all."""
        vars(self).update(_TOLD.read(self._tx, {"run": self.run.id}))

    @cached_property
    def _attempts(self) -> Attempts:
        return quarantine.with_attempts(self._tx, self.run.id, QUARANTINED_SHOWN)

    @property
    def attempts(self) -> Sequence[Any]:
        """The attempts in the order of their lives."""
        return self._attempts.rows

    @property
    def numbers(self) -> dict[int, int]:
        """The attempts' numbers by their keys."""
        return attempt_numbers(self.attempts)

    @property
    def quarantined(self) -> int:
        """How many messages were set aside."""
        return self._attempts.total

    @property
    def quarantine(self) -> Sequence[Any]:
        """The messages that were set aside last, newest first."""
        return self._attempts.latest

    @cached_property
    def _stored(self) -> list[points.Series]:
        return self._points()

    @cached_property
    def series(self) -> list[points.Series]:
        """Every series as viewers see it, by name."""
        return as_shown(self._stored, self.run.metadata)

    @property
    def marked_steps(self) -> set[int]:
        """The steps that a chart points at: checkpoints, change points, the transition."""
        transition = (self.run.verdict or {}).get("transition") or {}
        keys = ("step", "low", "high", "safe_step", "seen_at_step")
        marked = {transition[key] for key in keys if transition.get(key) is not None}
        marked |= {row.step for row in self.registered.rows}
        return marked | {row.step for row in self.change_points}

    @cached_property
    def drawn(self) -> list[points.Series]:
        """The series as the charts show them: few enough points, with the average of all."""
        marked, most = self.marked_steps, max(map(length, self.series), default=0)
        return [
            drawn(one, MAX_POINTS, marked, weight_for(most))
            if one.name in MAIN
            else drawn(one, MAX_POINTS_SMALL, marked, weight_for(length(one)))
            for one in self.series
        ]

    def some(self, *names: str) -> dict[str, points.Series]:
        """Return the series stored under these names, by name."""
        if "_stored" in vars(self):
            return {one.name: one for one in self._stored if one.name in names}
        return {one.name: one for one in self._points(names)}

    def _points(self, only: Sequence[str] | None = None) -> list[points.Series]:
        cuts = runs.cuts(self.attempts)
        return points.read(self._tx, self.run.id, cuts, only=only)

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return points.names(self._tx, self.run.id)

    @property
    def names(self) -> Sequence[str]:
        """The names that were logged; those of the series where these were read before."""
        return [one.name for one in self._stored] if "_stored" in vars(self) else list(self._ids)

    @cached_property
    def values(self) -> Mapping[str, list[float]]:
        """The last values of each key metric, by step."""
        attempts, ids = {self.run.id: self.attempts}, {self.run.id: self._ids}
        return readings.key_values(self._tx, [self.run], attempts, ids)[self.run.id]

    @cached_property
    def registered(self) -> Registered:
        """The checkpoints and where the aliases point."""
        return checkpoints.with_aliases(self._tx, self.run.id)

    @property
    def aliases(self) -> dict[str, dict[str, Any]]:
        """{alias: {id, step}} of the checkpoint it points at."""
        return {
            alias: {"id": row.id, "step": row.step}
            for alias, row in self.registered.aliases.items()
        }

    @cached_property
    def commands(self) -> Sequence[Any]:
        """The commands, oldest first."""
        return commands.of_run(self._tx, self.run.id)

    @property
    def stopping(self) -> bool:
        """Whether the trainer was told to stop and has not finished that."""
        return any(row.kind == "stop" and row.state in commands.PENDING for row in self.commands)

    @cached_property
    def decisions(self) -> Sequence[Any]:
        """The decisions, oldest first."""
        return verdicts.decisions_of(self._tx, self.run.id)

    @cached_property
    def change_points(self) -> Sequence[Any]:
        """The change points by step."""
        return verdicts.change_points_of(self._tx, self.run.id)

    @cached_property
    def drawn_verdicts(self) -> Sequence[Any]:
        """The verdicts that the charts show, by step."""
        return self.some_verdicts(MAX_POINTS)

    def some_verdicts(
        self, most: int, since: int = 0, until: int = verdicts.NO_END
    ) -> Sequence[Any]:
        """Return about `most` of the verdicts from one step to another, by step."""
        reached = (self.run.verdict or {}).get("step", -1)
        if min(until, reached) - since < most:  # there is one a step at most
            return verdicts.verdicts_of(self._tx, self.run.id, since, until)
        rows = verdicts.scores_of(self._tx, self.run.id, since, until)
        kept = judged_steps(rows, most, self.marked_steps)
        if len(kept) == len(rows):
            return verdicts.verdicts_of(self._tx, self.run.id, since, until)
        return verdicts.verdicts_at(self._tx, self.run.id, kept)

    @cached_property
    def told_verdicts(self) -> Sequence[Any]:
        """The verdicts that words speak of: the last one, and the one that confirmed the transition."""
        last = self.run.verdict or {}
        told = (last.get("step"), (last.get("transition") or {}).get("seen_at_step"))
        steps = {step for step in told if step is not None}
        return verdicts.verdicts_at(self._tx, self.run.id, sorted(steps))

    @cached_property
    def evaluations(self) -> Sequence[Any]:
        """The newest evaluation of each (step, checkpoint, task, split), by step."""
        return evaluations.of_run(self._tx, self.run.id)

    @cached_property
    def verifications(self) -> Sequence[Any]:
        """The verifications with the state of their commands and jobs, oldest first."""
        return verifications.of_run(self._tx, self.run.id)

    @property
    def reported(self) -> Sequence[Any]:
        """Those of them on the report set."""
        return [row for row in self.evaluations if row.split == "report"]

    @cached_property
    def jobs(self) -> Sequence[Any]:
        """The jobs, newest first."""
        return jobs.of_run(self._tx, self.run.id)

    @cached_property
    def audit(self) -> Sequence[Any]:
        """The newest acts first."""
        return audit.of_run(self._tx, self.run.id)

    @cached_property
    def samples(self) -> completions.Beside:
        """The samples nearest to the transition on either side, else the newest."""
        step = transition_step(self.run.verdict)
        return completions.beside(self._tx, self.run.id, step, SAMPLES_SHOWN)
