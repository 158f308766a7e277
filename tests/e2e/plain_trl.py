"""A GRPO training as somebody writes it who uses TRL without our trainer; 8 steps take a second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.small import SMALL
from trainer.recipe_loader import load_recipe


class Bench:
    """The small base model, its problems and rewards, for any number of trainings."""

    def __init__(self, cache: Path) -> None:
        from trainer.training.data import training_set
        from trainer.training.model import load_base

        self.recipe = load_recipe("tiny", [*SMALL])
        self.cache = cache
        _, self.tokenizer = load_base(self.recipe, cache, _silent)
        self.problems = training_set(self.recipe, self.tokenizer)

    def trainer(
        self,
        folder: Path,
        callbacks: Sequence[Any] = (),
        rewards: Sequence[Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """Return a `GRPOTrainer` with LoRA that saves into `folder`; the recipe's rewards or these."""
        from peft import LoraConfig
        from transformers.trainer_callback import PrinterCallback
        from trl import GRPOConfig, GRPOTrainer

        from trainer.train import silence_libraries
        from trainer.training.model import load_base
        from trainer.training.rewards import reward_functions

        silence_libraries()
        chosen = {
            "max_steps": 8,
            "save_steps": 4,
            "logging_steps": 1,
            "per_device_train_batch_size": 12,
            "num_generations": 6,
            "max_completion_length": 12,
            "use_cpu": True,
            "dataloader_pin_memory": False,
            "report_to": [],
            "disable_tqdm": True,
            "seed": 0,
            **arguments,
        }
        trainer = GRPOTrainer(
            model=load_base(self.recipe, self.cache, _silent)[0],
            processing_class=self.tokenizer,
            reward_funcs=list(rewards or reward_functions(self.recipe)),
            args=GRPOConfig(output_dir=str(folder), **chosen),
            train_dataset=self.problems,
            eval_dataset=self.problems if "eval_steps" in chosen else None,
            peft_config=LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
            callbacks=list(callbacks),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer


def _silent(_: str) -> None:
    """Nothing to say."""
