"""What shows that vLLM generates with the model that trains, computed on real models without vLLM."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import TrainerControl, TrainerState

from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.rollouts.base_weights import base_hash
from trainer.rollouts.invariants import FILE, BaseWeights, LogpDifference, MergedDelta
from trainer.rollouts.measured import MEAN, difference
from trainer.rollouts.merged_delta import merged_delta_error
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours

STEP = (SimpleNamespace(), TrainerState(global_step=10), TrainerControl(should_save=True))


def adapted(recipe: Recipe, cache: Path, dtype: torch.dtype, size: float) -> Any:
    """Return a model whose adapter changes weights by about `size`."""
    model = load_base(recipe, cache, lambda _: None)[0].to(dtype)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"])
    peft_model = get_peft_model(model, lora)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in peft_model.named_parameters():
            if "lora_B" in name:
                tensor.normal_(std=size)
    return peft_model


@pytest.fixture
def model_of(small: Callable[..., Recipe], cusp_dir: Path) -> Callable[..., Any]:
    def of(dtype: torch.dtype, size: float) -> Any:
        return adapted(small(), cusp_dir / "cache", dtype, size)

    return of


def test_the_base_hash_knows_every_base_weight_and_no_adapter(model_of: Callable[..., Any]) -> None:
    model = model_of(torch.float32, 0.1)
    before = base_hash(model)
    assert before == base_hash(model_of(torch.float32, 0.7))
    assert before == base_hash(model.unload())
    assert before != base_hash(model_of(torch.bfloat16, 0.1))
    for parameter in model.get_base_model().parameters():
        value = parameter.data.flatten()[0].clone()
        parameter.data.flatten()[0].add_(1e-3)
        assert base_hash(model) != before
        parameter.data.flatten()[0].copy_(value)
    assert base_hash(model) == before


@pytest.mark.parametrize("size", [1e-5, 1e-3, 1e-1])
def test_merging_in_bfloat16_loses_what_pefts_own_merge_loses(
    model_of: Callable[..., Any], size: float
) -> None:
    model = model_of(torch.bfloat16, size)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measured = merged_delta_error(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.merge_adapter()
    top = bottom = 0.0
    for name, merged in model.state_dict().items():
        if name.endswith("base_layer.weight"):
            a, b = (
                before[name.replace("base_layer", f"lora_{each}.default")].double() for each in "AB"
            )
            change = b @ a * 4.0
            top += float((merged.double() - before[name].double() - change).square().sum())
            bottom += float(change.square().sum())
    assert measured == pytest.approx((top / bottom) ** 0.5, rel=1e-3)
    assert (measured > 0.9) == (size == 1e-5)


def test_merging_in_float32_loses_nothing_and_a_new_adapter_has_nothing_to_lose(
    model_of: Callable[..., Any],
) -> None:
    assert merged_delta_error(model_of(torch.float32, 0.1)) < 1e-5
    assert merged_delta_error(model_of(torch.bfloat16, 0.0)) == 0.0


def recipe(sync: str) -> Recipe:
    return load_recipe("tiny", ["grpo.use_vllm=true", f"rollouts.sync={sync}"])


def test_a_base_that_changed_is_said_and_kept_in_the_folder(
    model_of: Callable[..., Any], tmp_path: Path
) -> None:
    said: list[str] = []
    model = model_of(torch.bfloat16, 0.1)
    watch = BaseWeights(recipe("merged"), tmp_path, said.append)
    watch.on_train_begin(*STEP, model=model)
    watch.on_train_end(*STEP, model=model)
    content = json.loads((tmp_path / FILE).read_text())
    assert content == {"before": base_hash(model), "after": base_hash(model), "step": 10}
    assert not said
    model.merge_adapter()
    model.unmerge_adapter()  # as TRL does in each step
    watch.on_train_end(*STEP, model=model)
    assert "TRL merged the adapter into them" in said[0]
    assert "rollouts.sync=adapter" in said[0]
    again = BaseWeights(recipe("adapter"), tmp_path, said.append)
    again.on_train_begin(*STEP, model=model)
    assert "are not those that this run began with" in said[1]
    assert json.loads((tmp_path / FILE).read_text())["before"] == content["before"]


def test_what_a_merge_loses_is_logged_when_a_step_is_saved_and_said_once(
    model_of: Callable[..., Any],
) -> None:
    said: list[str] = []
    trainer = SimpleNamespace(_metrics={"train": defaultdict(list)})
    watch, model = MergedDelta(trainer, said.append), model_of(torch.bfloat16, 1e-5)
    watch.on_step_end(*STEP[:2], TrainerControl(), model=model)
    assert not trainer._metrics["train"]
    watch.on_step_end(*STEP, model=model)
    watch.on_step_end(*STEP, model=model)
    assert trainer._metrics["train"]["merged_delta_error"] == [merged_delta_error(model)] * 2
    assert len(said) == 1
    assert "of its change to rounding" in said[0]


def test_stale_weights_are_said_once() -> None:
    said: list[str] = []
    watch = LogpDifference(said.append)
    for value in (0.001, None, 0.2, 0.3):
        watch.on_log(*STEP, logs={MEAN: value})
    assert len(said) == 1
    assert "0.2 a token" in said[0]


def test_the_difference_is_over_the_tokens_that_count() -> None:
    own = torch.tensor([[-1.0, -2.0, -9.0]])
    sampled = torch.tensor([[-1.5, float("nan"), 0.0]])
    found = difference(own, sampled, torch.tensor([[True, True, False]]))
    assert [float(each) for each in found] == [0.5, 1.0, 0.5]
    none = difference(own, sampled, torch.zeros(1, 3, dtype=torch.bool))
    assert [float(each) for each in none] == [0.0, 0.0, 0.0]


def test_a_full_disk_costs_the_hash_and_not_the_training(
    model_of: Callable[..., Any], tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / FILE).with_suffix(".part").symlink_to("/dev/full")
    watch = BaseWeights(recipe("adapter"), tmp_path, said.append)
    model = model_of(torch.float32, 0.1)
    watch.on_train_begin(*STEP, model=model)
    watch.on_train_end(*STEP, model=model)
    assert len(said) == 1
    assert "No space left on device" in said[0]
