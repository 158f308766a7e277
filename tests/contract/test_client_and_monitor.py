"""The real client against a real monitor process that is down, dies, or forgets."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import cusp
from cusp.checkpoints import manifest, paths
from cusp.client import Client
from cusp.settings import Settings
from monitor.database.engine import Database
from monitor.store import commands
from tests.conftest import MonitorProcess
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def environment(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))


def stored(monitor: MonitorProcess, run: cusp.Run) -> list[int]:
    """Return the steps the monitor holds; none as long as it has not heard of the run."""
    if run.id not in [known["id"] for known in monitor.get("/runs")["runs"]]:
        return []
    found = monitor.get(f"/runs/{run.id}/series", names="reward")["series"]
    return list(found[0]["steps"]) if found else []


def wait_for(monitor: MonitorProcess, run: cusp.Run, step: int) -> None:
    for _ in range(200):
        if step in stored(monitor, run):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} did not arrive")


def test_a_monitor_that_is_down_at_the_start_gets_everything_once_it_is_up(
    monitor_process: MonitorProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run = cusp.init("p", "n")
        slowest_s = 0.0
        for step in range(200):
            begun = time.perf_counter()
            run.log({"reward": 1.0}, step)
            slowest_s = max(slowest_s, time.perf_counter() - begun)
        time.sleep(0.5)
    assert slowest_s < 0.5
    assert "cannot reach the monitor" in caplog.text
    assert "cusp serve" in caplog.text
    monitor_process.start()
    assert run.finish(drain_s=20)
    assert stored(monitor_process, run) == list(range(200))


def test_a_monitor_that_comes_up_with_another_token_is_said_once_after_its_silence(
    monitor_process: MonitorProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CUSP_TOKEN", "the-token-of-last-week")
    monitor_process.token = "the-token-of-this-week"
    with caplog.at_level(logging.WARNING):
        run = cusp.init("p", "n")
        run.log({"reward": 1.0}, 0)
        wait_until(lambda: "cannot reach the monitor" in caplog.text, 20)
        monitor_process.start()
        wait_until(lambda: "refuses the token (401); set CUSP_TOKEN" in caplog.text, 30)
        assert not run.finish(drain_s=0.5)
    assert caplog.text.count("cannot reach the monitor") == 1
    assert caplog.text.count("refuses the token") == 1


def test_a_monitor_that_dies_in_the_middle_loses_and_doubles_nothing(
    monitor_process: MonitorProcess,
) -> None:
    monitor_process.start()
    run = cusp.init("p", "n")
    for step in range(300):
        run.log({"reward": float(step)}, step)
        if step in (70, 170):
            wait_for(monitor_process, run, step - 30)
            monitor_process.kill()
        if step in (120, 220):
            monitor_process.start()
    assert run.finish(drain_s=20)
    assert stored(monitor_process, run) == list(range(300))
    assert monitor_process.get(f"/runs/{run.id}")["status"] == "finished"


def test_a_monitor_with_a_new_database_is_told_of_the_run_again(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    wait_for(monitor_process, run, 1)
    monitor_process.kill()
    for file in tmp_path.glob("cusp.db*"):
        file.unlink()
    monitor_process.start()
    run.log({"reward": 1.0}, 2)
    assert run.finish(drain_s=20)
    assert stored(monitor_process, run) == [1, 2]


def test_a_superseded_training_does_not_take_its_run_back_on_a_new_database(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_process.start()
    older = cusp.init("p", "n")
    older.log({"reward": 1.0}, 1)
    wait_for(monitor_process, older, 1)
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "other box"))
    newer = cusp.init("p", "n", run_id=older.id)
    newer.log({"reward": 2.0}, 2)
    wait_until(lambda: older._superseded, 20)
    assert older._sender
    with monkeypatch.context() as away:  # its network comes back after that of the newer one
        away.setattr(older._sender, "_ship_everything", lambda: None)
        monitor_process.kill()
        for file in tmp_path.glob("cusp.db*"):
            file.unlink()
        monitor_process.start()
        newer.log({"reward": 2.0}, 3)
        wait_for(monitor_process, newer, 3)

    def found() -> dict[str, Any]:
        return monitor_process.get(f"/runs/{older.id}")

    wait_until(lambda: found()["still_training"], 30)
    assert found()["still_training"] == [1]
    assert found()["status"] == "running"
    newer.log({"reward": 2.0}, 4)
    wait_for(monitor_process, newer, 4)
    assert not newer._superseded
    with Client(Settings(monitor_process.url)) as client:
        client.post(f"/runs/{older.id}/stop")
    for run in (older, newer):
        wait_until(run.should_stop, 20)
        run.finish(drain_s=20)
    assert found()["status"] == "stopped"
    assert stored(monitor_process, newer)[-3:] == [2, 3, 4]


def test_a_data_folder_that_is_deleted_in_the_middle_costs_no_point_and_no_stop(
    monitor_process: MonitorProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monitor_process.start()
    box = tmp_path / "box"
    monkeypatch.setenv("CUSP_DIR", str(box))
    run = cusp.init("p", "n", root=tmp_path / "out")
    run.log({"reward": 1.0}, 1)
    wait_for(monitor_process, run, 1)
    shutil.rmtree(box)
    for step in range(2, 50):
        run.log({"reward": 1.0}, step)
    wait_for(monitor_process, run, 49)
    assert "was deleted" in caplog.text
    assert paths.run_root(box, run.id) == tmp_path / "out"
    with Client(Settings(monitor_process.url)) as client:
        client.post(f"/runs/{run.id}/stop")
    wait_until(run.should_stop, 20)
    again = cusp.init("p", "n", run_id=run.id)
    assert again.id != run.id, "it is still being trained"
    assert run.finish(drain_s=20)
    again.finish()
    assert stored(monitor_process, run) == list(range(1, 50))


def test_what_a_dead_attempt_left_is_shipped_by_the_next_one(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_MODE", "offline")
    first = cusp.init("p", "n")
    for step in range(16):
        first.log({"reward": 1.0}, step)
    first.finish("failed", "killed")
    monkeypatch.setenv("CUSP_MODE", "online")
    monitor_process.start()
    second = cusp.init("p", "n", run_id=first.id)
    for step in range(10, 21):
        second.log({"reward": 2.0}, step)
    wait_for(monitor_process, second, 0)
    assert second.finish(drain_s=20)
    assert stored(monitor_process, second) == list(range(21))
    attempts = monitor_process.get(f"/runs/{first.id}")["attempts"]
    assert [a["status"] for a in attempts] == ["failed", "finished"]


def test_offline_trainings_are_synced_later(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from cusp.cli.app import app

    monkeypatch.setenv("CUSP_MODE", "offline")
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    run.finish()
    monitor_process.start()
    result = CliRunner().invoke(app, ["sync", "--json"])
    assert result.exit_code == 0, result.output
    assert '"waiting": 0' in result.output
    assert stored(monitor_process, run) == [1]


def test_a_stop_reaches_the_training_within_a_step_and_a_second(
    monitor_process: MonitorProcess,
) -> None:
    from cusp.client import Client

    monitor_process.start()
    run = cusp.init("p", "n")
    path = run.root / "checkpoint-1"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"x")
    run.checkpoint(path, 1)
    run.log({"reward": 1.0}, 1)
    wait_for(monitor_process, run, 1)
    asked = time.monotonic()
    with Client() as client:
        command = client.post(f"/runs/{run.id}/stop", {"reason": "enough"})
    while not run.should_stop():
        time.sleep(0.01)
        assert time.monotonic() - asked < 3
    assert time.monotonic() - asked < 1.5
    run.finish()
    found = monitor_process.get(f"/runs/{run.id}/commands/{command['id']}")
    assert (found["state"], monitor_process.get(f"/runs/{run.id}")["status"]) == ("done", "stopped")


def test_a_wrong_token_is_said_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cusp.cli.demo.processes import free_port

    monitor = MonitorProcess(tmp_path, free_port(0), token="the-right-token-of-16")
    monitor.start()
    monkeypatch.setenv("CUSP_URL", monitor.url)
    monkeypatch.setenv("CUSP_TOKEN", "the-wrong-token-of-16")
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    assert not run.finish(drain_s=1)
    assert "401" in caplog.text
    assert "the-wrong-token" not in caplog.text
    monitor.kill()


def test_a_stop_that_expired_is_not_carried_out_by_a_trainer_that_had_heard_it(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    run = cusp.init("p", "n")
    wait_until(
        lambda: run.id in [known["id"] for known in monitor_process.get("/runs")["runs"]], 10
    )
    with Client(Settings(url=monitor_process.url)) as client:
        command = client.post(f"/runs/{run.id}/stop")
        wait_until(run.should_stop, 10)
        database = Database(str(tmp_path / "cusp.db"))
        with database.write() as tx:
            commands.expire(tx, run.id, time.time(), "as if an hour had passed")
        database.close()
        wait_until(lambda: not run.should_stop(), 10)
        run.log({"reward": 1.0}, 1)
        run.finish()
        state = client.get(f"/runs/{run.id}/commands/{command['id']}")["state"]
        assert (state, client.get(f"/runs/{run.id}")["status"]) == ("expired", "finished")


def test_a_checkpoint_whose_trainer_was_killed_before_it_could_tell_is_told_by_the_next_attempt(
    monitor_process: MonitorProcess,
) -> None:
    from cusp.ids import new_id

    monitor_process.start()
    run_id = new_id()
    saved = {}
    for step in (10, 20):  # complete on disk, and the process died right then
        path = monitor_process.folder / "runs" / run_id / f"checkpoint-{step}"
        path.mkdir(parents=True)
        (path / "adapter_model.safetensors").write_bytes(b"x")
        saved[step] = manifest.write_manifest(path, step).checkpoint_id
    run = cusp.init("p", "n", run_id=run_id)
    run.log({"reward": 1.0}, 11)  # goes on from 10: 20 belongs to the branch that is given up
    assert run.finish(drain_s=20)
    found = monitor_process.get(f"/runs/{run_id}/checkpoints")["checkpoints"]
    assert [one["id"] for one in found] == [saved[10]]


def test_a_training_hears_of_a_suspicion_and_of_its_end(monitor_process: MonitorProcess) -> None:
    monitor_process.start()
    run = cusp.init("p", "n", policy=cusp.Policy(action="watch"))
    assert run.suspected_since is None
    for step in range(1, 121):
        ripple = ((step * 7919) % 13 - 6) / 200
        rising, after = min(1.0, step / 25), min(1.0, max(0.0, (step - 60) / 25))
        values = {"format_reward": 0.3 + 0.6 * rising - 0.5 * after + ripple}
        values |= {"accuracy_reward": 0.3 + 0.4 * rising - 0.6 * after + ripple}
        run.log({**values, "completion_length": 60 - 25 * rising + 25 * after}, step)
    wait_until(lambda: run.suspected_since is not None, 20)
    assert run.suspected_since == monitor_process.get(f"/runs/{run.id}")["transition"]["safe_step"]
    run.finish(drain_s=20)
