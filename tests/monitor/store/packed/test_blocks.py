"""What is read from blocks is exactly what the rows say, whatever came late or was superseded."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from monitor.background.packing import Packing
from monitor.database.engine import Database
from monitor.database.schema import blocks as table
from monitor.database.schema import points as point_rows
from monitor.store import points, runs
from monitor.store.packed.blocks import BLOCK_STEPS
from monitor.store.packed.columns import block_of, unpacked
from monitor.verdicts.cache import DetectorCache
from tests.messages import Trainer, point, status


@pytest.fixture
def database(api: TestClient) -> Database:
    found: Database = api.app.state.service.database  # type: ignore[attr-defined]
    return found


def whole(trainer: Trainer) -> Any:
    return trainer.get("/series")["series"]


def count(database: Database) -> int:
    with database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(table)).scalar_one())


def rows(database: Database) -> int:
    with database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(point_rows)).scalar_one())


def numbers(steps: range, **fixed: float) -> list[dict[str, Any]]:
    rng = random.Random(steps.start)
    return [point(step, a=rng.random(), b=float(step % 8) / 8, **fixed) for step in steps]


@pytest.fixture
def unchanged(database: Database) -> Callable[[Trainer], None]:
    def check(trainer: Trainer) -> None:
        before = whole(trainer)
        Packing(database).turn()
        assert whole(trainer) == before

    return check


def test_a_run_reads_the_same_before_and_after(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(1, 2 * BLOCK_STEPS + 9)))
    unchanged(trainer)
    assert count(database) == 2 * 2  # of each series the two that are complete
    (found,) = trainer.get("/series", names="a", since=200, until=300)["series"]
    assert found["steps"] == list(range(200, 301))
    trainer.send(*numbers(range(2 * BLOCK_STEPS + 9, 3 * BLOCK_STEPS)), status("finished"))
    unchanged(trainer)
    assert count(database) == 3 * 2  # over: the rest, too


def test_a_late_point_and_a_new_metric_are_packed_again(
    api: TestClient, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(3 * BLOCK_STEPS)))
    unchanged(trainer)
    trainer.send(point(BLOCK_STEPS + 3, a=-7.0, late=1.5))
    found = {one["name"]: one for one in whole(trainer)}
    assert found["a"]["values"][BLOCK_STEPS + 3] == -7.0
    assert found["late"]["steps"] == [BLOCK_STEPS + 3]
    unchanged(trainer)


def test_attempts_that_supersede_each_other_read_the_same(
    api: TestClient, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(1, 3 * BLOCK_STEPS)))
    unchanged(trainer)
    second = Trainer(api, trainer.run_id)
    second.send(*numbers(range(BLOCK_STEPS + 50, 4 * BLOCK_STEPS), c=0.5))
    unchanged(trainer)
    third = Trainer(api, trainer.run_id)
    third.send(*numbers(range(BLOCK_STEPS, BLOCK_STEPS + 5)))
    unchanged(trainer)
    found = {one["name"]: one for one in whole(trainer)}
    assert found["a"]["steps"][-1] == BLOCK_STEPS + 4
    assert len(found["a"]["superseded"]["steps"]) == 2 * BLOCK_STEPS + 3 * BLOCK_STEPS - 50


def test_a_row_goes_once_its_block_is_written(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(2 * BLOCK_STEPS + 9)))
    unchanged(trainer)
    assert rows(database) == 2 * 9  # behind the complete blocks
    trainer.send(point(3, a=-7.0))
    assert rows(database) == 2 * 9 + 1
    unchanged(trainer)
    assert rows(database) == 2 * 9
    assert whole(trainer)[0]["values"][3] == -7.0


def test_whatever_reads_points_reads_blocks(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(3 * BLOCK_STEPS)))
    second = Trainer(api, trainer.run_id)
    second.send(*numbers(range(2 * BLOCK_STEPS - 30, 3 * BLOCK_STEPS + 5), c=0.5))

    def read() -> list[Any]:
        with database.read() as tx:
            attempts = runs.attempts_of(tx, trainer.run_id)
            cuts, ids = runs.cuts(attempts), points.names(tx, trainer.run_id)
            spans = [points.StepRange(ids["a"], row.key, cuts[row.key]) for row in attempts]
            return [
                points.effective(tx, {number: name for name, number in ids.items()}, cuts),
                points.effective(tx, {ids["a"]: "a"}, cuts, since=BLOCK_STEPS + 7),
                points.of_attempt(tx, trainer.run_id, attempts[0].key, 250, 2 * BLOCK_STEPS),
                *(points.recent_points(tx, spans, most) for most in (1, 120, 700)),
            ]

    before = read()
    assert [step for step, _ in before[-2][spans_of(before)]] == list(range(653, 773))
    unchanged(trainer)
    assert rows(database) < 1_000
    assert read() == before
    second.send(status("finished"))
    unchanged(trainer)
    assert rows(database) == 0
    assert read() == before


def spans_of(found: list[Any]) -> int:
    """Return the only series of what `recent_points` found."""
    (number,) = found[-2]
    return int(number)


def test_the_last_points_of_a_sparse_series_are_found_in_many_blocks(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*[point(step, a=step / 7) for step in range(0, 6_400, 32)], status("finished"))
    unchanged(trainer)
    assert rows(database) == 0
    with database.read() as tx:
        number = points.names(tx, trainer.run_id)["a"]
        (row,) = runs.attempts_of(tx, trainer.run_id)
        span = points.StepRange(number, row.key, 6_400 - 50)
        (found,) = points.recent_points(tx, [span], 120).values()
    assert [step for step, _ in found] == list(range(6_336 - 119 * 32, 6_337, 32))


@pytest.mark.parametrize("every", [100, 500])
def test_the_last_points_of_a_metric_that_is_logged_seldom_are_all_found(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None], every: int
) -> None:
    """The attempt logs each step, so it is packed; a metric of it may have one point in two blocks."""
    trainer = Trainer(api)
    logged = [point(step, seldom=step / 7) for step in range(0, 20_000, every)]
    others = [point(step, a=0.5) for step in range(1, 20_000, 20)]
    trainer.send(*logged, *others, status("finished"))
    unchanged(trainer)
    assert rows(database) == 0
    with database.read() as tx:
        number = points.names(tx, trainer.run_id)["seldom"]
        (row,) = runs.attempts_of(tx, trainer.run_id)
        for most, cut in ((1, points.NO_END), (30, 15_001), (35, 20_000)):
            span = points.StepRange(number, row.key, cut)
            (found,) = points.recent_points(tx, [span], most).values()
            steps = range(0, min(cut, 20_000), every)[-most:]
            assert [step for step, _ in found] == list(steps)


def test_the_verdicts_of_a_packed_run_are_the_same_when_made_anew(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    def sent(step: int) -> dict[str, Any]:
        late = max(0, step - 300)
        return point(step, format_reward=min(0.9, step / 100), completion_length=500.0 + 3 * late)

    trainer = Trainer(api)
    trainer.send(*[sent(step) for step in range(1, 400)])
    before = trainer.get("/verdicts")
    unchanged(trainer)
    api.app.state.service.ingest.folds = DetectorCache()  # type: ignore[attr-defined]
    trainer.send(sent(1))  # late: all is folded again
    assert trainer.get("/verdicts") == before


def test_many_attempts_are_all_read(api: TestClient, unchanged: Callable[[Trainer], None]) -> None:
    trainer = Trainer(api)
    trainer.send(*numbers(range(10)))
    for first in (9, 8, 7, 6):
        Trainer(api, trainer.run_id).send(*numbers(range(first, 12)))
    unchanged(trainer)
    assert whole(trainer)[0]["superseded"]["attempts"].count(4) == 12 - 7


def test_a_sparse_run_is_left_as_rows(
    api: TestClient, database: Database, unchanged: Callable[[Trainer], None]
) -> None:
    trainer = Trainer(api)
    trainer.send(*[point(step, a=1.0) for step in range(0, 100_000, 1_000)])
    unchanged(trainer)
    assert count(database) == 0


@pytest.mark.parametrize("stride", [1, 10, 0])
@pytest.mark.parametrize("kind", ["shares", "doubles", "huge"])
def test_a_block_gives_back_exactly_what_it_holds(stride: int, kind: str) -> None:
    rng = np.random.default_rng(stride)
    steps = np.arange(100) * stride if stride else np.sort(rng.choice(10**12, 100, replace=False))
    values = {
        "shares": rng.integers(0, 9, 100) / 8,
        "doubles": rng.random(100),
        "huge": rng.random(100) * 1e300,
    }[kind]
    block = block_of(steps, values)
    found = unpacked(block)
    assert np.array_equal(found[0], steps)
    assert np.array_equal(found[1], values)
    assert len(block.packed) == 100 * ((4 if kind == "shares" else 8) + (0 if stride else 8))
