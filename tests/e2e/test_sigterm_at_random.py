"""SIGTERM at 20 random moments of one training: each time a whole checkpoint of that step, said, and no bit lost."""

import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from cusp.checkpoints import manifest, paths
from cusp.ids import new_id
from tests.small import SMALL
from trainer.recipe_loader import load_recipe
from trainer.train import train
from trainer.training.distributed import AskedToEnd

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours

MOMENTS = 20
MOST_STEPS, LONGEST_S = 4, 0.05  # after so many steps and so long: on any machine a few steps
LAST = 200


class Asks(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Sends this process SIGTERM so many steps and seconds after the training began."""

    def __init__(self, steps: int, seconds: float) -> None:
        self._left = steps
        self._timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))

    def on_step_begin(self, *arguments: Any, **kwargs: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self._timer.start()

    def on_train_end(self, *arguments: Any, **kwargs: Any) -> None:
        self._timer.cancel()


@pytest.fixture(autouse=True)
def outlives_sigterm() -> Iterator[None]:
    """One that comes between two trainings is the test's own, and must not end it."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.timeout(400)
def test_each_time_the_step_is_saved_and_said_and_the_end_is_the_same_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    recipe = load_recipe("tiny", [*SMALL, f"grpo.max_steps={LAST}", "grpo.save_steps=1000"])
    run_id, rng, steps = new_id(), random.Random(20), [0]
    root = tmp_path / "runs" / run_id
    while len(steps) <= MOMENTS:
        with pytest.raises(AskedToEnd) as ended:
            train(
                recipe,
                root,
                run_id=run_id,
                resume=len(steps) > 1,
                progress=lambda _: None,
                callbacks=[Asks(rng.randint(1, MOST_STEPS), rng.uniform(0, LONGEST_S))],
            )
        saved = paths.latest(root, run_id)
        assert saved is not None
        steps.append(manifest.verify(saved).step)
        assert f"asked to end (SIGTERM) at step {steps[-1]}, which was saved" in str(ended.value)
        assert last_status(root) == ("failed", f"at step {steps[-1]}, which")
    assert steps == sorted(set(steps))
    assert train(recipe, root, run_id=run_id, resume=True, progress=lambda _: None) == LAST
    assert train(recipe, tmp_path / "whole", progress=lambda _: None) == LAST
    one, other = (
        (folder / f"checkpoint-{LAST}" / "adapter_model.safetensors").read_bytes()
        for folder in (root, tmp_path / "whole")
    )
    assert one == other


def last_status(root: Path) -> tuple[str, str]:
    """Return the status that the newest attempt told last, and of its reason the part on the step."""
    newest = max(root.glob("attempts/*/spool-*.jsonl"), key=lambda path: path.stat().st_mtime)
    messages = [json.loads(line) for line in newest.read_text().splitlines()]
    told = [one for one in messages if one["kind"] == "status"][-1]
    begin = told["reason"].index("at step")
    return told["status"], told["reason"][begin : begin + len(f"at step {told['step']}, which")]
