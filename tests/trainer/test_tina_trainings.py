"""Every Tina recipe in every preset trains, with the embedded base model and its problems."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer import train as training
from trainer.recipe_loader import load_recipe
from trainer.recipe_values import tina_names
from trainer.train import grpo_trainer, train
from trainer.training.rewards import functions
from trainer.verifiers import make_verifiers

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours

# What makes it a matter of a second each; everything else is the recipe's own.
SMALL = (
    "model=@tiny",
    "data=@tiny",
    "run.prompts_per_step=1",
    "run.stop_at_step=2",
    "grpo.max_completion_length=8",
    "grpo.per_device_train_batch_size=8",
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One judge for all trainings, as starting its processes takes longer than a training."""
    verifiers = make_verifiers(("math_verify", "math_verify_tina", "math_verify_tina_swapped"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions, "make_verifiers", lambda *_: verifiers)
        patch.setenv("CUSP_DIR", str(tmp_path_factory.mktemp("cusp")))
        gc.freeze()  # transformers collects garbage after each training, over all that is imported
        yield
        gc.unfreeze()


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("preset", "sampled", "scored"), [("paper", 0.7, 1.0), ("modern", 1.0, 1.0)]
)
def test_the_papers_completions_are_sampled_cooler_than_its_loss_scores_them(
    preset: str, sampled: float, scored: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def making(*given: Any) -> Any:
        made.append(grpo_trainer(*given))
        return made[0]

    monkeypatch.setattr(training, "grpo_trainer", making)
    train(load_recipe(f"tina_limr/{preset}", SMALL), tmp_path, progress=lambda _: None)
    assert made[0].generation_config.temperature == sampled
    assert made[0].temperature == scored


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", tina_names())
def test_two_steps_of_every_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    targets = [
        f"rewards.{one.name}.target_length=10"
        for one in recipe.rewards
        if one.name in ("l1_exact", "l1_max")
    ]
    small = load_recipe(
        name, [*SMALL, *targets]
    )  # the additions have no target length of their own
    assert small.grpo.learning_rate == recipe.grpo.learning_rate
    said: list[str] = []
    assert train(small, tmp_path, progress=said.append) == 2
    assert any(line.startswith("step 1 of 2: ") for line in said)
