"""What the monitor asks for about checkpoints: the newest word counts, and what a person keeps stays."""

import json
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

import cusp
from cusp.checkpoints import manifest
from cusp.ids import new_id
from cusp.protocol.messages import Command


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


def test_what_the_training_kept_is_not_released_by_a_later_attempt(run: cusp.Run) -> None:
    save(run, 40), save(run, 50)
    run.keep([40])
    run.finish()
    again = cusp.init("p", "n", run_id=run.id, must_own=True)
    hear(again, command("verify", 40, 50))
    release = command("release", 40, 50)
    hear(again, release)
    assert set(again.kept_steps) == {40}
    (refused,) = answers(again, release)
    assert "step 40 stays kept" in refused["reason"]
    again.finish()


def test_what_a_stop_kept_as_it_named_none_stays_too(run: cusp.Run) -> None:
    save(run, 40)
    hear(run, command("stop"))
    run.finish()
    again = cusp.init("p", "n", run_id=run.id, must_own=True)
    hear(again, command("verify", 40), command("release", 40))
    assert set(again.kept_steps) == {40}
    again.finish()


def test_a_verification_is_refused_where_the_next_saves_would_have_no_room(
    run: cusp.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 7 * 40
    save(run, 40)
    assert run.settle()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * size - 1))
    asked, wanted = command("verify", 40), command("keep", 40)
    hear(run, asked)
    (refused,) = answers(run, asked)
    assert refused["state"] == "refused"
    assert "a copy of the checkpoint of step 40 beside the next saves takes" in refused["reason"]
    assert run.kept_steps == {}
    hear(run, wanted)
    assert [each["state"] for each in answers(run, wanted)] == ["done"], "a keep is no trial"
    hear(run, asked := command("verify", 40))
    assert run.to_verify() == [(asked, run.kept_steps)], "pinned already"


def test_a_keep_goes_before_what_waits_to_be_verified(run: cusp.Run) -> None:
    for step in (10, 20, 30, 40):
        save(run, step)
    assert run.settle()
    go_on = threading.Event()
    run._shelf._keeper.submit(lambda: go_on.wait(10))
    run._receive_all([command("verify", 10, 20, 30), command("keep", 40)])
    go_on.set()
    assert run.settle()
    pinned = [each["step"] for each in sent(run, "checkpoint") if each["state"] == "pinned"]
    assert pinned == [40, 10, 20, 30]
