"""Carries decisions out inside the transaction that found them: rows for commands, aliases, jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cusp.protocol.run import Policy
from monitor.actions import evaluate
from monitor.actions.promote import POLICY, move_alias, usable_checkpoints
from monitor.actions.record import record
from monitor.actions.verify import ask
from monitor.database.engine import Transaction
from monitor.detector import Transition, Verdict
from monitor.errors import NotFound
from monitor.policy import availability, decide, keep_best, verify
from monitor.policy.decide import Decision, Saved
from monitor.policy.verify import Look, PastLook
from monitor.runs.looks import looks
from monitor.store import changes, commands, runs
from monitor.store import verdicts as verdicts_table
from monitor.store.scores import verifications
from monitor.verdicts.encoding import confirmed, is_dismissed, told
from monitor.verdicts.second_opinion import agreement

ENDED_WELL = ("stopped", "finished")


def carry_out(
    tx: Transaction,
    run_id: str,
    verdict: Verdict | None,
    now: float,
    *,
    ended: bool,
    look: bool = False,
) -> None:
    """Decide on the run's latest verdict: verify, keep, stop. Once it has ended, on what to evaluate.

    `look` says that a verification may be due or have been answered without a suspicion.
    """
    suspected = verdict.transition if verdict else None
    if suspected and _dismissed(tx, run_id, suspected):
        verdict = suspected = None
    run = runs.get(tx, run_id) if suspected or ended or look else None
    if run is None:
        return
    policy = Policy.model_validate(run.policy)
    saved = usable_checkpoints(tx, run_id)
    transition = confirmed(suspected)
    if suspected or look:
        standing = Standing(tx, run, now)
        transition = suspected if standing.worse(verdict) else transition
        if verdict and transition:
            _tell(tx, run_id, now, transition, verdict)
        _act(tx, run, standing, verdict, saved, now)
    if run.deleted_at is not None:
        return
    if ended and run.status in ENDED_WELL and policy.evaluate != "none" and saved:
        evaluate.at_the_end(tx, run_id, now, transition, saved, policy)


def _act(
    tx: Transaction,
    run: Any,
    standing: "Standing",
    verdict: Verdict | None,
    saved: Sequence[Saved],
    now: float,
) -> None:
    """Ask for a verification if one is due, else carry out what follows from the verdict."""
    if verdict and standing.due(verdict, saved, {}):
        look = standing.due(verdict, saved, ask.accuracy_of(tx, run))
        if look is not None:
            ask.ask(tx, run, look, now, POLICY)
            return
    new = standing.new(verdict, saved)
    if new and verdict and (transition := confirmed(verdict.transition)):
        opinion = agreement(tx, run, transition)
        new = [replace(d, reason=f"{d.reason} {opinion}".rstrip()) for d in new]
    _carry_out(tx, run.id, now, new, running=run.status == "running")


def first_decided(
    tx: Transaction,
    run_id: str,
    verdicts: Iterable[tuple[int, Verdict | None]],
    registered: Mapping[str, int],
    now: float,
    *,
    look: bool,
) -> int | None:
    """Return the place in the batch of the first message that leads to a decision or a look, or None.

    `verdicts` are those after the messages at these places, `registered` says where the batch
    registered the checkpoints that are new, `look` is as for `carry_out`.
    """
    suspects = [(place, v) for place, v in verdicts if v and (look or v.transition)]
    run = runs.get(tx, run_id) if suspects else None
    if run is None:
        return None
    saved, standing = usable_checkpoints(tx, run_id), Standing(tx, run, now)
    for place, verdict in suspects:
        if verdict.transition and _dismissed(tx, run_id, verdict.transition):
            continue
        there = [one for one in saved if registered.get(one.id, -1) <= place]
        if standing.due(verdict, there, {}) or standing.new(verdict, there):
            return place
    return None


class Standing:
    """What has been decided and verified on a run, and what became of it: read once a batch."""

    def __init__(self, tx: Transaction, run: Any, now: float) -> None:
        self._tx, self._run, self._policy = tx, run, Policy.model_validate(run.policy)
        self._by = availability.verifier(run.metadata)
        self._attempts = runs.attempts_of(tx, run.id)
        decided = verdicts_table.decisions_of(tx, run.id)
        self._known = {(row.finding, row.kind) for row in decided}
        self._decided_at = {row.finding: row.created_at for row in decided}
        asked = commands.of_run(tx, run.id)
        self._lapsed = commands.lapsed(asked, POLICY, self._attempts[-1].started_at)
        self._not_kept = commands.not_kept(asked, POLICY)
        self._stopping = any(row.kind == "stop" and row.state in commands.PENDING for row in asked)
        rows = verifications.of_run(tx, run.id) if self._policy.verify == "auto" else ()
        self._looks = looks(rows, runs.cuts(self._attempts), now)

    def worse(self, verdict: Verdict | None) -> Sequence[PastLook]:
        """Return the looks that found the weights worse for certain, () if none did.

        Once decided on, one that says it again is no new finding, unless it had healed in between.
        """
        found = verify.decisive(self._looks, verdict)
        for count, look in enumerate(found, 1):
            healed = any(one.state == "not_worse" for one in found[count:])
            if keep_best.finding_of(look) in self._decided_at and not healed:
                return found[:count]
        return found

    def due(
        self, verdict: Verdict, saved: Sequence[Saved], accuracy: Mapping[int, float]
    ) -> Look | None:
        """Return the look to ask for, None if none is due or nobody can verify."""
        newest, run = self._attempts[-1], self._run
        reached = newest.first_step is not None and verdict.step >= newest.first_step
        if self._by is None or run.status != "running" or self._stopping or not reached:
            return None
        return verify.due(
            verdict,
            self._looks,
            saved,
            accuracy,
            self._policy,
            now=self._weights(saved),
            attempt=newest.id,
            max_steps=run.metadata.get("max_steps"),
        )

    def new(self, verdict: Verdict | None, saved: Sequence[Saved]) -> list[Decision]:
        """Return what follows from the verdict and the looks, and was not decided before."""
        found = self._found(verdict, saved)
        newest = self._attempts[-1]
        step = verdict.step if verdict else -1
        if newest.first_step is not None and step >= newest.first_step:
            found = decide.reissued(found, self._known, self._lapsed, newest.id)
        found = decide.keep_another(found, self._known, self._not_kept)
        return [one for one in found if (one.finding, one.kind) not in self._known]

    def _found(self, verdict: Verdict | None, saved: Sequence[Saved]) -> list[Decision]:
        worse = self.worse(verdict)
        found = keep_best.decided(worse, saved, self._policy) if worse else []
        new = any((one.finding, one.kind) not in self._known for one in found)
        if new or verdict is None or verdict.transition is None:
            return found
        if worse and not self._later(verdict, verdict.transition, worse):
            return found
        there = saved if self._by else ()
        at = self._weights(saved)
        if not worse and verify.holds(verdict, self._looks, there, self._policy, now=at):
            return []
        seen_by = runs.owner(self._attempts, verdict.transition.seen_at_step)
        signals = decide.decide(verdict, saved, self._policy, seen_by)
        return [*found, *keep_best.keeping_best(signals, self._looks, saved)]

    def _weights(self, saved: Sequence[Saved]) -> int | None:
        """Return the step of the weights that a look scores; None: the training's own, of the verdict's step."""
        return max((one.step for one in saved), default=0) if self._by == "worker" else None

    def _later(self, verdict: Verdict, transition: Transition, worse: Sequence[PastLook]) -> bool:
        """Return whether the run has changed or collapsed since what the decided look found.

        A look that is decisive by the signals alone was decided with this transition, if that was seen by then.
        """
        look = worse[-1]
        since = look.step if look.measured is None else look.measured
        if not verify.decisive(worse, None) and not self._seen_since(transition, look):
            since = transition.seen_at_step
        if verdict.phase == "collapsed" and self._collapsed_at() > since:
            return True
        return self._looks[-1].state != "pending" and transition.step > since

    def _collapsed_at(self) -> int:
        """Return the step at which the latest collapse was seen, -1 without one."""
        found = verdicts_table.change_points_of(self._tx, self._run.id)
        return max((row.seen_at_step for row in found if row.kind == "collapse"), default=-1)

    def _seen_since(self, transition: Transition, look: PastLook) -> bool:
        """Return whether an attempt has seen the transition that began after the look was decided on."""
        by = runs.owner(self._attempts, transition.seen_at_step)
        began = next(one.started_at for one in self._attempts if one.id == by)
        return bool(self._decided_at.get(keep_best.finding_of(look), began) < began)


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

    What was decided on it stays; nothing more is decided on one that is `dismissed`, and the run's verdict
    says so from now on.
    """
    found = verdicts_table.change_point(tx, change_point_id)
    run = runs.lock(tx, found.run_id) if found else None  # before the change point, as a batch does
    row = verdicts_table.review(tx, change_point_id, state, author)
    if row is None:
        raise NotFound(f"there is no change point {change_point_id!r} here")
    detail = {"kind": row.kind, "step": row.step}
    name = f"change_point.{state}"
    if run and run.verdict:
        verdict = told(run.verdict, verdicts_table.change_points_of(tx, run.id))
        if verdict != run.verdict:
            changes.add_all(tx, run.id, [("run", {})], {"verdict": verdict})
    record(tx, name, row.run_id, now, by=author, target=change_point_id, detail=detail)
    return row


def _dismissed(tx: Transaction, run_id: str, transition: Transition) -> bool:
    return is_dismissed(transition, verdicts_table.change_points_of(tx, run_id))
