"""A trainer's empty batches: answered at once, and noted when there is something to note."""

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import event

from monitor.ingest.heartbeat import LATELY_S
from monitor.store import commands
from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, transition


def writing_transactions(api: TestClient) -> list[str]:
    """Return a list that grows with every statement that writes."""
    found: list[str] = []
    engine = api.app.state.service.database.engine  # type: ignore[attr-defined]

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return found


def test_a_heartbeat_soon_after_the_last_word_writes_nothing_and_brings_the_commands(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={"reason": "enough"})
    written = writing_transactions(api)
    clock.now += LATELY_S / 2
    reply = trainer.send()
    assert [command["kind"] for command in reply["commands"]] == ["stop"]
    assert reply["next_seq"] == 1
    assert written == []


def test_a_heartbeat_after_a_silence_is_noted_as_the_last_contact(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    before = trainer.get()["last_contact_at"]
    clock.now += LATELY_S
    trainer.send()
    assert trainer.get()["last_contact_at"] > before


def test_a_heartbeat_that_tells_of_dropped_or_missing_messages_is_noted_at_once(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    trainer.send(dropped=3)
    assert trainer.get()["dropped"] == 3
    reply = trainer.send(oldest_seq=5)
    assert reply["next_seq"] == 5
    assert trainer.get()["dropped"] == 7


def test_an_earlier_attempt_hears_of_nothing_but_a_stop_at_its_heartbeat(
    api: TestClient, clock: Clock
) -> None:
    first = Trainer(api)
    first.send(point(1), checkpoint(1))
    second = Trainer(api, first.run_id)
    second.send(point(2))
    service = api.app.state.service  # type: ignore[attr-defined]
    with service.database.write() as tx:
        commands.add(tx, first.run_id, clock.now, kind="keep", reason="r", author="a", steps=[1])
    assert first.send()["commands"] == []
    api.post(f"/api/v1/runs/{first.run_id}/stop", json={"reason": "enough"})
    assert [command["kind"] for command in first.send()["commands"]] == ["stop"]
    assert [command["kind"] for command in second.send()["commands"]] == ["keep", "stop"]


def test_a_reply_tells_of_a_suspicion_with_points_and_without(api: TestClient) -> None:
    trainer = Trainer(api, policy={"action": "watch"}, metadata={"max_steps": 300})
    assert "suspected_since" not in trainer.send(point(1))
    transition(trainer, first=2, steps=110)
    found = trainer.get()
    assert found["phase"] in ("turning", "past")
    safe = found["transition"]["safe_step"]
    assert trainer.send(point(111, reward=0.0))["suspected_since"] == safe
    assert trainer.send()["suspected_since"] == safe
