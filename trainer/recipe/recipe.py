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
        run, grpo = self.run, self.grpo
        if run.prompts_per_step is not None:
            return self._accumulation_fits(run.prompts_per_step * grpo.num_generations)
        if run.processes == "auto":
            raise ValueError(
                "run.processes = 'auto' needs run.prompts_per_step: the batch under grpo is written for"
                " some number of processes"
            )
        if grpo.gradient_accumulation_steps is None:
            raise ValueError(
                "grpo.gradient_accumulation_steps = null is derived from run.prompts_per_step; give one of"
                " the two"
            )
        # A group may lie on several processes: what counts is the batch of the number that it is written for.
        across = run.processes or 1
        batch = across * grpo.per_device_train_batch_size * grpo.gradient_accumulation_steps
        if batch % grpo.num_generations:
            where = f"on {across} processes" if across > 1 else "per device"
            raise ValueError(
                f"{batch} completions a step {where} cannot be cut into groups of"
                f" {grpo.num_generations}; change grpo.per_device_train_batch_size"
            )
        return self

    def _accumulation_fits(self, completions: int) -> "Recipe":
        """Refuse what contradicts a batch of so many completions; a resolved recipe states its share."""
        run, grpo = self.run, self.grpo
        if grpo.steps_per_generation is not None:
            raise ValueError(
                f"grpo.steps_per_generation = {grpo.steps_per_generation} counts batches of a device, whose"
                " number run.prompts_per_step derives; give one of the two"
            )
        if (steps := grpo.gradient_accumulation_steps) is None:
            return self
        if isinstance(run.processes, int):
            there = run.processes * grpo.per_device_train_batch_size * steps
            if there == completions:
                return self
            stated = (
                f"{run.processes} processes x {grpo.per_device_train_batch_size} x {steps} accumulation steps"
                f" make {there} completions a step, {run.prompts_per_step} prompts x {grpo.num_generations}"
                f" make {completions}"
            )
        else:
            stated = (
                f"grpo.gradient_accumulation_steps = {steps} is derived from run.prompts_per_step"
            )
        raise ValueError(f"{stated}; give grpo.gradient_accumulation_steps=null")

    @property
    def last_step(self) -> int:
        """The step at which the training ends by itself."""
        return min(self.run.stop_at_step or self.grpo.max_steps, self.grpo.max_steps)

    def completions_per_step(self, processes: int) -> int:
        """Return how many completions one logged point averages over."""
        run, grpo = self.run, self.grpo
        if run.prompts_per_step is not None:
            return run.prompts_per_step * grpo.num_generations
        return (
            processes * grpo.per_device_train_batch_size * (grpo.gradient_accumulation_steps or 1)
        )
