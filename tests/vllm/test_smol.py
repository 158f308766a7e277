"""SmolLM2-135M: ten steps of GRPO whose completions a real vLLM on the CPU generates."""

from collections.abc import Callable

import pytest

from tests.vllm.conftest import Trained
from trainer.recipe import Recipe, RepetitionPenaltyReward
from trainer.rollouts.measured import MEAN

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of vLLM, TRL, transformers and torch, not ours
    pytest.mark.timeout(900),
]

SHORT = (
    "model.warm_start=null",
    "data.problems=32",
    "grpo.max_steps=10",
    "grpo.save_steps=10",
    "grpo.per_device_train_batch_size=4",
    "grpo.num_generations=2",
    "grpo.max_completion_length=24",
)


def rewarded(recipe: Recipe) -> Recipe:
    """Add a reward that a model without its warm start has something of, so that each step moves the weights."""
    more = RepetitionPenaltyReward(
        name="repetition_penalty", weight=1.0, ngram_size=1, max_penalty=-1.0, unit="words"
    )
    return recipe.model_copy(update={"rewards": (*recipe.rewards, more)})


def test_ten_steps_train_on_what_vllm_generates_with_the_adapter_of_now(
    trained: Callable[..., Trained],
) -> None:
    found = trained("rollouts.sync=adapter", *SHORT, name="smol", change=rewarded)
    assert found.base["step"] == 10
    assert found.base["after"] == found.base["before"]
    assert len(found.steps) == 10
    assert max(found.series(MEAN)) < 1e-3, found.series(MEAN)
    assert sum(each > 0 for each in found.series("grad_norm")) >= 5
    for step in found.steps:
        assert 0 <= step["rewards/format_reward/mean"] <= 1
        assert 1 <= step["completions/mean_length"] <= 24
