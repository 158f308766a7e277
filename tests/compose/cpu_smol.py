"""Profile `cpu` end to end with a real small model and a real vLLM: trained, stopped, scored, promoted, exported.

Some minutes on two cores, so not part of CI: `docker/compose_stage.sh ENGINE tests/compose/cpu_smol.py`.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cusp.client import Client
from cusp.settings import Settings
from tests.compose.cpu_box import ENV_FILE, compose
from tests.waiting import wait_until

SMALL = [
    "model.warm_start.steps=8",
    "data.problems=64",
    "grpo.use_vllm=true",
    "grpo.max_steps=60",
    "grpo.save_steps=2",
    "grpo.per_device_train_batch_size=6",
    "grpo.max_completion_length=32",
    "run.policy.action=watch",
    "evaluation.selection_problems=8",
    "evaluation.report_problems=8",
    "evaluation.sampling.max_new_tokens=32",
    "evaluation.engine={kind: vllm, gpu_memory_utilization: 0.3, max_model_len: 256}",
]
ALONE = ["--network", "none", "--read-only", "--tmpfs", "/tmp:exec,mode=1777"]

pytestmark = pytest.mark.timeout(3_000)


@pytest.fixture
def client() -> Iterator[Client]:
    given = dict(line.split("=", 1) for line in ENV_FILE.read_text().split())
    with Client(Settings(url=os.environ["STACK_URL"], token=given["CUSP_TOKEN"])) as client:
        yield client
    compose("rm", "--stop", "--force", "cpu-worker", check=False)


def test_a_real_model_is_trained_stopped_scored_promoted_and_exported(client: Client) -> None:
    compose("build", "cpu-worker")
    compose("up", "--detach", "--no-deps", "--wait", "--wait-timeout", "240", "cpu-worker")
    begun = time.monotonic()

    def said(words: str) -> None:
        print(f"[{time.monotonic() - begun:.0f} s] {words}", flush=True)

    asked = client.post("/trainings", {"recipe": "smol", "overrides": SMALL, "processes": 2})
    run_id = asked["run_id"]
    training, run = f"/trainings/{asked['id']}", f"/runs/{run_id}"

    def job(path: str) -> Any:
        state = client.get(path)
        if state["error"] is not None:
            logs = f"tail -c 6000 /data/logs/{asked['run_id']}/*.log"
            pytest.fail(
                state["error"] + compose("exec", "-T", "cpu-worker", "sh", "-c", logs).stdout
            )
        return state

    def queued(wanted: Any) -> Any:
        (found,) = (
            one for one in client.get("/jobs", run_id=run_id)["jobs"] if one["id"] == wanted["id"]
        )
        assert found["error"] is None, found["error"]
        return found

    wait_until(lambda: (job(training)["progress"] or {}).get("done", 0) >= 6, 1_200)
    said("six steps are trained")
    second = compose(
        *("run", "--rm", "-T", "--no-deps", "cpu-worker", "cusp", "train", "tiny"), check=False
    )
    assert second.returncode == 2, second.stdout + second.stderr
    assert f"trains run {run_id}" in second.stdout + second.stderr
    said("a second training on the box is refused")
    client.post(f"{run}/stop", {"reason": "far enough"})
    wait_until(lambda: job(training)["state"] == "done", 300)
    stopped = client.get(run)
    assert stopped["status"] == "stopped"
    said(f"stopped at step {stopped['step']}")
    (apart,) = client.get(f"{run}/series", names="logp_difference")["series"]
    assert max(apart["values"]) < 1e-3

    saved = client.get(f"{run}/checkpoints")["checkpoints"]
    assert len(saved) >= 3
    last = max(saved, key=lambda one: one["step"])
    scored = client.post(f"{run}/evaluate", {"checkpoints": [last["id"]]})
    wait_until(lambda: queued(scored)["state"] == "done", 900)
    found = client.get(f"{run}/evaluations")["evaluations"]
    assert {(one["step"], one["split"]) for one in found} >= {
        (0, "report"),
        (last["step"], "report"),
    }
    for one in found:
        said(
            f"step {one['step']}, {one['split']}: {one['pass_at_1']} [{one['low']}, {one['high']}]"
        )

    promoted = client.post(f"/checkpoints/{last['id']}/promote", {"alias": "production"})
    assert promoted["step"] == last["step"]
    export = client.post(f"/checkpoints/{last['id']}/export", {"merged": True})
    wait_until(lambda: queued(export)["state"] == "done", 300)
    exported = queued(export)["exported"]
    said(f"exported {exported['bytes']} bytes to {exported['folder']}")
    listed = compose("exec", "-T", "cpu-worker", "ls", exported["folder"]).stdout.split()
    assert {"model.safetensors", "config.json", "README.md"} <= set(listed)

    compose("stop", "cpu-worker")
    alone = subprocess.run(
        ["docker", "run", "--rm", *ALONE, "--volume", "cusp-ci_runs:/data", "--shm-size", "2g"]
        + [word for one in ("HOME=/data/home", "OMP_NUM_THREADS=1", "VLLM_CPU_KVCACHE_SPACE=1")
           for word in ("--env", one)]
        + ["cusp-cpu-worker", "cusp", "train", "smol", *SMALL, "grpo.max_steps=2"],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stdout[-3_000:] + alone.stderr[-3_000:]
    said("a second training without any network ended")
