"""What runs out by the clock, though nobody asks: commands, and the patience with a silent trainer."""

import time
from typing import Any

from fastapi.testclient import TestClient

from monitor.background.expiry import Expiry
from monitor.services import Service
from monitor.store import commands
from tests.conftest import Clock
from tests.messages import Trainer, point

Json = dict[str, Any]


def service_of(api: TestClient) -> Service:
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    return service


def expiry_of(api: TestClient, clock: Clock) -> Expiry:
    service = service_of(api)
    return Expiry(service.database, service.changed, clock, 60.0)


def stop(trainer: Trainer, mode: str = "graceful") -> Json:
    path = f"/api/v1/runs/{trainer.run_id}/stop"
    return dict(trainer.api.post(path, json={"mode": mode}).json())


def stored(api: TestClient, command: Json) -> Any:
    """Read past the monitor's routes, so that no request can be what ends the command."""
    with service_of(api).database.read() as tx:
        return commands.get(tx, command["id"])


def expired(api: TestClient, command: Json) -> Any:
    for _ in range(100):
        row = stored(api, command)
        if row.state == "expired":
            return row
        time.sleep(0.05)
    raise AssertionError(f"still {row.state}")


def test_a_stop_that_no_trainer_takes_expires_though_nobody_asks(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    command = stop(trainer)
    assert command["expires_at"] > command["created_at"]
    assert trainer.get()["status"] == "stopping"
    clock.now += 3_601
    row = expired(api, command)
    assert "not been heard of for 1.0 hours" in row.state_reason
    assert row.done_at == clock.now
    assert trainer.send()["commands"] == [], "what expired is not carried out later"


def test_a_stop_after_the_next_save_waits_for_a_day(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    command = stop(trainer, "after_save")
    clock.now += 80_000
    expiry_of(api, clock).sweep()
    assert stored(api, command).state == "open"
    clock.now += 10_000
    assert expired(api, command)


def test_a_stop_that_the_ranks_agreed_on_has_its_deadline_from_there(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    command = stop(trainer)
    (sent,) = trainer.send()["commands"]
    clock.now += 3_000
    trainer.ack(sent, "agreed", step=5)
    clock.now += 3_000
    expiry_of(api, clock).sweep()
    assert stored(api, command).state == "agreed"
    clock.now += 700
    assert "agreed at step 5 and never said" in expired(api, command).state_reason


def test_a_silent_trainer_is_lost_never_failed_and_running_again_once_it_speaks(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    expiry = expiry_of(api, clock)
    clock.now += 59
    assert expiry.sweep() == set()
    assert trainer.get()["status"] == "running"
    clock.now += 2
    assert expiry.sweep() == {trainer.run_id}
    assert trainer.get()["status"] == "lost"
    assert trainer.get()["attempts"][0]["status"] == "running", "nobody knows that it ended"
    command = stop(trainer)
    assert command["state"] == "open", "it may come back, and is then stopped"
    assert [c["command_id"] for c in trainer.send(point(2))["commands"]] == [command["id"]]
    assert trainer.get()["status"] == "stopping"


def test_viewers_are_told_when_a_run_falls_silent(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    service = service_of(api)
    with service.hub.listen(trainer.run_id) as listener:
        expiry = expiry_of(api, clock)
        clock.now += 61
        expiry.sweep()
        for _ in range(100):
            if listener.changed:
                break
            time.sleep(0.05)
        assert listener.changed == {trainer.run_id}


def test_answers_to_keyed_requests_are_forgotten_after_a_week(
    api: TestClient, clock: Clock
) -> None:
    first, second = Trainer(api), Trainer(api)
    paths = [f"/api/v1/runs/{trainer.run_id}/stop" for trainer in (first, second)]
    headers = {"Idempotency-Key": "weekly"}
    assert api.post(paths[0], json={}, headers=headers).status_code == 202
    assert api.post(paths[1], json={}, headers=headers).status_code == 409
    clock.now += 8 * 86_400
    expiry_of(api, clock).sweep()
    assert api.post(paths[1], json={}, headers=headers).status_code == 202
