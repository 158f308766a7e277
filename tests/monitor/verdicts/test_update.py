"""The stored verdicts are those of the whole fold, with little work, whatever order the data take."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from cusp.ids import new_id
from cusp.protocol.messages import Batch
from cusp.protocol.run import Policy, RewardSpec, RunMetadata, RunStart
from monitor.database.engine import Database
from monitor.detector import Detector
from monitor.ingest.ingest import Ingest
from monitor.store import changes, points, runs
from monitor.store import verdicts as verdicts_table
from monitor.verdicts.cache import WATCHED, fold, fresh
from monitor.verdicts.update import verdict_row

Json = dict[str, Any]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade()
    yield database
    database.close()


class Training:
    """A run's attempts, each sending to any of the monitors it is given."""

    def __init__(self, database: Database, *, monitors: int = 1) -> None:
        self.database = database
        self.monitors = [Ingest(database) for _ in range(monitors)]
        self.run_id, self.seq = new_id(), 0
        self.attempts: list[tuple[str, int]] = []
        self.resume()

    def resume(self, metadata: RunMetadata | None = None) -> None:
        self.attempts.append((new_id(), 0))
        start = RunStart(
            run_id=self.run_id,
            attempt_id=self.attempts[-1][0],
            name="n",
            metadata=metadata or RunMetadata(),
        )
        self.monitors[0].announce(start)

    def send(self, *messages: Json, attempt: int = -1, monitor: int = 0) -> None:
        attempt_id, seq = self.attempts[attempt]
        batch = Batch(attempt_id=attempt_id, first_seq=seq, messages=list(messages))
        assert self.monitors[monitor].batch(self.run_id, batch).next_seq == seq + len(messages)
        self.attempts[attempt] = (attempt_id, seq + len(messages))

    def stored(self) -> tuple[list[Json], list[Json], Json | None]:
        with self.database.read() as tx:
            run = runs.get(tx, self.run_id)
            assert run is not None
            verdicts = [dict(row._mapping) for row in verdicts_table.verdicts_of(tx, self.run_id)]
            found = [dict(row._mapping) for row in verdicts_table.change_points_of(tx, self.run_id)]
        kept = [{k: v for k, v in one.items() if k not in ("id", "run_id")} for one in found]
        return verdicts, kept, run.verdict

    def folded(self) -> tuple[list[Json], list[Json], Json | None]:
        """Return the same from scratch, by nothing but the detector and the stored series."""
        with self.database.read() as tx:
            run = runs.get(tx, self.run_id)
            assert run is not None
            cuts = runs.cuts(runs.attempts_of(tx, self.run_id))
            known = points.names(tx, self.run_id)
            ids = {known[name]: name for name in sorted(WATCHED) if name in known}
            series = points.effective(tx, ids, cuts)
            boundaries = points.boundary_steps(tx, self.run_id, cuts)
        state = fresh(RunMetadata.model_validate(run.metadata), Policy(), 0)
        verdicts = list(fold(state, series, boundaries, cuts))
        found = state.verdict.change_points if state.verdict else ()
        order = sorted(found, key=lambda one: (one.step, one.seen_at_step))
        kept = [{**vars(one), "evidence": dict(one.evidence), "author": None} for one in order]
        shown = run.verdict if state.verdict is None else {**run.verdict, "step": state.last_step}
        return [verdict_row(self.run_id, one) for one in verdicts], kept, shown

    def news(self, after: int = 0) -> list[tuple[str, Json]]:
        with self.database.read() as tx:
            rows = changes.after(tx, self.run_id, after)
        return [(row.kind, row.ref) for row in rows]

    def cursor(self) -> int:
        with self.database.read() as tx:
            run = runs.get(tx, self.run_id)
        assert run is not None
        return int(run.cursor)


def point(step: int, **metrics: float) -> Json:
    return {"kind": "point", "step": step, "metrics": metrics}


def two_parts(step: int) -> tuple[Json, Json]:
    """What a trainer that logs rewards and lengths apart sends of a step."""
    late = step > 60
    wobble = 0.02 * (-1) ** step
    return (
        point(step, format_reward=min(0.4 + step / 40, 0.9) - 0.3 * late + wobble),
        point(step, completion_length=600.0 + 250 * late + 5 * wobble, learning_rate=1e-6),
    )


@pytest.fixture
def folded_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps the detector is given, as they come."""
    seen: list[int] = []
    update = Detector.update

    def noted(self: Detector, sample: Any) -> Any:
        seen.append(sample.step)
        return update(self, sample)

    monkeypatch.setattr(Detector, "update", noted)
    return seen


def test_a_step_that_comes_in_two_parts_is_folded_twice_and_the_run_only_once(
    database: Database, folded_steps: list[int]
) -> None:
    training = Training(database)
    for step in range(1, 101):
        for part in two_parts(step):
            training.send(part)
    assert len(folded_steps) <= 2 * 100
    assert training.stored() == training.folded()
    rewinds = [ref for kind, ref in training.news() if kind == "rewind"]
    assert rewinds == [], "the verdict of the last step replaces itself"


def test_a_metric_that_the_detector_does_not_watch_folds_nothing(
    database: Database, folded_steps: list[int]
) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 40) for part in two_parts(step)])
    folded_steps.clear()
    training.send(point(39, learning_rate=1e-6), point(3, tokens=5.0), point(40, mine=1.0))
    assert folded_steps == []


def test_a_late_boundary_takes_back_every_verdict_since(database: Database) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 81) for part in two_parts(step)])
    before, cursor = training.stored(), training.cursor()
    training.send({"kind": "boundary", "step": 70, "reason": "new data"})
    assert training.stored() == training.folded()
    assert training.stored() != before
    assert ("rewind", {"step": 70}) in training.news(cursor)
    assert ("verdicts", {"from": 70, "to": 80}) in training.news(cursor)


def test_a_boundary_behind_the_last_step_waits_for_its_step(
    database: Database, folded_steps: list[int]
) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 61) for part in two_parts(step)])
    folded_steps.clear()
    training.send({"kind": "boundary", "step": 70, "reason": "new data"})
    assert folded_steps == []
    training.send(*[part for step in range(61, 90) for part in two_parts(step)])
    assert training.stored() == training.folded()
    assert folded_steps[:29] == list(range(61, 90)), "only the new ones"


def test_a_resumed_attempt_takes_back_verdicts_even_by_a_metric_nobody_watches(
    database: Database,
) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 81) for part in two_parts(step)])
    training.resume()
    training.send(point(50, mine=1.0))
    verdicts, _, latest = training.stored()
    assert [row["step"] for row in verdicts] == list(range(1, 50))
    assert latest is not None
    assert latest["step"] == 49


def test_points_of_an_abandoned_branch_fold_nothing(
    database: Database, folded_steps: list[int]
) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 61) for part in two_parts(step)])
    training.resume()
    training.send(*[part for step in range(40, 50) for part in two_parts(step)])
    cursor = training.cursor()
    folded_steps.clear()
    training.send(*two_parts(61), attempt=0)
    assert folded_steps == []
    assert "rewind" not in [kind for kind, _ in training.news(cursor)]
    assert training.stored() == training.folded()


def test_an_attempt_that_means_something_else_by_its_rewards_is_judged_anew_at_once(
    database: Database,
) -> None:
    training = Training(database)
    training.send(*[part for step in range(1, 81) for part in two_parts(step)])
    before = training.stored()
    training.resume(RunMetadata(rewards={"format_reward": RewardSpec(low=0.0, high=4.0)}))
    assert training.stored() == training.folded()
    assert training.stored() != before


def test_two_monitors_in_turn_do_not_fold_the_run_again(
    postgres_database: str, folded_steps: list[int]
) -> None:
    database = Database(postgres_database)
    database.upgrade()
    training = Training(database, monitors=2)
    for step in range(1, 61):  # the transition comes later: around a decision a run is folded anew
        training.send(*two_parts(step), monitor=step % 2)
    assert len(folded_steps) <= 2 * 60, "each monitor folds each step at most once"
    assert training.stored() == training.folded()
    database.close()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_late_or_twice_the_stored_verdicts_are_those_of_the_whole_fold(
    database: Database, seed: int
) -> None:
    rng = random.Random(seed)
    training = Training(database, monitors=1 if database.is_sqlite else 2)
    step = 1
    for _ in range(60):
        act = rng.random()
        if act < 0.06 and step > 10:
            training.resume(RunMetadata(max_steps=rng.choice([None, 100])))
            step = rng.randint(max(1, step - 8), step + 2)
        sent: list[Json] = []
        for _ in range(rng.randint(1, 4)):
            both = two_parts(step)
            sent += both if rng.random() < 0.5 else [rng.choice(both)]
            step += rng.random() < 0.8
        if rng.random() < 0.12:
            late = rng.randint(max(0, step - 12), step + 3)
            other = {"kind": "boundary", "step": late, "reason": "new data"}
            sent.append(other if rng.random() < 0.5 else point(late, entropy=rng.random()))
        attempt = -1 if rng.random() < 0.9 else rng.randrange(len(training.attempts))
        training.send(*sent, attempt=attempt, monitor=rng.randrange(len(training.monitors)))
        if rng.random() < 0.2:
            assert training.stored() == training.folded(), json.dumps(sent)
    assert training.stored() == training.folded()
