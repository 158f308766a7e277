"""A training that generates with vLLM scores its held-out problems with the same engine, between two steps."""

from pathlib import Path

import pytest
import torch

from cusp.checkpoints import manifest
from tests.vllm.conftest import ENGINES, PLAIN
from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.selection_set import SelectionSet, cannot_verify, own_engine
from trainer.recipe_loader import load_recipe
from trainer.train import grpo_trainer
from trainer.training.data import training_set
from trainer.training.model import load_base
from trainer.training.rewards import reward_functions

pytestmark = pytest.mark.filterwarnings("ignore")  # of vLLM, TRL, transformers and torch, not ours

PROBLEMS = 60


def test_the_engine_scores_a_checkpoint_and_the_weights_of_now_as_the_model_itself_does(
    tiny_folder: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(
        "tiny",
        [
            *PLAIN, "rollouts.sync=adapter", "grpo.learning_rate=1e-3", "run.stop_at_step=6",
            "grpo.max_steps=6", "grpo.save_steps=3", "evaluation.sampling.temperature=0.001",
        ],
    )  # fmt: skip
    model, tokenizer = load_base(recipe, tiny_folder.parent, lambda _: None)
    data = training_set(recipe, tokenizer)
    trainer = grpo_trainer(recipe, tmp_path, model, tokenizer, reward_functions(recipe), data)
    ENGINES.append(trainer)
    trainer.train()
    checkpoint = tmp_path / "checkpoint-3"
    manifest.write_manifest(checkpoint, 3)
    assert cannot_verify(recipe, trainer) is None
    engine = own_engine(recipe, trainer)
    by_engine = SelectionSet(recipe, trainer.model, tokenizer, 48, engine=engine)
    by_model = SelectionSet(recipe, trainer.model, tokenizer, 48)
    places = range(PROBLEMS)
    random, synchronised = torch.get_rng_state(), engine.llm.request
    scores = {}
    for weights in (checkpoint, None, checkpoint):
        scores[weights] = by_engine.scores(weights, places)
        # Greedy but for ties, which rounding decides: one problem may differ.
        other = by_model.scores(weights, places)
        assert sum(a != b for a, b in zip(scores[weights], other, strict=True)) <= 1
    assert torch.equal(torch.get_rng_state(), random)
    assert engine.llm.request.lora_int_id > synchronised.lora_int_id  # the weights of now
    assert scores[None] != scores[checkpoint]
    (checkpoint / "adapter_model.safetensors").unlink()
    manifest.write_manifest(checkpoint, 3)
    with pytest.raises(AdapterError):
        by_engine.scores(checkpoint, places)
    by_engine.close()
    by_model.close()
    engine.close()
