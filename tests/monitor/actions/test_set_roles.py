"""A run with its own reward names over REST: its roles are shown, told, kept, and everything follows."""

import pytest
from fastapi.testclient import TestClient

from monitor.app import create_app
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, checkpoint, point

SOFT, XML, SHAPE = (
    "rewards/soft_format_reward_func",
    "rewards/xmlcount_reward_func",
    "rewards/my_shape_reward",
)


def turning(trainer: Trainer, *names: str, steps: int = 110, turn: int = 60) -> None:
    """Send a run whose format, split over the named functions, breaks at `turn`."""
    messages: list[Json] = []
    for step in range(1, steps + 1):
        ripple = ((step * 7919) % 13 - 6) / 200
        rising, after = min(1.0, step / 25), min(1.0, max(0.0, (step - turn) / 25))
        form = 0.3 + 0.6 * rising - 0.5 * after + ripple
        metrics = {name: form / len(names) for name in names}
        metrics["completion_length"] = 60 - 25 * rising + 25 * after + 20 * ripple
        messages.append({"kind": "point", "step": step, "metrics": metrics})
        if step % 10 == 0:
            messages.append(checkpoint(step))
    trainer.send(*messages)


def patch(trainer: Trainer, roles: object, status: int = 200) -> Json:
    answer = trainer.api.patch(f"/api/v1/runs/{trainer.run_id}", json={"roles": roles})
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def test_the_series_of_a_role_stand_where_those_of_the_known_names_stood(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SOFT, XML)
    run = trainer.get()
    assert run["transition"]["state"] == "confirmed"
    assert len(run["sparklines"]["format_reward"]) > 30
    steps, values = trainer.series("format_reward")
    assert (len(steps), run["latest"]["format_reward"]) == (110, values[-1])
    (one,) = trainer.get("/series", names="format_reward")["series"]
    assert one["made_of"] == f"{SOFT} + {XML}"
    names = {series["name"] for series in trainer.get("/series")["series"]}
    assert names == {"format_reward", "completion_length", SOFT, XML}
    assert run["roles"]["made_of"]["format"] == one["made_of"]
    assert any("Accuracy reward: none found" in said for said in run["roles"]["words"])


def test_a_single_function_is_found_by_its_role_and_by_its_own_name(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SOFT, steps=20)
    assert trainer.series("format_reward") == trainer.series(SOFT)
    names = {series["name"] for series in trainer.get("/series")["series"]}
    assert names == {"format_reward", "completion_length"}


def test_told_roles_judge_the_run_as_if_they_had_been_told_from_the_start(api: TestClient) -> None:
    blind, told = Trainer(api), Trainer(api, metadata={"roles": {"format": [SHAPE]}})
    turning(blind, SHAPE)
    turning(told, SHAPE)
    before = blind.get()
    assert "format_reward" not in before["latest"]
    assert before["roles"]["unrecognised"] == [SHAPE]
    answer = patch(blind, {"format": ["my_shape_reward"]})
    assert answer["roles"]["told"] == {"format": ["my_shape_reward"]}
    assert blind.get("/verdicts") == told.get("/verdicts")
    assert blind.get()["transition"] == told.get()["transition"] != before["transition"]
    assert blind.series("format_reward") == told.series("format_reward")


def test_a_transition_that_the_told_roles_confirm_is_acted_on(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SHAPE)
    patch(trainer, {"format": [SHAPE]})
    run = trainer.get()
    assert run["transition"]["state"] == "confirmed"
    assert "pre-transition" in run["checkpoints"]
    assert [command["kind"] for command in trainer.send()["commands"]] == ["keep", "stop"]


def test_telling_the_same_again_changes_nothing_and_the_rules_come_back(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SOFT, steps=40)
    ruled = trainer.get("/verdicts")
    patch(trainer, {"format": []})
    assert trainer.series("format_reward") == ([], [])
    cursor = trainer.get()["cursor"]
    patch(trainer, {"format": []})
    assert trainer.get()["cursor"] == cursor
    patch(trainer, {})
    assert trainer.get("/verdicts") == ruled
    acts = [row for row in trainer.get("/audit")["audit"] if row["action"] == "roles"]
    assert [row["detail"]["roles"] for row in acts] == [{}, {"format": []}]


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"formt": [SOFT]}, "'formt' is no role; the roles are format, accuracy"),
        ({"format": ["rewards/soft_formt"]}, "was never logged, so it cannot be the format"),
        ({"format": [SOFT], "accuracy": [SOFT]}, "told for two roles"),
        ({"length": [SOFT, "completion_length"]}, "the role length is one key"),
        ({"format": "a"}, "list"),
        ({"format": [""]}, "at least 1 character"),
    ],
)
def test_what_cannot_be_meant_is_a_422_with_a_sentence(
    api: TestClient, roles: object, words: str
) -> None:
    trainer = Trainer(api)
    turning(trainer, SOFT, steps=3)
    before = trainer.get()
    assert words in patch(trainer, roles, 422)["detail"]
    assert trainer.get() == before


def test_a_run_that_has_logged_nothing_yet_takes_any_key(api: TestClient) -> None:
    trainer = Trainer(api)
    assert trainer.get()["roles"]["words"] == []
    patch(trainer, {"format": [SHAPE]})
    turning(trainer, SHAPE, steps=30)
    assert len(trainer.series("format_reward")[0]) == 30


def test_told_roles_survive_a_resume_unless_the_new_attempt_tells_its_own(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SHAPE, SOFT, steps=30)
    patch(trainer, {"format": [SHAPE]})
    Trainer(api, trainer.run_id).send(point(20, **{SHAPE: 0.5, SOFT: 0.1}))
    assert trainer.series("format_reward")[1][-1] == 0.5
    own = Trainer(api, trainer.run_id, metadata={"roles": {"format": [SOFT]}})
    own.send(point(21, **{SHAPE: 0.5, SOFT: 0.1}))
    assert trainer.series("format_reward")[1][-1] == 0.1


def test_superseded_points_of_a_role_are_shown_as_such(api: TestClient) -> None:
    trainer = Trainer(api)
    turning(trainer, SOFT, XML, steps=30)
    Trainer(api, trainer.run_id).send(point(20, **{SOFT: 0.25, XML: 0.5}))
    (one,) = trainer.get("/series", names="format_reward")["series"]
    assert (one["steps"][-1], one["values"][-1], one["attempts"][-1]) == (20, 0.75, 2)
    assert one["superseded"]["steps"] == list(range(20, 31))
    assert set(one["superseded"]["attempts"]) == {1}


def test_telling_roles_needs_the_scope_control(tmp_path: object) -> None:
    config = MonitorConfig(f"{tmp_path}/cusp.db", token="an-admin-token-of-length")
    with TestClient(create_app(config), base_url="http://127.0.0.1:8787") as client:
        client.headers["Authorization"] = "Bearer an-admin-token-of-length"
        trainer = Trainer(client)
        made = client.post("/api/v1/tokens", json={"name": "reader", "scopes": ["read"]}).json()
        answer = client.patch(
            f"/api/v1/runs/{trainer.run_id}",
            json={"roles": {}},
            headers={"Authorization": f"Bearer {made['token']}"},
        )
        assert answer.status_code == 403


def test_a_run_that_is_not_there_is_a_404(api: TestClient) -> None:
    answer = api.patch("/api/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", json={"roles": {}})
    assert answer.status_code == 404
