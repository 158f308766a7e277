"""What viewers are handed after a batch is byte for byte what they would have read."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitor.live.changes import Reader
from monitor.live.fresh import Fresh
from monitor.services import Service
from tests.messages import Trainer, checkpoint, point, transition


class Following:
    """A service where every run is followed: what it hands over, beside what is read."""

    def __init__(self, service: Service) -> None:
        self.service, self.handed = service, list[tuple[str, Fresh]]()
        self.reader = Reader(service.database, service.summaries_of)

    def tell(self, run_id: str, fresh: Fresh) -> None:
        self.service.known.told(run_id, fresh)
        self.handed.append((run_id, fresh))

    def known(self, run_id: str) -> None:
        """Have the run read, as by the viewer who comes."""
        self.service.summaries_of([run_id])

    def checked(self) -> int:
        """Check the last batch that was handed over; return how many there were."""
        run_id, fresh = self.handed[-1]
        found = self.reader.read(run_id, fresh.after, fresh.upto)
        assert events(fresh.content) == events(found.content)
        return len(self.handed)


def events(content: bytes) -> list[tuple[str, Any, str]]:
    """Return (kind, data, cursor) of the encoded events."""
    found = []
    for block in content.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return found


@pytest.fixture
def following(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> Following:
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    found = Following(service)
    monkeypatch.setattr(service.known, "_follows", lambda run_id: True)
    monkeypatch.setattr(service.ingest, "_tell", found.tell)
    return found


def test_new_steps_are_handed_over_as_they_are_read(api: TestClient, following: Following) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, format_reward=0.25, loss=0.5))
    following.known(trainer.run_id)
    trainer.send(point(2, format_reward=0.5, loss=-0.0), point(3, format_reward=0.5))
    assert following.checked() == 1
    trainer.send(point(4, loss=0.1), point(4, format_reward=0.75))  # a step in two parts
    assert following.checked() == 2
    trainer.send(point(5, loss=0.1))
    assert following.checked() == 3


def test_a_role_of_several_functions_is_handed_over_as_their_sum(
    api: TestClient, following: Following
) -> None:
    trainer = Trainer(api)
    parts = {"rewards/soft_format_reward_func": 0.25, "rewards/xmlcount_reward_func": 0.5}
    trainer.send(point(1, **parts))
    following.known(trainer.run_id)
    trainer.send(point(2, **parts))
    following.checked()
    assert events(following.handed[-1][1].content)[0][1]["metrics"]["format_reward"] == 0.75


@pytest.mark.parametrize(
    "message",
    [
        point(2, loss=0.5),  # a step that was there
        checkpoint(3),
        point(3, new_name=0.5, completion_length=3.0),  # another role
    ],
    ids=["known", "checkpoint", "role"],
)
def test_anything_else_is_read(
    api: TestClient, following: Following, message: dict[str, Any]
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, format_reward=0.25), point(2, format_reward=0.25))
    following.known(trainer.run_id)
    trainer.send(message)
    assert following.handed == []


def test_a_superseded_attempt_is_read(api: TestClient, following: Following) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, loss=0.25))
    Trainer(api, trainer.run_id).send(point(5, loss=0.5))
    following.known(trainer.run_id)
    trainer.send(point(9, loss=0.25))
    assert following.handed == []


def test_a_run_that_is_not_read_lately_is_read(api: TestClient, following: Following) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, loss=0.25))
    trainer.send(point(2, loss=0.25))
    assert following.handed == []


def test_through_a_transition_every_batch_is_the_same(
    api: TestClient, following: Following
) -> None:
    trainer = Trainer(api)
    send = trainer.send

    def checked(*messages: Any, **more: Any) -> Any:
        before = len(following.handed)
        reply = send(*messages, **more)
        if len(following.handed) > before:
            following.checked()
        following.known(trainer.run_id)
        return reply

    trainer.send = checked  # type: ignore[method-assign]
    assert transition(trainer)
    assert len(following.handed) > 50
