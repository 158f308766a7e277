"""A training sent to the monitor is done by a real worker, which owns its box; ended with SIGTERM it goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cusp.checkpoints import paths
from cusp.client import Client
from cusp.settings import Settings
from monitor.settings import MonitorConfig
from tests.serving import serving
from tests.small import SMALL
from tests.waiting import wait_until

Json = dict[str, Any]
LONG = [*SMALL, "grpo.max_steps=5000", "grpo.save_steps=1000", "run.policy.evaluate=none"]


class Box:
    """A folder with a worker on it, and commands of a person at another one."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.started = folder, list[subprocess.Popen[bytes]]()
        self.environment = {
            **os.environ,
            "CUSP_URL": url,
            "CUSP_DIR": str(folder),
            "CUSP_BOX": "box-1",
            "CUSP_BOX_LOCK": "always",
            "OMP_NUM_THREADS": "1",
        }

    def worker(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "cusp", "worker"]
            self.started.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )
        return self.started[-1]

    def cusp(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cusp", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def log(self) -> str:
        files = [self.folder / "worker.log", *self.folder.glob("logs/*/*.log")]
        return "\n".join(file.read_text()[-2_000:] for file in files if file.exists())

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


@pytest.mark.timeout(400)
def test_a_submitted_training_owns_its_box_and_goes_on_after_its_worker_was_ended(
    tmp_path: Path,
) -> None:
    with (
        serving(MonitorConfig(str(tmp_path / "cusp.db"))) as served,
        Client(Settings(url=served.url)) as client,
    ):
        box = Box(tmp_path, served.url)
        try:
            refused = box.cusp("train", "--submit", "tiny")
            assert refused.returncode == 2
            assert "no worker has been heard of" in refused.stderr
            assert "`make up PROFILE=gpu` or `PROFILE=cpu`" in refused.stderr

            first = box.worker()
            wait_until(lambda: bool(client.get("/workers")["workers"]), 60)
            (there,) = client.get("/workers")["workers"]
            assert (there["box"], "tiny" in there["recipes"]) == ("box-1", True)

            wrong = box.cusp("train", "--submit", "tiny", "grpo.max_stops=3", "--wait")
            assert wrong.returncode == 1
            assert "max_stops" in wrong.stderr

            asked = box.cusp("train", "--submit", "tiny", *LONG, "--box", "box-1", "--json")
            training: Json = json.loads(asked.stdout)
            root = tmp_path / "runs" / training["run_id"]
            path = f"/trainings/{training['id']}"
            wait_until(lambda: (client.get(path)["progress"] or {}).get("done", 0) > 2, 120)
            assert client.get(path)["run"]["status"] == "running"

            second = box.cusp("train", "tiny", *SMALL)
            assert second.returncode == 2, second.stderr
            assert f"trains run {training['run_id']}" in second.stderr
            assert "--wait" in second.stderr

            first.terminate()
            assert first.wait(120) == 0
            saved = paths.latest(root, training["run_id"])
            assert saved is not None, box.log()
            step = paths.step_of(saved)
            run = client.get(f"/runs/{training['run_id']}")
            assert (run["status"], run["step"]) == ("failed", step)
            assert "which was saved" in run["status_reason"]

            served.ahead_s = 61.0
            box.worker()
            wait_until(lambda: client.get(path)["attempts"] == 2, 60)
            wait_until(
                lambda: client.get(f"/runs/{training['run_id']}")["step"] > (step or 0) + 2, 120
            )
            client.post(f"/runs/{training['run_id']}/stop")
            wait_until(lambda: client.get(path)["state"] == "done", 120)
            assert client.get(path)["run"]["status"] == "stopped"
        finally:
            box.end()
