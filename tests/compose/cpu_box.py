"""Profile `cpu` on the running stack: a training from the host by REST, its box locked, `docker stop`, and on.

`docker/compose_stage.sh` gives this file to pytest, as it does with `stranger.py`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cusp.client import Client
from cusp.settings import Settings
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
ENV_FILE = Path(os.environ.get("STACK_ENV_FILE", ".env"))
LONG = ["grpo.max_steps=400", "grpo.save_steps=200", "run.policy.action=watch", "evaluation=null"]

pytestmark = pytest.mark.timeout(1_500)


def compose(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    files = ["-f", "docker-compose.yml", "-f", "docker/compose.ci.yml"]
    options = ["--project-name", "cusp-ci", "--env-file", str(ENV_FILE), *files]
    done = subprocess.run(
        ["docker", "compose", *options, "--profile", "cpu", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr[-3_000:] + done.stdout[-3_000:]
    return done


@pytest.fixture
def client() -> Iterator[Client]:
    given = dict(line.split("=", 1) for line in ENV_FILE.read_text().split())
    place = Settings(url=os.environ["STACK_URL"], token=given["CUSP_TOKEN"])
    with Client(place) as client:
        yield client
    compose("rm", "--stop", "--force", "cpu-worker", check=False)


def test_a_submitted_training_has_the_box_and_goes_on_after_docker_stop(client: Client) -> None:
    compose("build", "cpu-worker")
    compose("up", "--detach", "--no-deps", "--wait", "--wait-timeout", "240", "cpu-worker")
    # vLLM itself goes on where its compiled module is not found, and fails in the first training.
    looked = compose("exec", "-T", "cpu-worker", "cusp", "doctor", "--json", check=False)
    (engine,) = (one for one in json.loads(looked.stdout)["checks"] if one["name"] == "vllm")
    assert engine["state"] == "ok", engine

    # Another test's worker, gone by now, may have been heard of, too.
    (worker,) = (one for one in client.get("/workers")["workers"] if one["box"] == "box")
    assert (worker["box"], worker["gpus"]) == ("box", 0)

    asked = client.post("/trainings", {"recipe": "tiny", "overrides": LONG, "processes": 2})
    path, run = f"/trainings/{asked['id']}", f"/runs/{asked['run_id']}"

    def state() -> Any:
        return client.get(path)

    wait_until(lambda: (state()["progress"] or {}).get("done", 0) > 2 or state()["error"], 400)
    assert state()["error"] is None, compose("logs", "cpu-worker", check=False).stdout[-3_000:]

    second = compose(
        *("run", "--rm", "-T", "--no-deps", "cpu-worker", "cusp", "train", "tiny"), check=False
    )
    assert second.returncode == 2, second.stdout + second.stderr
    assert f"trains run {asked['run_id']}" in second.stderr + second.stdout

    compose("stop", "cpu-worker")
    stopped = client.get(run)
    assert stopped["status"] == "failed"
    assert "which was saved" in stopped["status_reason"]
    step = stopped["step"]
    assert step in [one["step"] for one in client.get(f"{run}/checkpoints")["checkpoints"]]

    compose("start", "cpu-worker")
    wait_until(lambda: client.get(run)["step"] > step + 1, 400)
    client.post(f"{run}/stop")
    wait_until(lambda: state()["state"] != "leased", 200)
    assert (state()["state"], client.get(run)["status"]) == ("done", "stopped")
