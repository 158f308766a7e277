"""A whole recipe, and what must hold between its sections."""

from typing import Annotated

from pydantic import Field, model_validator

from trainer.recipe.grpo import GrpoSection
from trainer.recipe.model_kinds import Model
from trainer.recipe.problem_kinds import Data, Evaluation
from trainer.recipe.reward_kinds import Reward
from trainer.recipe.sections import LoraSection, RolloutsSection, RunSection, Section


class Recipe(Section):
    """One training, fully described; read it with `trainer.recipe_loader.load_recipe`."""

    run: RunSection
    model: Model
    lora: LoraSection
    data: Data
    rewards: Annotated[tuple[Reward, ...], Field(min_length=1)]
    grpo: GrpoSection
    rollouts: RolloutsSection = RolloutsSection(sync="merged")
    evaluation: Evaluation | None
    seed: int

    @model_validator(mode="after")
    def _rewards_are_named_once(self) -> "Recipe":
        names = [reward.name for reward in self.rewards]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"the reward {min(twice)!r} is listed twice; list it once")
        if all(reward.weight == 0 for reward in self.rewards):
            raise ValueError("every reward has weight 0, so nothing would be learnt")
        return self

    @model_validator(mode="after")
    def _groups_fill_the_batch(self) -> "Recipe":
        batch = self.grpo.per_device_train_batch_size * self.grpo.gradient_accumulation_steps
        if batch % self.grpo.num_generations:
            raise ValueError(
                f"{batch} completions per device and step cannot be cut into groups of"
                f" {self.grpo.num_generations}; change grpo.per_device_train_batch_size"
            )
        return self

    @property
    def last_step(self) -> int:
        """The step at which the training ends by itself."""
        return min(self.run.stop_at_step or self.grpo.max_steps, self.grpo.max_steps)

    def completions_per_step(self, processes: int) -> int:
        """Return how many completions one logged point averages over."""
        grpo = self.grpo
        return processes * grpo.per_device_train_batch_size * grpo.gradient_accumulation_steps
