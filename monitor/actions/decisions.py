"""Carries decisions out inside the transaction that found them: rows for commands, aliases, jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cusp.protocol.run import Policy
from monitor.actions import evaluate
from monitor.actions.promote import POLICY, move_alias, usable_checkpoints
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.detector import Transition, Verdict
from monitor.errors import NotFound
from monitor.policy import decide
from monitor.policy.decide import Decision, Saved
from monitor.store import commands, runs
from monitor.store import verdicts as verdicts_table
from monitor.verdicts.encoding import confirmed
from monitor.verdicts.second_opinion import agreement

ENDED_WELL = ("stopped", "finished")


def carry_out(
    tx: Transaction, run_id: str, verdict: Verdict | None, now: float, *, ended: bool
) -> None:
    """Decide on the run's latest verdict and, once it has ended, on what to evaluate."""
    transition = confirmed(verdict.transition) if verdict else None
    if transition and _dismissed(tx, run_id, transition):
        verdict = transition = None
    run = runs.get(tx, run_id) if transition or ended else None
    if run is None:
        return
    policy = Policy.model_validate(run.policy)
    saved = usable_checkpoints(tx, run_id)
    if verdict and transition:
        _tell(tx, run_id, now, transition, verdict)
    if verdict:
        new = DecisionHistory(tx, run_id).new(verdict, saved, policy)
        if new and transition:
            opinion = agreement(tx, run, transition)
            new = [replace(d, reason=f"{d.reason} {opinion}") for d in new]
        _carry_out(tx, run_id, now, new, running=run.status == "running")
    if run.deleted_at is not None:
        return
    if ended and run.status in ENDED_WELL and policy.evaluate != "none" and saved:
        evaluate.at_the_end(tx, run_id, now, transition, saved, policy)


def first_decided(
    tx: Transaction,
    run_id: str,
    verdicts: Iterable[tuple[int, Verdict | None]],
    registered: Mapping[str, int],
) -> int | None:
    """Return the place in the batch of the first message that leads to a decision, or None.

    `verdicts` are those after the messages at these places, `registered` says where the batch
    registered the checkpoints that are new.
    """
    suspects = [(place, v) for place, v in verdicts if v and confirmed(v.transition)]
    run = runs.get(tx, run_id) if suspects else None
    if run is None:
        return None
    policy, saved = Policy.model_validate(run.policy), usable_checkpoints(tx, run_id)
    standing = DecisionHistory(tx, run_id)
    for place, verdict in suspects:
        if verdict.transition and _dismissed(tx, run_id, verdict.transition):
            continue
        there = [one for one in saved if registered.get(one.id, -1) <= place]
        if standing.new(verdict, there, policy):
            return place
    return None


class DecisionHistory:
    """What has been decided on a run, and what became of it: read once a batch."""

    def __init__(self, tx: Transaction, run_id: str) -> None:
        self._attempts = runs.attempts_of(tx, run_id)
        self._known = {(row.finding, row.kind) for row in verdicts_table.decisions_of(tx, run_id)}
        asked = commands.of_run(tx, run_id)
        self._lapsed = commands.lapsed(asked, POLICY, self._attempts[-1].started_at)
        self._not_kept = commands.not_kept(asked, POLICY)

    def new(self, verdict: Verdict, saved: Sequence[Saved], policy: Policy) -> list[Decision]:
        """Return what follows from the verdict and was not decided before."""
        if verdict.transition is None:
            return []
        seen_by = runs.owner(self._attempts, verdict.transition.seen_at_step)
        found = decide.decide(verdict, saved, policy, seen_by)
        newest = self._attempts[-1]
        if newest.first_step is not None and verdict.step >= newest.first_step:
            found = decide.reissued(found, self._known, self._lapsed, newest.id)
        found = decide.keep_another(found, self._known, self._not_kept)
        return [one for one in found if (one.finding, one.kind) not in self._known]


def _tell(
    tx: Transaction, run_id: str, now: float, transition: Transition, verdict: Verdict
) -> None:
    """Tell the webhooks of the transition; each finding once, though every batch comes by here."""
    seen_by = runs.owner(runs.attempts_of(tx, run_id), transition.seen_at_step)
    told = {"transition": vars(transition), "words": verdict.words}
    key = f"seen at {transition.seen_at_step} by {seen_by}"
    record(tx, "transition.found", run_id, now, told=told, key=key)


def _carry_out(
    tx: Transaction, run_id: str, now: float, decisions: Sequence[Decision], *, running: bool
) -> None:
    """Store each decision once and act on it; a run that has ended is not told anything."""
    for decision in decisions:
        kept = decision.checkpoint.step if decision.checkpoint else None
        new = verdicts_table.add_decision(
            tx,
            run_id,
            now,
            finding=decision.finding,
            kind=decision.kind,
            reason=decision.reason,
            author=POLICY,
            step=decision.step,
            checkpoint_step=kept,
        )
        if not new:
            continue
        if decision.kind == "keep" and decision.checkpoint:
            move_alias(tx, run_id, now, "pre-transition", decision.checkpoint, decision.reason)
        waits = decision.kind == "stop" and commands.pending(tx, run_id, "stop")
        if decision.kind != "propose" and running and not waits:
            commands.add(
                tx,
                run_id,
                now,
                kind=decision.kind,
                reason=decision.reason,
                author=POLICY,
                steps=[kept] if kept is not None else [],
            )
        detail = {"reason": decision.reason, "step": decision.step, "checkpoint_step": kept}
        record(tx, f"decision.{decision.kind}", run_id, now, by=POLICY, detail=detail)


def review(tx: Transaction, change_point_id: str, state: str, now: float, author: str) -> Any:
    """Confirm or dismiss a change point, as a person, and return its row; NotFound names the id.

    What was decided on it stays; nothing more is decided on one that is `dismissed`.
    """
    row = verdicts_table.review(tx, change_point_id, state, author)
    if row is None:
        raise NotFound(f"there is no change point {change_point_id!r} here")
    detail = {"kind": row.kind, "step": row.step}
    name = f"change_point.{state}"
    record(tx, name, row.run_id, now, by=author, target=change_point_id, detail=detail)
    return row


def _dismissed(tx: Transaction, run_id: str, transition: Transition) -> bool:
    """Return whether a person has dismissed the change points that the transition rests on."""
    return any(
        row.state == "dismissed" and row.low <= transition.high and transition.low <= row.high
        for row in verdicts_table.change_points_of(tx, run_id)
        if row.kind in ("length_turn", "destabilisation")
    )
