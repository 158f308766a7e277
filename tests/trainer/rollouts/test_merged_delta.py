"""The share of an update that a merge loses, against values known by hand and a plain computation."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from trainer.rollouts import merged_delta
from trainer.rollouts.merged_delta import MergeLoss, merged_delta_error

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


def test_below_half_a_digit_all_is_lost_and_of_a_whole_one_nothing() -> None:
    """bfloat16 has 8 significant bits: the next number after 1 is 1 + 2^-7."""
    weight = torch.ones(3, 4)
    small, whole = MergeLoss(), MergeLoss()
    small.add(weight, torch.full((3, 4), 2.0**-9), torch.bfloat16)
    whole.add(weight, torch.full((3, 4), 2.0**-7), torch.bfloat16)
    assert small.share == 1.0
    assert whole.share == 0.0
    small.add(weight, torch.full((3, 4), 2.0**-7), torch.bfloat16)
    assert small.share == pytest.approx((2.0**-18 / (2.0**-18 + 2.0**-14)) ** 0.5)
    assert MergeLoss().share == 0.0


def test_a_large_layer_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, delta = torch.randn(64, 48), torch.randn(64, 48) * 1e-3
    whole, parts = MergeLoss(), MergeLoss()
    whole.add(weight, delta, torch.bfloat16)
    monkeypatch.setattr(merged_delta, "MOST_AT_ONCE", 100)
    parts.add(weight, delta, torch.bfloat16)
    assert parts.share == pytest.approx(whole.share)


def test_a_models_error_is_that_of_its_layers_and_changes_nothing() -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    base = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=2))
    config = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "embed_tokens"])
    model = get_peft_model(base.to(torch.bfloat16), config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lost = total = 0.0
    for _, layer in merged_delta.layers_of(model):
        delta = layer.get_delta_weight("default").float()
        weight = layer.get_base_layer().weight
        rounded = (weight.float() + delta).to(torch.bfloat16).float()
        lost += float((rounded - weight.float() - delta).norm() ** 2)
        total += float(delta.norm() ** 2)
    assert merged_delta_error(model, torch.bfloat16) == pytest.approx(
        (lost / total) ** 0.5, rel=1e-3
    )
    assert merged_delta_error(model, torch.float32) < 1e-3
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
