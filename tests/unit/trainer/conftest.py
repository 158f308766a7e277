"""A recipe that trains in a second: a smaller base model, hardly taught, on few problems."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.config import Recipe
from trainer.recipe import load_recipe

SMALL = (
    "model.hidden_size=16",
    "model.layers=1",
    "model.heads=2",
    "model.sft_steps=4",
    "model.sft_batch_size=16",
    "data.problems=16",
    "grpo.max_steps=4",
    "grpo.save_steps=2",
    "grpo.per_device_train_batch_size=12",
    "grpo.max_completion_length=12",
    "evaluation.selection_problems=8",
    "evaluation.report_problems=10",
    "evaluation.sampling.max_new_tokens=12",
)


@pytest.fixture
def cusp_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Cusp folder of a test; the base model in its cache is shared between tests."""
    folder = tmp_path_factory.getbasetemp() / "cusp"
    monkeypatch.setenv("CUSP_DIR", str(folder))
    monkeypatch.setenv("CUSP_MODE", "offline")
    for name in ("CUSP_RUN_ID", "CUSP_TOKEN", "CUSP_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def small(cusp_dir: Path) -> Callable[..., Recipe]:
    """Returns the small recipe with further overrides."""
    return lambda *overrides: load_recipe("tiny", [*SMALL, *overrides])
