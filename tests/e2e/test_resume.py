"""A real training, killed, is taken up by a real worker; that one killed, too, by another one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cusp.checkpoints import manifest, paths
from cusp.client import Client
from cusp.ids import new_id
from cusp.settings import Settings
from monitor.settings import MonitorConfig
from monitor.store import jobs
from tests.serving import Served, serving
from tests.small import SMALL

Json = dict[str, Any]
LONGER = [*SMALL, "grpo.max_steps=40", "grpo.save_steps=5", "run.policy.evaluate=none"]


class Box:
    """A box with a Cusp folder, on which processes of ours run."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ, "CUSP_URL": url, "CUSP_DIR": str(folder), "HF_HUB_OFFLINE": "1"
        }  # fmt: skip
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cusp", *arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def ask(self, *arguments: str) -> Json:
        done = subprocess.run(
            [sys.executable, "-m", "cusp", *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: Json = json.loads(done.stdout)
        return found

    def logs(self) -> str:
        files = [*self.folder.glob("*.log"), *self.folder.glob("logs/*/*.log")]
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in files)

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


@pytest.mark.timeout(300)
def test_a_killed_training_is_resumed_by_a_worker_and_by_another_when_that_is_killed_exactly(
    tmp_path: Path,
) -> None:
    with serving(MonitorConfig(str(tmp_path / "cusp.db"), lost_after_s=2.0)) as served:
        box = Box(tmp_path, served.url)
        run_id = new_id()
        root = tmp_path / "runs" / run_id
        try:
            with Client(Settings(url=served.url)) as client:
                training = box.start("trainer", "train", "tiny", *LONGER, "--run-id", run_id)
                wait(lambda: reached(root, 15), training, box)
                wait(lambda: registered(client, run_id, 10), training, box)
                training.kill()
                wait(lambda: client.get(f"/runs/{run_id}")["status"] == "lost", None, box)

                stop = box.ask("stop", run_id)
                assert stop["state"] == "open", "it may still come back"
                served.ahead_s = 3_601.0
                path = f"/runs/{run_id}/commands/{stop['id']}"
                wait(lambda: client.get(path)["state"] == "expired", None, box)
                assert "not been heard of" in client.get(path)["state_reason"]
                assert client.get(f"/runs/{run_id}")["status"] == "lost", (
                    "nobody knows that it failed"
                )

                job = box.ask("resume", run_id, "--step", "10")
                assert (job["kind"], job["state"]) == ("train", "queued")
                for name in ("one", "other"):
                    box.start(name, "worker")
                wait(lambda: (root / f".resumed-{job['id']}").exists(), None, box)
                wait(lambda: reached(root, 15), None, box)
                os.kill(holder(served, run_id), signal.SIGKILL)
                served.ahead_s += 61.0
                wait(lambda: state_of(client, run_id) == "done", None, box)

                run = client.get(f"/runs/{run_id}")
                (job,) = client.get("/jobs", run_id=run_id)["jobs"]
                with served.service.database.read() as tx:
                    brought, claims = (
                        jobs.of_run(tx, run_id)[0].result,
                        jobs.of_run(tx, run_id)[0].token,
                    )
                series = client.get(
                    f"/runs/{run_id}/series", names="reward,completion_length,entropy"
                )["series"]
        finally:
            box.end()
    assert (claims, brought) == (2, {"step": 40}), (job, box.logs())
    assert (run["status"], run["step"]) == ("finished", 40)
    lives = [(a["status"], a["first_step"]) for a in run["attempts"]]
    # The second one's worker was killed: its training was asked to end, and saved the step in flight.
    assert lives[:2] == [("lost", 1), ("failed", 11)]
    assert "SIGTERM" in run["attempts"][1]["status_reason"]
    last_status, went_on_at = lives[2]
    assert (last_status, len(lives)) == ("finished", 3)
    assert went_on_at == run["attempts"][1]["last_step"] + 1, "right after that checkpoint"
    assert went_on_at >= 16, "what the killed one had done is not done again"
    for one in series:
        assert one["steps"] == list(range(1, 41)), f"{one['name']}: a step is lost or doubled"
        old, again = one["superseded"], dict(zip(one["steps"], one["values"], strict=True))
        assert {11, 12, 13, 14, 15} <= set(old["steps"])
        assert [again[step] for step in old["steps"]] == old["values"], (one["name"], old, again)
    assert manifest.verify(root / "checkpoint-40").step == 40


def state_of(client: Client, run_id: str) -> str:
    (job,) = client.get("/jobs", run_id=run_id)["jobs"]
    return str(job["state"])


def holder(served: Served, run_id: str) -> int:
    """Return the process id of the worker that has the run's job."""
    with served.service.database.read() as tx:
        return int(jobs.of_run(tx, run_id)[0].worker.rpartition("-")[2])


def registered(client: Client, run_id: str, step: int) -> bool:
    """The monitor hears of a checkpoint after it was saved: how long after depends on the machine."""
    return any(c["step"] == step for c in client.get(f"/runs/{run_id}/checkpoints")["checkpoints"])


def reached(root: Path, step: int) -> bool:
    return (paths.step_of(paths.latest(root) or Path()) or 0) >= step


def wait(true: Callable[[], bool], process: "subprocess.Popen[bytes] | None", box: Box) -> None:
    until = time.monotonic() + 120
    while not true():
        assert process is None or process.poll() is None, box.logs()
        assert time.monotonic() < until, box.logs()
        time.sleep(0.1)
