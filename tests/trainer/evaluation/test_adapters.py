"""A real peft adapter is loaded when it fits, and refused by name when anything of it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from trainer.evaluation.adapters import AdapterError, check_fitting, check_resumable, loaded

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def tiny(hidden: int = 16, layers: int = 1) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": hidden, "intermediate_size": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, num_hidden_layers=layers))


def adapter(path: Path, base: Any, **options: Any) -> Path:
    """Save an adapter whose weights all change the model."""
    given = {"r": 2, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", **options}
    model = get_peft_model(base, LoraConfig(**given))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(path)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return adapter(tmp_path / "checkpoint-10", tiny())


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.arange(8)[None]).logits
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dora": True},
        {"use_rslora": True, "lora_alpha": 7},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": "all-linear"},
        {"rank_pattern": {"v_proj": 5}},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"task_type": None},
    ],
    ids=str,
)
def test_a_legal_adapter_gives_what_peft_alone_gives(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = adapter(tmp_path / "checkpoint-10", tiny(), **options)
    base = tiny()
    plain = PeftModel.from_pretrained(tiny(), str(path), use_safetensors=True).eval()
    check_fitting(base, path)
    assert torch.equal(logits(loaded(base, path).eval()), logits(plain))
    assert torch.equal(logits(base), logits(tiny())), "the base model stays as it is"
    assert not torch.equal(logits(plain), logits(base))


def renamed(change: Callable[[str], str]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        tensors = load_file(path / WEIGHTS)
        save_file({change(name): tensor for name, tensor in tensors.items()}, path / WEIGHTS)

    return make


def emptied(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    save_file({name: torch.empty(0) for name in tensors}, path / WEIGHTS)


def without_tensors(path: Path) -> None:
    save_file({}, path / WEIGHTS)


def without_one(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    tensors.pop(min(tensors))
    save_file(tensors, path / WEIGHTS)


def with_one_more(path: Path) -> None:
    save_file({**load_file(path / WEIGHTS), "of.something.else": torch.ones(1)}, path / WEIGHTS)


def cut(path: Path) -> None:
    (path / WEIGHTS).write_bytes((path / WEIGHTS).read_bytes()[:-20])


def pickled(path: Path) -> None:
    torch.save(load_file(path / WEIGHTS), path / "adapter_model.bin")
    (path / WEIGHTS).unlink()


def configured(**fields: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        (path / CONFIG).write_text(
            json.dumps({**json.loads((path / CONFIG).read_text()), **fields})
        )

    return make


def of_another_size(path: Path) -> None:
    shutil.rmtree(path)
    adapter(path, tiny(hidden=32))


def of_more_layers(path: Path) -> None:
    shutil.rmtree(path)
    adapter(path, tiny(layers=2))


def fewer_layers(path: Path) -> None:
    tensors = {n: t for n, t in load_file(path / WEIGHTS).items() if "v_proj" not in n}
    save_file(tensors, path / WEIGHTS)


@pytest.mark.parametrize("refuse", [loaded, check_fitting])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_tensors, "ZeRO-3"),
        (emptied, "tensors without numbers: base_model.model"),
        (without_one, r"1 are missing \(base_model.model.model.layers.0.self_attn.q_proj.lora_A"),
        (with_one_more, r"1 are unexpected \(of.something.else\)"),
        (fewer_layers, "v_proj"),
        (renamed(lambda n: n.replace("base_model.", "base_model._orig_mod.")), "torch.compile"),
        (renamed(lambda n: f"module.{n}"), "distributed wrapper"),
        (renamed(lambda n: n.replace("q_proj", "query")), "query.lora_A.weight"),
        (cut, "cut off"),
        (pickled, "is a pickle"),
        (lambda path: (path / CONFIG).unlink(), "cannot be read"),
        (lambda path: (path / CONFIG).write_text("{"), "no JSON"),
        (lambda path: (path / CONFIG).write_text("[]"), "no object"),
        (configured(peft_type="PROMPT_TUNING"), "PROMPT_TUNING"),
        (configured(target_modules=["c_attn"]), "c_attn"),
        (configured(target_modules=5), "TypeError"),
        (configured(target_modules=["q_proj"]), "unexpected"),
        (configured(r=10**9), "rank 1000000000"),
        (configured(r="x"), "rank 'x'"),
        (configured(r=8), "size mismatch"),
        (configured(rank_pattern=[1]), "rank"),
        (configured(megatron_config={"a": 1}, megatron_core="evil"), "names code"),
        (of_another_size, "size mismatch"),
        (of_more_layers, "layers.1"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_what_is_wrong(
    good: Path, spoil: Callable[[Path], None], words: str, refuse: Callable[[Any, Path], Any]
) -> None:
    """By `hf`, which loads it, and before `vllm` or a server is told to."""
    spoil(good)
    base = tiny()
    with pytest.raises(AdapterError, match=words):
        refuse(base, good)
    assert torch.equal(logits(base), logits(tiny()))


def test_two_models_of_the_hub_are_two_and_a_local_folder_is_judged_by_its_shapes(
    good: Path,
) -> None:
    configured(base_model_name_or_path="Qwen/Qwen2.5-1.5B")(good)
    with pytest.raises(AdapterError, match=r"trained on Qwen/Qwen2.5-1.5B, and the recipe names"):
        loaded(tiny(), good, "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B")
    for same in ("qwen/qwen2.5-1.5b", "/models/qwen", None):
        loaded(tiny(), good, same)


def test_a_training_is_not_resumed_with_fresh_weights(good: Path) -> None:
    model = get_peft_model(tiny(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    check_resumable(model, good)
    without_one(good)
    with pytest.raises(AdapterError, match="1 are missing"):
        check_resumable(model, good)
