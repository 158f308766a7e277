"""A run of the SDK and a monitor process over HTTP: suspected, verified, stopped, the best checkpoint kept."""

import random
from functools import partial
from pathlib import Path

import pytest

import cusp
from cusp.protocol.messages import Command
from tests.conftest import MonitorProcess
from tests.messages import Json
from tests.monitor.actions.verify.test_verification import messages_at
from tests.waiting import wait_until

PROBLEMS = 64


@pytest.fixture
def run(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    metadata = cusp.RunMetadata(verifies="training", max_steps=400)
    policy = cusp.Policy(evaluate="none")
    return cusp.init("verified", "seed 0", metadata=metadata, policy=policy)


def train_step(run: cusp.Run, step: int) -> None:
    """Log a step of a run that turns at 60, and save every tenth."""
    run.log(messages_at(step)[0]["metrics"], step)
    if step % 10 == 0:
        folder = Path(run.root) / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"weights of %d" % step)
        run.checkpoint(folder, step)


def held_out(step: int) -> list[float]:
    """Return the scores of the weights after a step: right less and less often from 60 on."""
    rng, share = random.Random(1), 0.8 if step < 60 else 0.2
    return [1.0 if rng.random() < share else 0.0 for _ in range(PROBLEMS)]


def answer(run: cusp.Run, command: Command, step: int) -> None:
    """Score as a training does, and say that it was done."""
    scores = {str(one): held_out(one) for one in (*command.steps, step)}
    cost: Json = {"completions": PROBLEMS * len(scores), "seconds": 0.5}
    message = {"kind": "verification", "command_id": command.command_id, "step": step}
    run._send({**message, "scores": scores, **cost})
    run.acknowledge(command, "done", step=step)


def test_a_run_is_suspected_verified_and_stopped(
    run: cusp.Run, monitor_process: MonitorProcess
) -> None:
    path, verified = f"/runs/{run.id}", 0
    for step in range(1, 111):
        train_step(run, step)
        if step > 60:
            wait_until(partial(heard, run, monitor_process, step), 30)
        for command in run.open_commands():
            if command.kind == "verify":
                answer(run, command, step)
                verified += 1
        if run.should_stop():
            break
    assert verified >= 1
    assert run.finish("stopped", "asked")
    found = monitor_process.get(f"{path}/verifications")["verifications"]
    assert {one["state"] for one in found} == {"worse"}
    told = monitor_process.get(path)
    assert (told["status"], step < 110) == ("stopped", True)
    assert told["kept"]["step"] < 60
    assert told["kept"]["pinned"]


def heard(run: cusp.Run, monitor: MonitorProcess, step: int) -> bool:
    """Return whether the monitor has the step, and the trainer every command that followed from it."""
    with monitor.client() as client:
        answer = client.get(f"/api/v1/runs/{run.id}")
    if answer.status_code == 404:  # not announced yet
        return False
    told = answer.json()
    waiting = {one["id"] for one in told["commands"] if one["state"] == "open"}
    return told["step"] == step and waiting <= {one.command_id for one in run.open_commands()}
