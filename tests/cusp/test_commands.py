"""What the monitor asks for about checkpoints: the newest word counts, and what a person keeps stays."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import cusp
from cusp.checkpoints import manifest
from cusp.ids import new_id
from cusp.protocol.messages import Command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cusp.Run]:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    run = cusp.init("p", "n")
    yield run
    run.finish()


def save(run: cusp.Run, step: int) -> Path:
    path = run.root / f"checkpoint-{step}"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"weights" * step)
    run.checkpoint(path, step)
    return path


def command(kind: Literal["keep", "stop", "verify", "release"], *steps: int) -> Command:
    return Command(command_id=new_id(), kind=kind, steps=list(steps))


def hear(run: cusp.Run, *named: Command) -> None:
    """Let the run hear of these commands in one reply, and its keeper do what it can."""
    run._receive_all(list(named))
    assert run.settle()


def sent(run: cusp.Run, kind: str) -> list[dict[str, Any]]:
    files = sorted((run.home / "attempts" / run.attempt_id).glob("spool-*"))
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [each for each in found if each["kind"] == kind]


def answers(run: cusp.Run, asked: Command) -> list[dict[str, Any]]:
    acks = [each for each in sent(run, "ack") if each["command_id"] == asked.command_id]
    return [each for each in acks if each["state"] != "delivered"]


@pytest.mark.parametrize("later", ["keep", "stop", "verify"])
def test_a_release_lets_go_only_what_no_later_command_of_the_same_reply_names(
    run: cusp.Run, later: Literal["keep", "stop", "verify"]
) -> None:
    saved = [save(run, step) for step in (40, 50)]
    hear(run, command("verify", 40, 50))
    for path in saved:
        shutil.rmtree(path)
    release, wanted = command("release", 40, 50), command(later, 40)
    hear(run, release, wanted)
    assert set(run.kept_steps) == {40}, "its only copy"
    assert manifest.verify(run.kept_steps[40]).step == 40
    assert [each["state"] for each in answers(run, release)] == ["done"]
    assert all(each["state"] == "done" for each in answers(run, wanted))
    hear(run, command("release", 40))
    assert run.kept_steps == {}
