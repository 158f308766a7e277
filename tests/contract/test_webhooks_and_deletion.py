"""`cusp webhook` and `cusp runs delete|restore|purge` against a real monitor and a real receiver."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError
from typer.testing import CliRunner

import cusp
from cusp.cli import webhooks
from cusp.cli.app import app
from monitor.webhooks.signing import new_secret
from tests.conftest import MonitorProcess
from tests.receivers import Receiver

DOCS = Path(__file__).parents[2] / "docs/reference/webhooks.md"


@pytest.fixture
def monitor(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MonitorProcess]:
    """A monitor process that may send to this machine."""
    monkeypatch.setenv("CUSP_WEBHOOK_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    monitor_process.start()
    yield monitor_process
    assert "Traceback" not in (monitor_process.folder / "monitor.log").read_text()


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code != 0
    return str(result.exception)


def read(*arguments: str) -> Any:
    return json.loads(said(*arguments, "--json"))


def finished(name: str) -> str:
    run = cusp.init("p", name)
    run.log({"reward": 1.0}, 3)
    assert run.finish()
    return run.id


def documented() -> Any:
    """Return the function that the documentation shows for reading a delivery."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    return names["received"]


def test_a_webhook_is_added_tried_listed_and_removed_and_its_deliveries_verify_as_documented(
    monitor: MonitorProcess,
) -> None:
    with Receiver() as receiver:
        made = read("webhook", "add", receiver.url, "--topic", "run.ended")
        assert "delivered: the receiver answered 204" in said("webhook", "test", made["id"])
        run_id = finished("told")
        receiver.wait_for(2)
        assert receiver.topics == ["ping", "run.ended"]
        assert receiver.messages[1]["run"]["id"] == run_id
        received = documented()
        for headers, body in zip(receiver.headers, receiver.bodies, strict=True):
            assert received(made["secret"], headers, body) == json.loads(body)
            long_ago = {"webhook-timestamp": str(int(time.time()) - 301)}
            for secret, given, sent in (
                (new_secret(), headers, body),
                (made["secret"], headers, body + b" "),
                (made["secret"], headers | long_ago, body),
            ):
                with pytest.raises(WebhookVerificationError):
                    received(secret, given, sent)
        (listed,) = read("webhook", "list")
        assert "secret" not in listed
        assert made["secret"] not in said("webhook", "list")
        assert "run.ended" in said("webhook", "list", made["id"])
        assert "removed" in said("webhook", "remove", made["id"])
    assert read("webhook", "list") == []
    assert made["secret"] not in (monitor.folder / "monitor.log").read_text()


def test_a_webhook_whose_receiver_fails_says_so_and_can_be_sent_again(
    monitor: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(410, 200) as receiver:
        made = read("webhook", "add", receiver.url)
        assert "answered 410" in refused("webhook", "test", made["id"])
        (dead,) = read("webhook", "list", made["id"])
        assert dead["state"] == "dead"
        assert "waits to be sent again" in said("webhook", "retry", made["id"], dead["id"])
        receiver.wait_for(2)
    monkeypatch.setattr(webhooks, "WAIT_S", 5.0)
    assert "cannot be reached" in refused("webhook", "test", made["id"])
    assert "inside a network" in refused("webhook", "add", "https://10.0.0.1/")
    assert "there is no webhook" in refused("webhook", "remove", dead["id"])


def test_a_monitor_killed_while_it_posts_posts_again_under_the_same_id(
    monitor: MonitorProcess,
) -> None:
    """kill -9 after the receiver has it and before the monitor knows: a lease later it comes again."""
    with Receiver() as receiver:
        read("webhook", "add", receiver.url, "--topic", "run.ended")
        receiver.before_answering = monitor.kill
        finished("told")
        receiver.wait_for(1)
        receiver.before_answering = lambda: None
        with closing(sqlite3.connect(monitor.folder / "cusp.db")) as database:
            (state,) = database.execute("SELECT state FROM deliveries").fetchone()
            database.execute("UPDATE deliveries SET lease_until = 0")  # its time passes
            database.commit()
        monitor.start()
        receiver.wait_for(2)
    first, second = receiver.messages
    assert (state, first) == ("sending", second)


def test_a_run_is_deleted_restored_and_purged_from_the_command_line(
    monitor: MonitorProcess,
) -> None:
    run_id = finished("doomed")
    assert finished("kept")
    assert "is deleted; until " in said("runs", "delete", "doomed")
    assert [run["name"] for run in read("runs")["runs"]] == ["kept"]
    assert "doomed" in said("runs", "--deleted")
    assert "no run is called 'doomed'" in refused("show", "doomed")
    assert "is back" in said("runs", "restore", "doomed")
    assert {run["name"] for run in read("runs")["runs"]} == {"kept", "doomed"}
    assert "no deleted run is called 'doomed'" in refused("runs", "purge", "doomed")
    assert read("runs", "delete", run_id[-8:])["run_id"] == run_id
    assert "is gone for good" in said("runs", "purge", "doomed")
    assert read("runs", "--deleted")["deleted_runs"] == []


def test_a_purged_run_on_disk_does_not_hold_up_the_sync_of_others(
    monitor: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = finished("doomed")
    said("runs", "delete", run_id)
    said("runs", "purge", run_id)
    monkeypatch.setenv("CUSP_MODE", "offline")
    for name, known in (("doomed", run_id), ("later", None)):
        with cusp.init("p", name, run_id=known) as run:
            run.log({"reward": 2.0}, 4)
    result = CliRunner().invoke(app, ["sync", "--json"])
    assert json.loads(result.output) == {"sent": 3, "waiting": 3}
    assert [run["name"] for run in read("runs")["runs"]] == ["later"]


def test_a_training_that_goes_on_after_its_run_was_purged_is_not_hurt(
    monitor: MonitorProcess, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = finished("doomed")
    said("runs", "delete", run_id)
    said("runs", "purge", run_id)
    again = cusp.init("p", "doomed", run_id=run_id)
    again.log({"reward": 2.0}, 4)
    with caplog.at_level("WARNING"):
        assert not again.finish(drain_s=2.0)
    assert "was purged by person" in caplog.text
    assert read("runs")["runs"] == []
