"""A training's adapter holds other weights for a while, and is afterwards what it was, bit by bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig

from cusp.checkpoints import manifest
from cusp.checkpoints.manifest import CheckpointError
from cusp.trl.verifying.held_out import CannotVerify
from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.live_adapter import evaluating, weights_of
from trainer.evaluation.selection_set import SelectionSet, verifier_of
from trainer.recipe import Recipe
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


def adapted(recipe: Recipe, cache: Path, rank: int = 4, seed: int = 1) -> tuple[Any, Any]:
    """Return a model in training with an adapter whose numbers are not zero."""
    model, tokenizer = load_base(recipe, cache, lambda _: None)
    lora = LoraConfig(
        r=rank, target_modules=["q_proj", "v_proj"], lora_dropout=0.05, task_type="CAUSAL_LM"
    )
    peft_model = get_peft_model(model, lora)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_" in name:
                parameter.normal_()
    return peft_model.train(), tokenizer


@pytest.fixture
def live(small: Callable[..., Recipe], cusp_dir: Path) -> tuple[Any, Any]:
    return adapted(small(), cusp_dir / "cache")


@pytest.fixture
def saved(small: Callable[..., Recipe], cusp_dir: Path, tmp_path: Path) -> Path:
    """A checkpoint with other numbers."""
    path = tmp_path / "checkpoint-4"
    adapted(small(), cusp_dir / "cache", seed=2)[0].save_pretrained(path)
    manifest.write_manifest(path, 4)
    return path


def parts(model: Any) -> dict[str, Any]:
    """Return what must be the same afterwards: tensors by place and content, modes, gradients."""
    return {
        "data": {
            name: (one.data_ptr(), one.detach().clone(), one.requires_grad)
            for name, one in model.named_parameters()
        },
        "grads": {
            name: None if one.grad is None else one.grad.clone()
            for name, one in model.named_parameters()
        },
        "modes": [module.training for module in model.modules()],
        "cache": model.config.use_cache,
        "generation": GenerationConfig.to_dict(model.generation_config),
        "random": torch.get_rng_state(),
    }


def check_same(before: Any, after: Any) -> None:
    if isinstance(before, torch.Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            check_same(before[key], after[key])
    elif isinstance(before, list | tuple):
        for one, other in zip(before, after, strict=True):
            check_same(one, other)
    else:
        assert before == after


def test_scoring_another_checkpoint_leaves_the_training_as_it_was(
    small: Callable[..., Recipe], live: tuple[Any, Any], saved: Path
) -> None:
    model, tokenizer = live
    model.base_model.model.model.embed_tokens.eval()  # a mode of its own
    inputs = tokenizer(["1+1="], return_tensors="pt")["input_ids"]
    model(input_ids=inputs, labels=inputs).loss.backward()
    before = parts(model)
    held_out = SelectionSet(small(), model, tokenizer, 48)
    now = held_out.scores(None, range(8))
    held_out.scores(saved, range(8))
    assert held_out.scores(None, range(8)) == now
    assert held_out.scores(None, range(1, 8, 2)) == now[1::2]
    check_same(before, parts(model))
    model(input_ids=inputs, labels=inputs).loss.backward()


def test_the_checkpoints_numbers_are_there_meanwhile_and_gone_after_an_error(
    live: tuple[Any, Any], saved: Path, small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    model, _ = live
    other, _ = adapted(small(), cusp_dir / "cache", seed=2)
    before = parts(model)

    def scored() -> None:
        with evaluating(model), weights_of(model, saved):
            assert not any(module.training for module in model.modules())
            for (name, one), (_, its) in zip(
                model.named_parameters(), other.named_parameters(), strict=True
            ):
                assert torch.equal(one, its), name
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        scored()
    check_same(before, parts(model))


def test_a_checkpoint_that_does_not_fit_changes_nothing(
    live: tuple[Any, Any], saved: Path, small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    model, _ = live
    wider = saved.parent / "checkpoint-6"
    adapted(small(), cusp_dir / "cache", rank=8)[0].save_pretrained(wider)
    manifest.write_manifest(wider, 6)
    before = parts(model)
    with pytest.raises(AdapterError, match="of another LoRA rank"), weights_of(model, wider):
        pytest.fail("it was loaded")
    weights = saved / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="has changed"), weights_of(model, saved):
        pytest.fail("it was loaded")
    check_same(before, parts(model))


class Sharded:
    """What is read off a trainer whose weights are spread."""

    is_deepspeed_enabled, is_fsdp_enabled = False, True


@pytest.mark.parametrize(
    ("overrides", "trainer", "said"),
    [
        (["evaluation=null"], None, "names no held-out problems"),
        (["grpo.use_vllm=true", "rollouts.sync=merged"], None, "with an engine of its own only"),
        ([], Sharded(), "spread over its processes"),
    ],
)
def test_a_training_that_cannot_verify_says_why(
    small: Callable[..., Recipe], overrides: list[str], trainer: Any, said: str
) -> None:
    class Whole:
        is_deepspeed_enabled = is_fsdp_enabled = False

    recipe = small(*(each for each in overrides if each != "evaluation=null"))
    if "evaluation=null" in overrides:
        recipe = recipe.model_copy(update={"evaluation": None})
    verifier = verifier_of(recipe, trainer or Whole(), None, bool)
    assert verifier.by(None) is None
    assert said in verifier._why_not


def test_a_round_is_left_within_it_once_the_training_is_asked_to_end(
    small: Callable[..., Recipe], live: tuple[Any, Any], saved: Path
) -> None:
    model, tokenizer = live
    looks: list[bool] = []

    def interrupted() -> bool:
        looks.append(len(looks) == 1)
        return looks[-1]

    held_out = SelectionSet(small(), model, tokenizer, 2, interrupted)
    before = parts(model)
    with pytest.raises(CannotVerify, match="asked to end meanwhile"):
        held_out.scores(saved, range(8))
    held_out.close()
    assert looks == [False, True], "after two of its four batches"
    check_same(before["data"], parts(model)["data"])
    check_same(before["modes"], parts(model)["modes"])
