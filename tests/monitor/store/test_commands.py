"""Commands only walk as documented, whatever trainers, people and the clock do, on both databases."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from cusp.ids import new_id
from cusp.protocol.messages import Batch
from cusp.protocol.run import RunStart
from monitor.background.expiry import expire_overdue
from monitor.database.engine import Database
from monitor.ingest.ingest import Ingest
from monitor.store import commands

# docs/reference/protocol.md, "Commands": forward only, a state may be skipped, three ends; what the
# monitor concluded from silence gives way to the trainer's own word.
ENDS = {"done", "refused", "expired"}
LEGAL = {
    "open": {"delivered", "agreed", *ENDS},
    "delivered": {"agreed", *ENDS},
    "agreed": ENDS,
    "done": set(),
    "refused": set(),
    "expired": {"done", "refused"},
}


class Commands(RuleBasedStateMachine):
    """One run with trainers that may be late, repeat themselves, die and come back."""

    now = 1_000.0

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.ingest = Ingest(database, clock=lambda: Commands.now)
        self.run_id = new_id()
        self.attempts: list[tuple[str, int]] = []
        self.seen: dict[str, str] = {}
        self.stops: dict[str, int] = {}  # of how many attempts there were when it was asked for
        self.start_attempt()

    def start_attempt(self) -> None:
        Commands.now += 0.1
        attempt_id = new_id()
        self.ingest.announce(RunStart(run_id=self.run_id, attempt_id=attempt_id, name="n"))
        self.attempts.append((attempt_id, 0))

    def send(self, which: int, *messages: dict[str, Any]) -> list[str]:
        number = which % len(self.attempts)
        attempt_id, seq = self.attempts[number]
        batch = Batch(attempt_id=attempt_id, first_seq=seq, messages=list(messages))
        reply = self.ingest.batch(self.run_id, batch)
        self.attempts[number] = (attempt_id, reply.next_seq)
        return [command.command_id for command in reply.commands]

    @rule(
        kind=st.sampled_from(["stop", "keep", "save"]),
        mode=st.sampled_from(["graceful", "after_save"]),
    )
    def ask(self, kind: str, mode: str) -> None:
        with self.database.write() as tx:
            row = commands.add(
                tx, self.run_id, Commands.now, kind=kind, mode=mode, reason="r", author="a"
            )
        self.seen[row.id] = "open"
        if kind == "stop":
            self.stops[row.id] = len(self.attempts)

    @precondition(lambda self: self.seen)
    @rule(
        which=st.integers(0, 7),
        state=st.sampled_from(["delivered", "agreed", "done", "refused"]),
        attempt=st.integers(0, 3),
    )
    def acknowledge(self, which: int, state: str, attempt: int) -> None:
        command_id = sorted(self.seen)[which % len(self.seen)]
        ack = {"kind": "ack", "command_id": command_id, "state": state, "step": 3}
        told = self.send(attempt, ack)
        newest = attempt % len(self.attempts) == len(self.attempts) - 1
        assert not newest or state in ("agreed", "delivered") or command_id not in told

    @rule(attempt=st.integers(0, 3))
    def heartbeat(self, attempt: int) -> None:
        number = attempt % len(self.attempts)
        told = self.send(attempt)
        pending = {one for one, state in self.seen.items() if state not in ENDS}
        # A superseded trainer hears the stops that were asked for since, and nothing else.
        stops = {one for one, there in self.stops.items() if there > number + 1}
        wanted = pending if number == len(self.attempts) - 1 else stops
        assert set(told) == wanted, "what is pending is told to the newest"

    @rule(seconds=st.sampled_from([1.0, 1_800.0, 3_601.0, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        Commands.now += seconds
        expire_overdue(self.database, Commands.now)
        with self.database.read() as tx:
            assert not commands.overdue(tx, Commands.now)

    @rule(status=st.sampled_from(["finished", "failed", "stopped"]))
    def end(self, status: str) -> None:
        self.send(len(self.attempts) - 1, {"kind": "status", "status": status})
        assert not self.pending()

    @precondition(lambda self: len(self.attempts) < 4)
    @rule()
    def come_back(self) -> None:
        self.start_attempt()
        assert not self.pending()

    @invariant()
    def only_legal_moves(self) -> None:
        with self.database.read() as tx:
            rows = commands.of_run(tx, self.run_id)
        for row in rows:
            before = self.seen[row.id]
            assert row.state == before or row.state in LEGAL[before], (before, row.state)
            self.seen[row.id] = row.state
            assert (row.state in ENDS) == (row.done_at is not None)
            assert (commands.expires_at(row) is None) == (row.state in ENDS)
            assert row.state not in ("expired",) or row.state_reason
            stamps = [row.created_at, row.delivered_at, row.agreed_at, row.done_at]
            known = [stamp for stamp in stamps if stamp is not None]
            assert known == sorted(known)

    def pending(self) -> list[Any]:
        with self.database.read() as tx:
            return list(commands.pending(tx, self.run_id))

    def teardown(self) -> None:
        with self.database.write() as tx:
            commands.expire(tx, self.run_id, Commands.now, "the example is over")


@pytest.mark.timeout(120)
def test_a_command_only_walks_as_documented(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()

    class OnThisDatabase(Commands):
        def __init__(self) -> None:
            super().__init__(database)

    run_machine(
        OnThisDatabase,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    database.close()
