"""Long series: fewer points on request, never without an extreme or a step that a chart points at."""

import math

import pytest
from fastapi.testclient import TestClient

from tests.messages import Trainer, checkpoint, point


def wave(step: int) -> float:
    return math.sin(step / 50) + (5.0 if step == 1_234 else -5.0 if step == 2_345 else 0.0)


@pytest.fixture
def trainer(api: TestClient) -> Trainer:
    trainer = Trainer(api)
    trainer.send(*[point(step, other=wave(step)) for step in range(3_000)])
    trainer.send(checkpoint(777), checkpoint(1_999))
    return trainer


def test_a_thinned_series_keeps_extremes_both_ends_and_checkpoints(trainer: Trainer) -> None:
    (found,) = trainer.get("/series", max_points=100)["series"]
    assert len(found["steps"]) <= 104
    assert {0, 2_999, 1_234, 2_345, 777, 1_999} <= set(found["steps"])
    assert found["steps"] == sorted(found["steps"])
    assert found["values"] == [wave(step) for step in found["steps"]]
    assert len(found["attempts"]) == len(found["steps"])


def test_a_short_series_is_returned_whole(trainer: Trainer) -> None:
    (found,) = trainer.get("/series", max_points=100, since=2_950)["series"]
    assert found["steps"] == list(range(2_950, 3_000))


def test_a_window_is_read_in_full(trainer: Trainer) -> None:
    (found,) = trainer.get("/series", max_points=100, since=1_200, until=1_250)["series"]
    assert found["steps"] == list(range(1_200, 1_251))


def test_a_window_has_no_superseded_point_from_outside(trainer: Trainer) -> None:
    Trainer(trainer.api, trainer.run_id).send(point(500, other=0.0))
    (found,) = trainer.get("/series", since=498, until=501)["series"]
    assert (found["steps"], found["superseded"]["steps"]) == ([498, 499, 500], [500, 501])


def test_verdicts_are_thinned_to_both_ends_and_what_lies_between(api: TestClient) -> None:
    judged = Trainer(api)
    judged.send(*(point(step, format_reward=0.5, completion_length=60.0) for step in range(1, 81)))
    whole, some = judged.get("/verdicts"), judged.get("/verdicts", max_points=10)
    assert len(whole["steps"]) == 80
    assert {1, 80} <= set(some["steps"]) < set(whole["steps"])
    assert len(some["phases"]) == len(some["steps"])


def test_superseded_points_are_thinned_too(trainer: Trainer) -> None:
    resumed = Trainer(trainer.api, trainer.run_id)
    resumed.send(point(500, other=0.0))
    (found,) = trainer.get("/series", max_points=100)["series"]
    assert found["steps"][-1] == 500
    assert len(found["superseded"]["steps"]) <= 102
    assert {1_234, 2_345} <= set(found["superseded"]["steps"])


@pytest.mark.parametrize("most", [9, 100_001, "many"])
def test_a_senseless_number_is_refused(api: TestClient, most: object) -> None:
    trainer = Trainer(api)
    answer = api.get(f"/api/v1/runs/{trainer.run_id}/series", params={"max_points": str(most)})
    assert answer.status_code == 422
