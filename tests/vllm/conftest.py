"""Trainings of the embedded model with a real vLLM on the CPU, in an environment of its own (`make test-vllm`)."""

import gc
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

# An engine that is collected ends the process group of the one after it: all of them live to the end.
gc.disable()
ENGINES: list[Any] = []

PLAIN = (  # what moves fast and is the same with vLLM as in the loss
    "grpo.use_vllm=true",
    "lora.lora_dropout=0",
    "grpo.max_completion_length=48",
    "run.policy.action=watch",
)


@dataclass(frozen=True)
class Trained:
    """What a training left: its folder, its logged steps, its lines, its base weights before and after."""

    root: Path
    steps: list[dict[str, Any]]
    said: list[str]
    base: dict[str, Any]
    resident: list[int]  # bytes of this process after each step

    def series(self, key: str) -> list[float]:
        return [step[key] for step in self.steps if step.get(key) is not None]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded base model as a folder."""
    from trainer.recipe_loader import load_recipe
    from trainer.tiny.base import base_model

    folder = tmp_path_factory.getbasetemp() / "cusp"
    os.environ["CUSP_DIR"] = str(folder)
    os.environ["CUSP_MODE"] = "offline"
    recipe = load_recipe("tiny")
    assert recipe.model.kind == "tiny"
    return base_model(recipe.model, folder / "cache", lambda _: None)


@pytest.fixture(scope="session")
def trained(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Trains a recipe, `tiny` where none is named, with overrides."""
    from transformers import TrainerCallback

    from trainer.recipe import Recipe
    from trainer.recipe_loader import load_recipe
    from trainer.train import train

    class Memory(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
        def __init__(self) -> None:
            self.resident: list[int] = []

        def on_step_end(self, *arguments: Any, **kwargs: Any) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.resident.append(pages * os.sysconf("SC_PAGE_SIZE"))

    def run(
        *overrides: str,
        name: str = "tiny",
        change: Callable[[Recipe], Recipe] = lambda same: same,
    ) -> Trained:
        root = tmp_path_factory.mktemp("run")
        said: list[str] = []
        memory = Memory()
        recipe = change(load_recipe(name, [*PLAIN, *overrides]))
        last = train(recipe, root, progress=said.append, callbacks=[memory])
        state = json.loads((root / f"checkpoint-{last}" / "trainer_state.json").read_text())
        steps = [entry for entry in state["log_history"] if "reward" in entry]
        base = json.loads((root / "base_hash.json").read_text())
        return Trained(root, steps, said, base, memory.resident)

    return run


@pytest.fixture(scope="session")
def tiny_server(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A `vllm serve` of the embedded model, shared by all who ask it."""
    from tests.vllm.servers import serving

    with serving(tiny_folder, tmp_path_factory.mktemp("server") / "log", 512) as server:
        yield server
