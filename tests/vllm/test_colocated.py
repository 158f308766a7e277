"""vLLM in the training's own process, on the CPU: what it generates with, and what that leaves of the base."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.vllm.conftest import ENGINES, Trained
from trainer.evaluation.tasks import tasks_of
from trainer.recipe import PretrainedModel, Recipe
from trainer.recipe_loader import load_recipe
from trainer.rollouts.adapter_folder import MEMORY, PREFIX
from trainer.rollouts.generation import ColocatedAdapter
from trainer.rollouts.measured import MEAN
from trainer.training.hardware import adapted_to_hardware

pytestmark = pytest.mark.filterwarnings("ignore")  # of vLLM, TRL, transformers and torch, not ours

ADAPTERS = (10, 20, 50)


@pytest.fixture(scope="module")
def adapter_synced(trained: Callable[..., Trained]) -> Trained:
    return trained("rollouts.sync=adapter", "run.stop_at_step=50", "grpo.learning_rate=1e-3")


def test_the_base_is_the_same_after_fifty_steps_and_vllm_generates_with_what_trains(
    adapter_synced: Trained,
) -> None:
    assert adapter_synced.base["step"] == 50
    assert adapter_synced.base["after"] == adapter_synced.base["before"]
    differences = adapter_synced.series(MEAN)
    assert len(differences) == 50
    assert max(differences) < 1e-3, differences
    assert not any("vLLM" in line or "base" in line for line in adapter_synced.said)
    assert not list(MEMORY.glob(f"{PREFIX}{os.getpid()}-*"))


def test_fifty_adapters_leave_no_memory_behind(adapter_synced: Trained) -> None:
    after = adapter_synced.resident
    print(f"resident after steps 10 and 50: {after[9] / 1e6:.0f} and {after[49] / 1e6:.0f} MB")
    assert after[49] - after[9] < 150e6  # 52 MB were measured, in a process of 3.1 GB


def test_a_vllm_for_the_cpu_is_kept_without_a_gpu() -> None:
    tiny = load_recipe("tiny", ["grpo.use_vllm=true"])
    assert adapted_to_hardware(tiny, has_gpu=False) == (tiny, [])


def test_stale_weights_are_seen_and_said(
    trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ColocatedAdapter.sync_weights

    def only_once(self: Any) -> None:
        if self._folders.number == 0:
            load(self)

    monkeypatch.setattr(ColocatedAdapter, "sync_weights", only_once)
    stale = trained("rollouts.sync=adapter", "run.stop_at_step=20", "grpo.learning_rate=3e-3")
    assert stale.series(MEAN)[0] < 1e-3
    assert stale.series(MEAN)[-1] > 0.05, stale.series(MEAN)
    assert any("it generates with other weights" in line for line in stale.said)


def test_merged_in_bfloat16_changes_the_base_and_says_what_it_loses(
    trained: Callable[..., Trained], tiny_folder: Path, tmp_path: Path
) -> None:
    half = in_bfloat16(tiny_folder, tmp_path / "half")

    def on_half(recipe: Recipe) -> Recipe:
        model = PretrainedModel(
            kind="pretrained", id=str(half), revision=None, dtype="bfloat16",
            attn_implementation="sdpa", pad_token="<|pad|>", chat_template=None,
        )  # fmt: skip
        return recipe.model_copy(update={"model": model})

    merged = trained(
        "rollouts.sync=merged", "run.stop_at_step=20", "grpo.save_steps=10",
        "grpo.learning_rate=1e-5", change=on_half,
    )  # fmt: skip
    assert merged.base["after"] != merged.base["before"]
    assert any("the base weights changed during the training" in line for line in merged.said)
    logged = merged.series("merged_delta_error")
    assert len(logged) == 2
    for step, value in zip((10, 20), logged, strict=True):
        assert value == pytest.approx(lost(half, merged.root / f"checkpoint-{step}"), rel=0.05)
    assert logged[0] > 0.1
    assert any(f"loses {logged[0]:.0%} of its change" in line for line in merged.said)


def test_greedy_tokens_of_transformers_and_vllm_are_equal_for_the_base_and_three_adapters(
    adapter_synced: Trained, tiny_folder: Path
) -> None:
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_folder)
    problems = tasks_of(load_recipe("tiny")).selection.problems[:8]
    prompts = [
        tokenizer.apply_chat_template(list(each.messages), add_generation_prompt=True)["input_ids"]
        for each in problems
    ]
    engine = LLM(
        model=str(tiny_folder), dtype="float32", enforce_eager=True, enable_lora=True,
        max_lora_rank=32, max_loras=3, max_model_len=256,
        distributed_executor_backend="external_launcher",
    )  # fmt: skip
    ENGINES.append(engine)
    greedy = SamplingParams(temperature=0.0, max_tokens=40)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    different = set()
    for number, step in enumerate((None, *ADAPTERS)):
        path = adapter_synced.root / f"checkpoint-{step}"
        request = LoRARequest(f"step-{step}", number, str(path)) if step else None
        answers = engine.generate(
            [{"prompt_token_ids": prompt} for prompt in prompts], greedy, lora_request=request
        )
        by_vllm = [list(answer.outputs[0].token_ids) for answer in answers]
        model = base if step is None else PeftModel.from_pretrained(base, str(path))
        assert by_vllm == [greedy_tokens(model, tokenizer, prompt) for prompt in prompts], step
        different.add(str(by_vllm))
        if step is not None:
            base = model.unload()
    assert len(different) == 4  # they are four models


def greedy_tokens(model: Any, tokenizer: Any, prompt: list[int]) -> list[int]:
    """Return what transformers generates after a prompt, up to and with the end token."""
    with torch.no_grad():
        output = model.eval().generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False, max_new_tokens=40, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    tokens: list[int] = output[0, len(prompt) :].tolist()
    return tokens


def in_bfloat16(folder: Path, half: Path) -> Path:
    """Return a copy of a model's folder with its weights in bfloat16."""
    half.mkdir()
    for file in folder.iterdir():
        text = file.read_bytes()
        (half / file.name).write_bytes(text.replace(b'"float32"', b'"bfloat16"'))
    weights = load_file(folder / "model.safetensors")
    rounded = {name: tensor.bfloat16() for name, tensor in weights.items()}
    save_file(rounded, half / "model.safetensors", metadata={"format": "pt"})
    return half


def lost(base: Path, checkpoint: Path) -> float:
    """Return the share of an adapter's change that a merge in bfloat16 loses, computed by peft's own merge."""
    before = load_file(base / "model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    merged = PeftModel.from_pretrained(model, str(checkpoint)).merge_and_unload().state_dict()
    adapter = load_file(checkpoint / "adapter_model.safetensors")
    top = bottom = 0.0
    for name in adapter:
        if "lora_A" not in name:
            continue
        plain = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        other = adapter[name.replace("lora_A", "lora_B")].double()
        change = other @ adapter[name].double() * (128 / 32)
        effective = merged[plain].double() - before[plain].double()
        top += float((effective - change).square().sum())
        bottom += float(change.square().sum())
    return float((top / bottom) ** 0.5)
