"""A plain TRL training that rotates its checkpoints: the one from before the transition is still kept.

The rewards follow a script, so that the transition is where the test wants it; the rest is real.
"""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel
from transformers import TrainerCallback

import cusp
from cusp.checkpoints import manifest, rotation
from cusp.client import Client
from cusp.settings import Settings
from monitor.settings import MonitorConfig
from tests.e2e.plain_trl import Bench
from tests.serving import serving
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours
TURN = 40


def scripted(name: str, low: float) -> Any:
    """Return a reward function that rises to .9 and falls to `low` from step TURN on."""

    def reward(completions: list[Any], trainer_state: Any, **_: Any) -> list[float]:
        step = trainer_state.global_step + 1
        share = 0.3 + 0.6 * min(1.0, step / 15) - (0.9 - low) * min(1.0, max(0, step - TURN) / 8)
        return [float(rng.random() < share) for _ in completions]

    rng = random.Random(name)
    reward.__name__ = name
    return reward


class Notes(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """What the weights of each saved checkpoint were, and how many the trainer left at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights: dict[int, str] = {}
        self.most = 0

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        saved = self.folder / f"checkpoint-{state.global_step}" / "adapter_model.safetensors"
        self.weights[state.global_step] = digest(saved)
        self.most = max(self.most, len(list(self.folder.glob("checkpoint-*"))))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_checkpoint_before_the_transition_outlives_a_rotation_that_came_before_its_detection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, folder = Bench(tmp_path / "cache"), tmp_path / "out"
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    with serving(MonitorConfig(str(tmp_path / "cusp.db"))) as served:
        monkeypatch.setenv("CUSP_URL", served.url)
        callback, notes = cusp.CuspCallback(), Notes(folder)
        trainer = bench.trainer(
            folder,
            [callback, notes],
            rewards=[scripted("format_reward", 0.2), scripted("accuracy_reward", 0.1)],
            max_steps=300,
            save_steps=1,
            save_total_limit=2,
        )
        trainer.train()
        assert callback.run is not None
        with Client(Settings(url=served.url)) as client:
            run = client.get(f"/runs/{callback.run.id}")
            known = client.get(f"/runs/{callback.run.id}/checkpoints")["checkpoints"]
    assert run["status"] == "stopped", run["words"]
    kept = run["checkpoints"]["pre-transition"]["step"]
    stopped_at = run["step"]
    assert kept <= run["transition"]["safe_step"] < TURN
    assert kept < stopped_at - 2, "the trainer had deleted it when it was decided on"
    assert notes.most == 2, "the trainer's own limit was not touched"
    assert not (folder / f"checkpoint-{kept}").exists()

    pinned = callback.run.kept_steps[kept]
    assert manifest.verify(pinned).step == kept
    assert digest(pinned / "adapter_model.safetensors") == notes.weights[kept]
    PeftModel.from_pretrained(load_base(bench.recipe, bench.cache)[0], pinned)
    by_step = {one["step"]: one for one in known}
    where = pinned.relative_to(folder).as_posix()
    assert where.startswith(f"pinned/{callback.run.id}/checkpoint-{kept}-")
    assert (by_step[kept]["state"], by_step[kept]["path"]) == ("pinned", where)

    left = rotation.sizes(rotation.folder(folder, callback.run.id))
    assert len(left) == rotation.MOST < stopped_at
    assert set(range(stopped_at - rotation.NEWEST + 1, stopped_at + 1)) <= left.keys()
    for step in set(by_step) - {kept}:  # where it lies, or that it is gone, has been told
        there = (folder / by_step[step]["path"]).is_dir()
        assert by_step[step]["state"] == ("present" if there else "missing")
    assert not list((folder / "held").glob("**/optimizer*"))
