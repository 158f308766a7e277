"""Batches are taken effectively once, whatever the network does, on both databases."""

import random

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cusp.ids import new_id
from tests.messages import Trainer, checkpoint, point, status, transition


def test_points_are_stored_and_read_back(api: TestClient) -> None:
    trainer = Trainer(api)
    reply = trainer.send(point(1, reward=0.25), point(2, reward=0.5))
    assert reply == {"next_seq": 2, "commands": []}
    assert trainer.series("reward") == ([1, 2], [0.25, 0.5])


def test_a_repeat_is_ignored_and_a_gap_is_asked_for(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, reward=1.0), point(2, reward=2.0))
    trainer.send(point(1, reward=9.0), point(2, reward=9.0), first_seq=0)
    assert trainer.send(point(5, reward=5.0), first_seq=4)["next_seq"] == 2
    assert trainer.series("reward") == ([1, 2], [1.0, 2.0])


def test_messages_the_trainer_no_longer_has_are_not_waited_for(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, reward=1.0))
    assert trainer.send(point(9, reward=9.0), first_seq=8, oldest_seq=8)["next_seq"] == 9
    assert trainer.series("reward") == ([1, 9], [1.0, 9.0])
    assert trainer.get()["dropped"] == 7


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_any_duplication_reordering_and_splitting_gives_the_same_run(
    api: TestClient, seed: int
) -> None:
    rng = random.Random(seed)
    straight, shaken = Trainer(api), Trainer(api)
    messages = [
        point(
            i, format_reward=rng.random(), completion_length=50 + rng.random(), other=rng.random()
        )
        for i in range(1, 40)
    ]
    straight.send(*messages)
    while shaken.seq < len(messages):
        start = rng.randint(0, len(messages) - 1)
        shaken.send(*messages[start : start + rng.randint(0, 12)], first_seq=start)
    for path in ("/series", "/verdicts"):
        assert shaken.get(path) == straight.get(path)


def test_one_malformed_message_is_set_aside_and_the_rest_is_stored(api: TestClient) -> None:
    trainer = Trainer(api)
    bad = {"kind": "point", "step": 2, "metrics": {"reward": "high"}}
    trainer.send(point(1, reward=1.0), bad, "nonsense", point(3, reward=3.0))  # type: ignore[arg-type]
    assert trainer.series("reward") == ([1, 3], [1.0, 3.0])
    assert trainer.get()["quarantined"] == 2


def test_nan_in_a_body_costs_only_its_message(api: TestClient) -> None:
    trainer = Trainer(api)
    body = (
        f'{{"attempt_id":"{trainer.attempt_id}","first_seq":0,"messages":['
        '{"kind":"point","step":1,"metrics":{"reward":NaN}},'
        '{"kind":"point","step":2,"metrics":{"reward":0.5}}]}'
    )
    headers = {"Content-Type": "application/json"}
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/batches", content=body, headers=headers)
    assert answer.status_code == 200
    assert trainer.series("reward") == ([2], [0.5])


def test_values_the_trainer_left_out_are_counted(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send({**point(1, reward=1.0), "skipped": 3})
    assert trainer.get()["skipped"] == 3


def test_an_unannounced_run_or_attempt_is_told_so(api: TestClient) -> None:
    body = {"attempt_id": new_id(), "first_seq": 0}
    answer = api.post(f"/api/v1/runs/{new_id()}/batches", json=body)
    assert answer.status_code == 404
    assert "was not announced here" in answer.json()["detail"]


def test_announcing_again_changes_nothing(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    trainer.announce()
    assert trainer.get()["attempt_count"] == 1
    assert trainer.series("reward") == ([1], [1.0])


def test_a_resumed_attempt_supersedes_the_overlap(api: TestClient) -> None:
    first = Trainer(api)
    first.send(*[point(step, reward=1.0) for step in range(16)])
    second = Trainer(api, first.run_id)
    second.send(*[point(step, reward=2.0) for step in range(10, 21)])
    steps, values = second.series("reward")
    assert steps == list(range(21))
    assert values == [1.0] * 10 + [2.0] * 11
    grey = second.get("/series", names="reward")["series"][0]["superseded"]
    assert grey["steps"] == list(range(10, 16))
    assert [a["last_step"] for a in second.get()["attempts"]] == [15, 20]


def test_an_attempt_that_never_said_how_it_ended_is_lost_once_another_starts(
    api: TestClient,
) -> None:
    first = Trainer(api)
    first.send(point(1))
    second = Trainer(api, first.run_id)
    assert [a["status"] for a in second.get()["attempts"]] == ["lost", "running"]
    first.send(status("failed", reason="told late"))
    assert [a["status"] for a in second.get()["attempts"]] == ["failed", "running"]


def test_the_table_shows_the_effective_series(api: TestClient) -> None:
    first = Trainer(api)
    first.send(*[point(step, reward=0.9, format_reward=0.9) for step in range(100)])
    second = Trainer(api, first.run_id)
    second.send(*[point(step, reward=0.1, format_reward=0.1) for step in range(50, 60)])
    run = second.get()
    assert (run["step"], run["latest"]["format_reward"]) == (59, 0.1)
    assert len(run["sparklines"]["format_reward"]) == 60


def test_numbers_beyond_a_database_integer_are_refused(api: TestClient) -> None:
    trainer = Trainer(api)
    body = {"attempt_id": trainer.attempt_id, "first_seq": 0, "oldest_seq": 2**70}
    assert api.post(f"/api/v1/runs/{trainer.run_id}/batches", json=body).status_code == 422


def test_the_verdicts_after_a_resume_are_those_of_the_effective_series(api: TestClient) -> None:
    rng = random.Random(5)
    values = [0.3 + 0.02 * step + 0.05 * rng.random() for step in range(40)]
    straight, first = Trainer(api), Trainer(api)
    straight.send(*[point(s, format_reward=values[s], completion_length=50.0) for s in range(40)])
    first.send(*[point(s, format_reward=values[s], completion_length=50.0) for s in range(20)])
    first.send(*[point(s, format_reward=0.0, completion_length=9.0) for s in range(20, 30)])
    resumed = Trainer(api, first.run_id)
    resumed.send(
        *[point(s, format_reward=values[s], completion_length=50.0) for s in range(20, 40)]
    )
    assert resumed.get("/verdicts") == straight.get("/verdicts")


def test_a_late_point_of_a_dead_attempt_is_folded_in(api: TestClient) -> None:
    first = Trainer(api)
    second = Trainer(api, first.run_id)
    second.send(*[point(step, format_reward=0.5) for step in range(11, 20)])
    first.send(*[point(step, format_reward=0.4) for step in range(1, 16)])
    steps, values = second.series("format_reward")
    assert steps == list(range(1, 20))
    assert values == [0.4] * 10 + [0.5] * 9
    assert second.get("/verdicts")["steps"] == steps


def test_too_many_metric_names_are_refused_one_by_one(api: TestClient) -> None:
    trainer = Trainer(api)
    for start in range(0, 2_400, 400):
        trainer.send(point(start, **{f"m{start + i}": 1.0 for i in range(400)}))
    trainer.send(point(9_999, m0=2.0))
    assert trainer.get()["quarantined"] == 1
    assert trainer.series("m0")[0][-1] == 9_999


def test_a_body_beyond_the_limit_is_refused_before_it_is_parsed(api: TestClient) -> None:
    trainer = Trainer(api)
    body = b'{"attempt_id": "' + b"x" * (9 << 20)
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/batches", content=body)
    assert answer.status_code == 413
    assert "smaller batches" in answer.json()["detail"]


def test_a_packed_body_is_limited_by_its_unpacked_size(api: TestClient) -> None:
    import gzip

    trainer = Trainer(api)
    url = f"/api/v1/runs/{trainer.run_id}/batches"
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    bomb = gzip.compress(b" " * (64 << 20))
    assert api.post(url, content=bomb, headers=headers).status_code == 413
    good = gzip.compress(
        f'{{"attempt_id":"{trainer.attempt_id}","first_seq":0,"messages":[]}}'.encode()
    )
    assert api.post(url, content=good, headers=headers).status_code == 200
    assert api.post(url, content=b"no gzip", headers=headers).status_code == 400


def test_samples_and_checkpoints_are_shown(api: TestClient) -> None:
    trainer = Trainer(api)
    text = "<img src=x onerror=alert(1)>"
    sample = {"kind": "sample", "step": 1, "prompt": "2+2=", "completion": text, "rewards": {}}
    trainer.send(point(1), sample, checkpoint(1))
    assert trainer.get("/samples")["samples"][0]["completion"] == text
    page = api.get(f"/runs/{trainer.run_id}").text
    assert text not in page
    assert "&lt;img" in page
    (saved,) = trainer.get("/checkpoints")["checkpoints"]
    assert (saved["step"], saved["state"], saved["attempt"]) == (1, "present", 1)


def test_a_silent_trainer_is_lost_and_not_called_crashed(api: TestClient, clock: object) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    assert trainer.get()["status"] == "running"
    clock.now += 61  # type: ignore[attr-defined]
    assert trainer.get()["status"] == "lost"
    trainer.send()
    assert trainer.get()["status"] == "running"


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped"])
def test_the_trainers_word_ends_the_run(api: TestClient, ending: str) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), status(ending, reason="because"))
    run = trainer.get()
    assert (run["status"], run["status_reason"]) == (ending, "because")


def test_a_transition_leads_to_keep_and_stop_once(api: TestClient) -> None:
    trainer = Trainer(api, metadata={"max_steps": 200, "completions_per_point": 48})
    commands = transition(trainer)
    run = trainer.get()
    assert run["transition"]["state"] == "confirmed"
    assert sorted(command["kind"] for command in commands) == ["keep", "stop"]
    kept = run["checkpoints"]["pre-transition"]["step"]
    assert kept <= run["transition"]["safe_step"] < kept + 10
    assert all(command["steps"] == [kept] for command in commands)
    assert [d["kind"] for d in run["decisions"]] == ["keep", "stop"]
    trainer.send(point(run["step"] + 1, format_reward=0.1))
    assert len(trainer.get()["commands"]) == 2


@pytest.mark.parametrize(("action", "kinds"), [("watch", ["keep"]), ("propose", ["keep"])])
def test_the_policy_decides_whether_a_transition_stops(
    api: TestClient, action: str, kinds: list[str]
) -> None:
    trainer = Trainer(api, policy={"action": action})
    assert [command["kind"] for command in transition(trainer)] == kinds
    decided = [d["kind"] for d in trainer.get()["decisions"]]
    assert decided == (["keep"] if action == "watch" else ["keep", "propose"])
