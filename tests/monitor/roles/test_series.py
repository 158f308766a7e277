"""A run whose functions have their own names is judged as one that logs the roles themselves."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from cusp.protocol.run import RewardSpec, RunMetadata
from monitor.database.engine import Database
from monitor.detector import Detector, Sample, Verdict
from monitor.roles import stored_series
from monitor.schemas import readings
from monitor.store import runs
from monitor.store import verdicts as verdicts_table
from tests.monitor.verdicts.test_update import Training, point

Json = dict[str, Any]
SOFT, XML, RIGHT = (
    "rewards/soft_format_reward_func",
    "rewards/xmlcount_reward_func",
    "rewards/correctness_reward_func",
)
SPECS = {
    "soft_format_reward_func": RewardSpec(low=0, high=0.5, graded=True),
    "xmlcount_reward_func": RewardSpec(low=0, high=0.5, graded=True),
    "correctness_reward_func": RewardSpec(),
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade()
    yield database
    database.close()


def values(steps: int = 130) -> list[tuple[int, float, float, float, float]]:
    """Step, two halves of a format reward, accuracy, length: a rise, then a turn at 70."""
    rng = random.Random(3)
    rows = []
    for step in range(1, steps):
        late = min(max(step - 70, 0) / 25, 1.0)
        form = min(0.3 + 0.6 * min(step / 25, 1) - 0.5 * late + rng.gauss(0, 0.02), 1.0)
        right = 0.3 + 0.4 * min(step / 25, 1) - 0.5 * late + rng.gauss(0, 0.02)
        share = 0.3 + 0.2 * rng.random()
        # Halves that add up to the last bit: sums of eighths of a power of two are exact.
        one = round(form * share * 1024) / 1024
        two = round(form * 1024) / 1024 - one
        rows.append((step, one, two, right, 600 - 200 * min(step / 25, 1) + 250 * late))
    return rows


def by_function(rows: list[tuple[int, float, float, float, float]]) -> list[Json]:
    return [
        {"kind": "point", "step": s, "metrics": {SOFT: a, XML: b, RIGHT: r, "completion_length": n}}
        for s, a, b, r, n in rows
    ]


def by_role(rows: list[tuple[int, float, float, float, float]]) -> list[Json]:
    return [
        point(s, format_reward=a + b, accuracy_reward=r, completion_length=n)
        for s, a, b, r, n in rows
    ]


def judged(training: Training) -> Any:
    verdicts, change_points, last = training.stored()
    bare = [{k: v for k, v in row.items() if k != "run_id"} for row in verdicts]
    return bare, change_points, last


def watched(training: Training) -> dict[int, dict[str, float]]:
    with training.database.read() as tx:
        run = runs.get(tx, training.run_id)
        return stored_series.watched(tx, run, runs.cuts(runs.attempts_of(tx, training.run_id)))


def test_the_sum_of_two_functions_is_judged_as_their_sum_logged_as_one(database: Database) -> None:
    own, plain = Training(database), Training(database)
    own.resume(RunMetadata(rewards=SPECS))
    graded = RewardSpec(low=0, high=1, graded=True)
    plain.resume(RunMetadata(rewards={"format_reward": graded, "accuracy_reward": RewardSpec()}))
    for message in by_function(values()):
        own.send(message)
    plain.send(*by_role(values()))
    assert judged(own) == judged(plain)
    assert judged(own)[2]["transition"] is not None
    assert watched(own) == watched(plain)


def test_a_point_without_one_of_the_functions_is_no_fall(database: Database) -> None:
    whole, holed = Training(database), Training(database)
    messages = by_function(values(70))
    whole.send(*messages)
    for number, message in enumerate(messages):
        if number % 9 == 4:
            del message["metrics"][XML]
    holed.send(*messages)
    assert "format_reward" not in watched(holed)[messages[4]["step"]]
    left = {s: m["format_reward"] for s, m in watched(holed).items() if "format_reward" in m}
    assert left == {s: watched(whole)[s]["format_reward"] for s in left}
    assert len(left) == 61
    assert holed.stored()[2]["phase"] == whole.stored()[2]["phase"]  # type: ignore[index]


def test_a_function_that_is_logged_late_folds_the_past_anew(database: Database) -> None:
    """However the points are cut into batches: the same verdicts as when all were known at once."""
    late, at_once = Training(database), Training(database)
    messages = by_function(values(90))
    for message in messages[:40]:
        del message["metrics"][XML]
    for message in messages:
        late.send(message)
    at_once.send(*messages)
    assert judged(late) == judged(at_once)
    assert "format_reward" not in watched(late)[10]
    assert "format_reward" in watched(late)[50]


def test_a_role_whose_range_is_told_is_judged_alike_when_it_comes_late(database: Database) -> None:
    late, at_once = Training(database), Training(database)
    messages = by_function(values(90))
    for message in messages[:20]:
        del message["metrics"][XML], message["metrics"][SOFT]
    for training in (late, at_once):
        training.resume(RunMetadata(rewards=SPECS))
    for message in messages:
        late.send(message)
    at_once.send(*messages)
    assert judged(late) == judged(at_once)


def test_parts_of_a_step_in_two_messages_are_put_together(database: Database) -> None:
    whole, parts = Training(database), Training(database, monitors=2)
    whole.send(*by_function(values(100)))
    for number, message in enumerate(by_function(values(100))):
        first = {k: v for k, v in message["metrics"].items() if k in (SOFT, RIGHT)}
        rest = {k: v for k, v in message["metrics"].items() if k not in first}
        parts.send({**message, "metrics": first}, monitor=number % 2)
        parts.send({**message, "metrics": rest}, monitor=number % 2)
    assert judged(parts) == judged(whole)


def test_names_that_differ_from_step_to_step_do_not_fold_the_past_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, given = Training(database), list[int]()
    update = Detector.update

    def noting(self: Detector, sample: Sample) -> Verdict:
        given.append(sample.step)
        return update(self, sample)

    monkeypatch.setattr(Detector, "update", noting)
    for step in range(120):
        training.send(point(step, **{f"rewards/format_{step}": 0.5, "completion_length": 100.0}))
    assert len(given) < 120 * 4


def test_what_is_read_at_once_thinned_and_last_is_the_same(database: Database) -> None:
    training = Training(database)
    training.send(*by_function(values(60)))
    with training.database.read() as tx:
        run = runs.get(tx, training.run_id)
        assert run is not None
        cuts = runs.cuts(runs.attempts_of(tx, training.run_id))
        ends = readings.read(tx, [run])[run.id].values
        last, lines = {name: line[-1] for name, line in ends.items()}, readings.sparklines(ends)
        found = {s.name: s for s in stored_series.shown_series(tx, run, cuts)}
        assert verdicts_table.verdicts_of(tx, training.run_id)
    rows = watched(training)
    assert last == {k: rows[59][k] for k in last}
    assert set(last) == {"format_reward", "completion_length", "accuracy_reward"}
    for name, line in lines.items():
        assert line == [row[name] for row in rows.values()] == found[name].values
    assert found["format_reward"].made_of == f"{SOFT} + {XML}"
    assert found["accuracy_reward"].made_of == RIGHT
    assert set(found) == {*last, SOFT, XML}
