"""What REST, the pages and the command say of a run in each state: only what is known, and of which step."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Clock
from tests.messages import Trainer, point, status, transition
from tests.monitor.actions.verify import test_worker as worker
from tests.monitor.actions.verify.test_verification import (
    METADATA,
    RIGHT,
    WRONG,
    messages_at,
    scores,
    train,
    verified,
)

ENDS = ("stopped", "finished", "failed")
PROMISES = re.compile(
    r"(waiting for the first step|so far|still rising|steady|no .{0,30} yet|once the run)", re.I
)


def page_of(api: TestClient, trainer: Trainer) -> str:
    """Return the text of the run's page, without what is in scripts and hints."""
    html = api.get(f"/runs/{trainer.run_id}").text
    html = re.sub(r"<(script|dialog|noscript)\b.*?</\1>", " ", html, flags=re.S)
    html = re.sub(r"<([a-z]+)[^>]*\bhidden\b[^>]*>[^<]*</\1>", " ", html)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def waiting(api: TestClient, trainer: Trainer) -> str:
    found = re.search(
        r'<p class="empty" id="waiting">(.*?)</p>', api.get(f"/runs/{trainer.run_id}").text
    )
    return found[1] if found else ""


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_ended_without_a_point_waits_for_nothing(api: TestClient, end: str) -> None:
    trainer = Trainer(api, policy={"evaluate": "none"})
    trainer.send(status(end))
    run = trainer.get()
    assert "before a step" in run["words"] or "without a step" in run["words"]
    assert waiting(api, trainer) == run["words"]
    assert not PROMISES.search(page_of(api, trainer)), PROMISES.search(page_of(api, trainer))
    row = api.get("/").text
    assert "warming up" not in re.sub(r'data-search="[^"]*"', "", row)


def test_a_lost_run_without_a_point_and_one_that_was_asked_to_stop(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    assert trainer.get()["words"].startswith("No step has been received yet")
    api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={})
    assert trainer.get()["words"].endswith("the run was asked to stop.")
    clock.now += 10_000
    run = trainer.get()
    assert run["status"] == "lost"
    assert run["words"] == "Nothing is heard from the trainer, and it has sent no step."


def test_a_run_that_logs_nothing_that_is_looked_at_says_so(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(*(point(step, learning_rate=1e-5) for step in range(1, 50)))
    assert trainer.get()["words"] == "By step 49 nothing was measured that could show a transition."


LOGGED: dict[str, Callable[[int], dict[str, Any]]] = {
    "format only": lambda s: {"format_reward": min(0.9, 0.2 + s / 50)},
    "length only": lambda s: {"completion_length": 600 - s},
    "neither": lambda s: {"kl": 0.01},
    "all cut": lambda s: {"completion_length": 1000, "clipped_ratio": 1.0},
    "dead": lambda s: {"entropy": 0.009, "frac_reward_zero_std": 0.75, "format_reward": 0.0},
}


@pytest.mark.parametrize("what", LOGGED)
@pytest.mark.parametrize("end", [None, "lost", *ENDS])
def test_no_state_makes_a_sentence_claim_more(
    api: TestClient, clock: Clock, what: str, end: str | None
) -> None:
    trainer = Trainer(api, policy={"evaluate": "none"})
    trainer.send(*(point(step, **LOGGED[what](step)) for step in range(1, 91)))
    if end == "lost":
        clock.now += 10_000
    elif end:
        trainer.send(status(end))
    run, shown = trainer.get(), page_of(api, trainer)
    assert run["status"] == (end or "running")
    assert "step 90" in run["words"]
    assert "step 90" in shown
    assert not re.search(r"still rising|steady|format saturated", shown)
    if "format_reward" not in LOGGED[what](1):
        assert run["phase"] == "warming_up"
        assert "format reward" in re.sub(r".*(Not measured: [^.]*\.).*", r"\1", run["words"]) or (
            "nothing was measured" in run["words"]
        )
    if end in ENDS:
        assert not PROMISES.search(shown), PROMISES.search(shown)
    if what in ("all cut", "dead"):
        assert "But at step 90: " in run["words"]


def test_the_card_names_the_step_by_which_it_holds(api: TestClient) -> None:
    trainer = Trainer(api, policy={"action": "watch", "evaluate": "none"})
    transition(trainer, steps=110)
    trainer.send(*(point(step, kl=0.1) for step in range(111, 150)))
    run = trainer.get()
    assert run["phase"] == "past"
    assert "; at step 149 the evidence is" in run["words"]
    assert "That was said at step" in run["words"]


def test_held_out_scores_that_were_worse_come_before_the_signals(api: TestClient) -> None:
    """Page, `cusp show`, the terminal and the model card have their sentence from `words`."""
    trainer = Trainer(api, metadata=METADATA)
    train(trainer, 1, 45)
    api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={}).raise_for_status()
    asked = {**trainer.send()["commands"][0], "step": 45}
    signals = trainer.get()["words"]
    assert signals.startswith("By step 45 no transition is seen")
    trainer.send(scores(asked, WRONG, RIGHT))
    first = "On held-out problems the weights of step 45 are worse: -1.00 (95 % interval"
    run, alone = trainer.get(), f"The signals alone: b{signals[1:]}"
    assert run["words"].startswith(first), "at once, before the next step"
    assert run["words"].endswith(f"on 64 problems. {alone}")
    said = re.search(
        r'data-f="phase_description">(.*?)</p>', api.get(f"/runs/{trainer.run_id}").text
    )
    assert said
    assert said[1].startswith(first)
    trainer.ack({"command_id": asked["command_id"]}, "done", step=45)
    for command in train(trainer, 46, 55):
        verified(trainer, {**command, "step": 55}, RIGHT, RIGHT)
    assert trainer.get()["words"].startswith("By step 55 no transition is seen"), "it has healed"


def test_a_workers_scores_come_first_too_and_go_with_what_a_resume_left_behind(
    api: TestClient,
) -> None:
    trainer = worker.evaluable(api)
    worker.finish(api, worker.waiting(api, trainer), WRONG, RIGHT)
    assert trainer.get()["words"].startswith("On held-out problems the weights of step")
    resumed = Trainer(api, run_id=trainer.run_id, metadata={"max_steps": 400})
    resumed.send(*messages_at(11))
    assert "On held-out problems" not in resumed.get()["words"]
