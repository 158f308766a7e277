"""Webhooks end to end: what happens in the monitor reaches a real receiver, signed, once for each id."""

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from standardwebhooks import Webhook, WebhookVerificationError

from cusp.ids import new_id
from monitor.app import create_app
from monitor.background.periodic import PeriodicThread
from monitor.services import Service
from monitor.settings import MonitorConfig
from monitor.store.access import deliveries
from monitor.store.access import webhooks as store
from monitor.webhooks import outbox as outbox_webhook
from monitor.webhooks.delivery import MOST_AT_ONCE, Delivery
from monitor.webhooks.ssrf import allowed_networks
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status, transition
from tests.monitor.api.routes.test_jobs import claim
from tests.receivers import Receiver
from tests.waiting import wait_until


@pytest.fixture
def api(database_url: str, clock: Clock) -> Iterator[TestClient]:
    """A monitor on each database that may send to this machine; its threads do not run."""
    config = MonitorConfig(database_url, webhook_allow=allowed_networks("127.0.0.0/8"))
    app = create_app(config)
    app.state.service.clock = clock
    app.state.service.ingest._clock = clock
    yield TestClient(app, base_url="http://127.0.0.1:8787")
    app.state.service.database.close()


@pytest.fixture
def courier(api: TestClient, clock: Clock) -> Delivery:
    """Sends when told to."""
    return courier_of(api, clock)


def service_of(api: TestClient) -> Service:
    app: Any = api.app
    service: Service = app.state.service
    return service


def courier_of(api: TestClient, clock: Callable[[], float]) -> Delivery:
    return Delivery(
        service_of(api).database, clock, allowed=allowed_networks("127.0.0.0/8"), lost_after_s=60.0
    )


def add(api: TestClient, receiver: Receiver, *topics: str, **more: Any) -> Json:
    body = {"url": receiver.url, **({"topics": topics} if topics else {}), **more}
    answer = api.post("/api/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def outbox(api: TestClient, webhook: Json) -> list[Json]:
    """Return the webhook's deliveries, oldest first."""
    answer = api.get(f"/api/v1/webhooks/{webhook['id']}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["deliveries"]))


def test_a_run_from_start_to_evaluation_is_told_in_order(
    api: TestClient, courier: Delivery
) -> None:
    with Receiver() as receiver:
        add(api, receiver)
        trainer = Trainer(api, project="tina")
        sent = transition(trainer)
        (stop,) = [command for command in sent if command["kind"] == "stop"]
        trainer.ack(stop, "done", step=80)
        trainer.send(status("stopped", step=80, reason="told to"))
        job = claim(api)
        assert job is not None
        finish = {"token": job["token"], "state": "done"}
        assert api.post(f"/api/v1/jobs/{job['id']}/finish", json=finish).status_code == 200
        courier.send_due()
    assert receiver.topics == [
        "run.started",
        "transition.found",
        "checkpoint.promoted",
        "stop.done",
        "run.ended",
        "evaluation.done",
    ]
    told = dict(zip(receiver.topics, receiver.messages, strict=True))
    assert {message["run"]["project"] for message in receiver.messages} == {"tina"}
    assert told["run.started"]["run"]["path"] == f"/runs/{trainer.run_id}"
    found = told["transition.found"]["data"]["transition"]
    assert found["state"] == "confirmed"
    assert 40 <= found["step"] <= 80
    assert told["checkpoint.promoted"]["data"]["alias"] == "pre-transition"
    assert told["stop.done"]["data"]["step"] == 80
    ended = told["run.ended"]["data"]
    assert {name: ended[name] for name in ("status", "reason", "step")} == {
        "status": "stopped",
        "reason": "told to",
        "step": 80,
    }
    assert ended["elapsed_s"] >= 0
    assert ended["ended_at"].endswith("Z")


def test_one_transition_is_told_once_however_many_batches_follow(
    api: TestClient, courier: Delivery
) -> None:
    with Receiver() as receiver:
        add(api, receiver, "transition.found")
        trainer = Trainer(api, policy={"action": "watch", "evaluate": "none"})
        transition(trainer)
        courier.send_due()
    assert receiver.topics == ["transition.found"]


def test_every_topic_can_be_told(api: TestClient, courier: Delivery, clock: Clock) -> None:
    """What is documented is what is sent: each topic is made to happen."""
    with Receiver() as receiver:
        add(api, receiver)
        refuser = Trainer(api)
        refuser.send(point(1))
        api.post(f"/api/v1/runs/{refuser.run_id}/stop", json={})
        (command,) = refuser.send()["commands"]
        refuser.ack(command, "refused", reason="not now")
        stopped = Trainer(api)
        transition(stopped, steps=90)
        (command, *_) = [c for c in stopped.send()["commands"] if c["kind"] == "stop"]
        stopped.ack(command, "done", step=80)
        stopped.send(status("stopped"))
        for state in ("failed", "done"):
            job = claim(api)
            assert job is not None
            path = f"/api/v1/jobs/{job['id']}/finish"
            assert api.post(path, json={"token": job["token"], "state": state}).status_code == 200
            api.post(f"/api/v1/runs/{stopped.run_id}/evaluate", json={})
        claim(api)
        verified = Trainer(api, metadata={"verifies": "training"}, policy={"evaluate": "none"})
        verified.send(checkpoint(1), point(2))
        api.post(f"/api/v1/runs/{verified.run_id}/verifications")
        (asked,) = verified.send()["commands"]
        held_out = {"step": 2, "scores": {"1": [1.0], "2": [0.0]}}
        verified.send({"kind": "verification", "command_id": asked["command_id"], **held_out})
        clock.now += 61
        courier.send_due()  # refuser is silent by now
        run = f"/api/v1/runs/{stopped.run_id}"
        assert api.delete(run).status_code == 200
        assert api.post(f"{run}/restore").status_code == 200
        assert api.delete(run).status_code == 200
        assert api.post(f"{run}/purge").status_code == 202
        courier.send_due()
    assert set(receiver.topics) == set(outbox_webhook.TOPICS)


def test_a_promotion_by_a_person_is_told_with_the_name(api: TestClient, courier: Delivery) -> None:
    with Receiver() as receiver:
        add(api, receiver, "checkpoint.promoted")
        trainer = Trainer(api)
        at_3 = new_id()
        trainer.send(point(3), checkpoint(3, at_3))
        api.post(f"/api/v1/checkpoints/{at_3}/promote", json={})
        courier.send_due()
    (message,) = receiver.messages
    expected = {"alias": "production", "author": "person", "step": 3, "previous": None}
    assert message["data"] == {"checkpoint_id": at_3, **expected}


def test_a_webhook_hears_only_its_topics_and_its_project(
    api: TestClient, courier: Delivery
) -> None:
    with Receiver() as ends, Receiver() as tina:
        add(api, ends, "run.ended")
        add(api, tina, project="tina")
        for project in ("tina", "other"):
            Trainer(api, project=project).send(point(1), status("finished"))
        courier.send_due()
    assert sorted(ends.topics) == ["run.ended", "run.ended"]
    assert sorted(tina.topics) == ["run.ended", "run.started"]
    assert {message["run"]["project"] for message in tina.messages} == {"tina"}


def test_what_is_rolled_back_is_not_told(api: TestClient, courier: Delivery) -> None:
    """The outbox is written in the transaction of what it tells of."""
    with Receiver() as receiver:
        webhook = add(api, receiver)
        trainer = Trainer(api)
        database = service_of(api).database

        def told_and_failed() -> None:
            with database.write() as tx:
                outbox_webhook.emit(tx, "run.ended", trainer.run_id, 1.0, status="finished")
                assert deliveries.counts(tx)[webhook["id"], "waiting"] == 2
                raise RuntimeError("the rest of the transaction failed")

        with pytest.raises(RuntimeError, match="the rest"):
            told_and_failed()
        courier.send_due()
    assert receiver.topics == ["run.started"]


def test_the_signature_is_of_the_id_the_time_and_the_bytes(
    api: TestClient, courier: Delivery
) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver)
        Trainer(api)
        courier.send_due()
    (body,), (headers,) = receiver.bodies, receiver.headers
    (message,) = receiver.messages
    assert Webhook(webhook["secret"]).verify(body, headers) == message
    for changed in (
        {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
        {"webhook-id": new_id()},
    ):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Webhook(webhook["secret"]).verify(body, headers | changed)
    assert headers["webhook-id"] == message["id"] == outbox(api, webhook)[0]["id"]
    assert (headers["Cusp-Topic"], headers["Content-Type"]) == ("run.started", "application/json")


def test_a_failed_delivery_is_tried_again_later_and_later_with_the_same_bytes(
    api: TestClient, courier: Delivery, clock: Clock
) -> None:
    with Receiver(500, 503, 200) as receiver:
        webhook = add(api, receiver, "run.started")
        Trainer(api)
        courier.send_due()
        (first,) = outbox(api, webhook)
        assert (first["state"], first["attempts"], first["http_status"]) == ("waiting", 1, 500)
        assert "answered 500" in first["error"]
        clock.now += 4.9
        assert courier.send_due() == 0, "too early"
        clock.now += 0.2
        courier.send_due()
        clock.now += 14.9
        assert courier.send_due() == 0, "the second wait is longer"
        clock.now += 0.2
        courier.send_due()
    (done,) = outbox(api, webhook)
    assert (done["state"], done["attempts"], done["error"]) == ("delivered", 3, None)
    assert len(receiver.bodies) == 3
    assert len(set(receiver.bodies)) == 1


def test_a_delivery_that_never_arrives_is_given_up_with_the_reason_and_can_be_sent_again(
    api: TestClient, courier: Delivery, clock: Clock
) -> None:
    with Receiver(*[500] * outbox_webhook.MOST_ATTEMPTS, 200) as receiver:
        webhook = add(api, receiver, "run.started")
        Trainer(api)
        for _ in range(outbox_webhook.MOST_ATTEMPTS + 3):
            courier.send_due()
            clock.now += outbox_webhook.LONGEST_RETRY_S + 1
        (dead,) = outbox(api, webhook)
        assert (dead["state"], dead["attempts"]) == ("dead", outbox_webhook.MOST_ATTEMPTS)
        assert "answered 500" in dead["error"]
        assert len(receiver.bodies) == outbox_webhook.MOST_ATTEMPTS
        path = f"/api/v1/webhooks/{webhook['id']}/deliveries/{dead['id']}/retry"
        assert api.post(path).status_code == 202
        conflict = api.post(path)
        assert (conflict.status_code, "is waiting" in conflict.text) == (409, True)
        courier.send_due()
    assert outbox(api, webhook)[0]["state"] == "delivered"
    assert len(set(receiver.bodies)) == 1


def test_a_receiver_that_says_gone_is_not_asked_again(
    api: TestClient, courier: Delivery, clock: Clock
) -> None:
    with Receiver(410) as receiver:
        webhook = add(api, receiver, "run.started")
        Trainer(api)
        courier.send_due()
        clock.now += 86_400
        courier.send_due()
    assert (outbox(api, webhook)[0]["state"], len(receiver.bodies)) == ("dead", 1)


def test_a_courier_that_dies_after_posting_leaves_a_repeat_under_the_same_id(
    api: TestClient, courier: Delivery, clock: Clock
) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver, "run.started")
        Trainer(api)
        dying = courier_of(api, clock)
        row = dying._claimed()
        assert row is not None
        with service_of(api).database.read() as tx:
            stored = store.get(tx, webhook["id"])
        assert stored is not None
        dying._posted(stored, row)
        assert courier.send_due() == 0, "its lease still runs"
        clock.now += deliveries.LEASE_S + 1
        assert courier.send_due() == 1
        with service_of(api).database.write() as tx:
            assert not deliveries.finish(tx, row, state="dead"), "it came back past its lease"
    assert [message["id"] for message in receiver.messages] == [row.id, row.id]
    assert outbox(api, webhook)[0]["state"] == "delivered"


def test_many_couriers_send_each_delivery_once(api: TestClient, clock: Clock) -> None:
    with Receiver() as receiver, Receiver() as other:
        for one in (receiver, other):
            add(api, one, "run.started")
        runs = {Trainer(api).run_id for _ in range(20)}
        threads = [
            threading.Thread(target=courier_of(api, clock).send_due, daemon=True) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        courier_of(api, clock).send_due()
    for one in (receiver, other):
        assert len(one.messages) == 20
        assert {message["run"]["id"] for message in one.messages} == runs


def test_a_slow_receiver_holds_up_itself_only(api: TestClient, clock: Clock) -> None:
    held = threading.Event()
    with Receiver() as slow, Receiver() as quick:
        slow.before_answering = lambda: held.wait(10)
        for one in (slow, quick):
            add(api, one, "run.started")
        for _ in range(3):
            Trainer(api)
        courier = courier_of(api, clock)
        events = {"wake": courier.wake, "closing": courier.closing}
        thread = PeriodicThread("courier", courier.turn, 1.0, without="nothing is sent", **events)
        thread.start()
        quick.wait_for(3)
        assert len(slow.bodies) <= 1
        held.set()
        slow.wait_for(3)
        thread.close()


def test_webhooks_are_sent_after_a_database_that_went_away_again_and_again(
    api: TestClient, courier: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    with Receiver() as receiver:
        webhook = add(api, receiver, "run.started")
        with monkeypatch.context() as patched:
            patched.setattr(deliveries, "any_due", away)
            for _ in range(MOST_AT_ONCE + 1):
                with pytest.raises(OperationalError):
                    courier.turn()
        Trainer(api)
        courier.turn()
        wait_until(lambda: outbox(api, webhook)[0]["state"] == "delivered", 10)


def test_a_lost_run_is_told_once_and_again_when_it_is_lost_again(
    api: TestClient, courier: Delivery, clock: Clock
) -> None:
    long_lost = Trainer(api)
    clock.now += 3_600
    with Receiver() as receiver:
        add(api, receiver, "run.lost")
        trainer = Trainer(api)
        trainer.send(point(7))
        Trainer(api).send(status("finished"))
        clock.now += 59
        courier.send_due()
        assert receiver.bodies == []
        clock.now += 2
        for _ in range(3):
            courier.send_due()
        assert [message["run"]["id"] for message in receiver.messages] == [trainer.run_id]
        assert receiver.messages[0]["data"]["step"] == 7
        trainer.send(point(8))
        clock.now += 61
        courier.send_due()
    assert len(receiver.messages) == 2
    assert long_lost.run_id not in str(receiver.messages)


def test_a_ping_tries_a_webhook(api: TestClient, courier: Delivery) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver, "run.lost")
        asked = api.post(f"/api/v1/webhooks/{webhook['id']}/test")
        assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
        courier.send_due()
    (message,) = receiver.messages
    assert (message["topic"], message["run"], message["data"]) == (
        "ping",
        None,
        {"author": "person"},
    )
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries/{asked.json()['id']}"
    assert api.get(path).json()["state"] == "delivered"


def test_a_removed_webhook_is_silent_and_its_secret_forgotten(
    api: TestClient, courier: Delivery
) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver)
        Trainer(api)
        path = f"/api/v1/webhooks/{webhook['id']}"
        assert api.delete(path).json() == {"id": webhook["id"], "dropped": 1}
        assert api.delete(path).status_code == 404
        Trainer(api)
        courier.send_due()
    assert receiver.bodies == []
    assert api.get("/api/v1/webhooks").json() == {"webhooks": []}
    assert api.post(f"{path}/test").status_code == 404
    with service_of(api).database.read() as tx:
        assert tx.execute(text("SELECT secret FROM webhooks")).scalar_one() == ""


def test_the_secret_is_in_the_first_answer_and_nowhere_else(
    api: TestClient, courier: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(500) as receiver:
        webhook = add(api, receiver)
        Trainer(api)
        with caplog.at_level("DEBUG"):
            courier.send_due()
            shown = [
                api.get(path).text
                for path in (
                    "/api/v1/webhooks",
                    f"/api/v1/webhooks/{webhook['id']}/deliveries",
                    "/api/v1/audit",
                )
            ]
    secret = webhook["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    with service_of(api).database.read() as tx:
        stored = {
            table: str(tx.execute(text(f"SELECT * FROM {table}")).all())
            for table in ("answers", "audit", "deliveries", "tokens")
        }
    for where in (*shown, caplog.text, *receiver.bodies, str(receiver.headers), *stored.values()):
        assert secret not in str(where)


def test_a_repeat_with_the_same_key_makes_one_webhook_and_gives_the_same_answer(
    api: TestClient,
) -> None:
    with Receiver() as receiver:
        body, headers = {"url": receiver.url}, {"Idempotency-Key": "once"}
        first, second = (api.post("/api/v1/webhooks", json=body, headers=headers) for _ in "12")
    assert first.json() == second.json()
    assert len(api.get("/api/v1/webhooks").json()["webhooks"]) == 1
    with service_of(api).database.read() as tx:
        kept = tx.execute(text("SELECT body FROM answers")).scalar_one()
    assert first.json()["secret"] not in str(kept)


@pytest.mark.parametrize(
    ("url", "status", "why"),
    [
        ("https://10.0.0.1/", 409, "inside a network that is not public"),
        ("https://169.254.169.254/latest/meta-data", 409, "inside a network that is not public"),
        ("https://[::1]/", 409, "inside a network that is not public"),
        ("http://10.0.0.1/", 409, "use https"),
        ("https://no-such-name.invalid/", 409, "cannot be resolved"),
        ("ftp://127.0.0.1/", 422, "use one like https"),
        ("0", 422, "use one like https"),
        ("https://me:secret@hooks.example/", 422, "leave them out"),
        ("https://[1::2::3]/", 422, "cannot be read"),
        ("https://hooks.example:65536/", 422, "cannot be read"),
    ],
)
def test_a_url_that_would_never_be_sent_to_is_refused_at_once(
    api: TestClient, url: str, status: int, why: str
) -> None:
    """422 is about the URL's form, which the document tells; 409 about where it points."""
    answer = api.post("/api/v1/webhooks", json={"url": url})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert why in answer.json()["detail"]


def test_an_address_that_turns_inside_after_it_was_added_is_refused_at_every_try(
    api: TestClient, clock: Clock
) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver, "run.started")
        Trainer(api)
        narrowed = Delivery(service_of(api).database, clock, allowed=())
        narrowed.send_due()
    (waiting,) = outbox(api, webhook)
    assert receiver.bodies == []
    assert "unencrypted; use https" in waiting["error"]


def test_who_did_what_with_webhooks_is_in_the_audit_log(api: TestClient) -> None:
    with Receiver() as receiver:
        webhook = add(api, receiver, "run.lost")
    api.post(f"/api/v1/webhooks/{webhook['id']}/test")
    api.delete(f"/api/v1/webhooks/{webhook['id']}")
    acts = api.get("/api/v1/audit").json()["audit"]
    assert [act["action"] for act in acts] == ["remove webhook", "test webhook", "add webhook"]
    assert {(act["actor"], act["target"], act["run_id"]) for act in acts} == {
        ("person", webhook["id"], None)
    }
    assert "/hook" not in str(acts), "the path of a URL may hold a secret"
