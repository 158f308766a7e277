"""What is decided before an engine is built: its options, what vLLM cannot serve, the adapter's folders."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from trainer.export.exporting import VLLM_RANKS
from trainer.recipe_loader import RecipeError, load_recipe
from trainer.rollouts import adapter_folder, vllm_backend
from trainer.rollouts.adapter_folder import AdapterFolders, write_adapter

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and peft, not ours


def model(**lora: Any) -> Any:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    return get_peft_model(Qwen2ForCausalLM(config), LoraConfig(**lora))


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "lora_only"}, "bias"),
        ({"target_modules": ["q_proj", "lm_head"]}, "the head or the embeddings"),
        ({"target_modules": ["embed_tokens"]}, "the head or the embeddings"),
        ({"r": 600}, "rank 600 is larger"),
    ],
)
def test_an_adapter_that_vllm_cannot_serve_is_refused_with_the_way_out(
    lora: dict[str, Any], words: str
) -> None:
    from trainer.rollouts.generation import servable_rank

    with pytest.raises(RecipeError, match=rf"{words}.*rollouts\.sync=merged"):
        servable_rank(model(**{"target_modules": ["q_proj"], **lora}))


def test_dropout_and_patterns_of_ranks_are_served() -> None:
    from trainer.rollouts.generation import servable_rank

    adapter = model(
        r=4, lora_dropout=0.5, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 6}
    )
    assert servable_rank(adapter) == 6


def test_an_adapter_is_written_whole_under_a_new_name_each_time(tmp_path: Path) -> None:
    folders = AdapterFolders(tmp_path)
    others = AdapterFolders(tmp_path)
    adapter = model(r=4, target_modules=["q_proj"])
    names = set()
    for _ in range(3):
        folder = folders.next()
        write_adapter(adapter, lambda _: nullcontext(), "cpu", folder, writes=True)
        assert {each.name for each in folder.iterdir()} >= {
            "adapter_config.json",
            "adapter_model.safetensors",
        }
        names |= {folder.name, others.next().name}
    assert len(names) == 6  # of two trainings with one server as well
    folders.remove([folder])
    assert not folder.exists()
    folders.close()
    others.close()
    assert not list(tmp_path.iterdir())


KILLED = """
import os, sys
from pathlib import Path
from trainer.rollouts.adapter_folder import AdapterFolders
folders = AdapterFolders(Path(sys.argv[1]))
folders.next().mkdir()
print("ready", flush=True)
sys.stdin.read()
os._exit(1)  # nothing is cleaned, as after kill -9
"""


def test_what_a_killed_training_left_goes_at_the_next_start_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_folder, "NEW_S", -1.0)
    mine = AdapterFolders(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as training:
        assert training.stdout is not None
        training.stdout.readline()
        AdapterFolders(tmp_path).close()
        assert len(list(tmp_path.iterdir())) == 2
    assert len(list(tmp_path.iterdir())) == 2
    again = AdapterFolders(tmp_path)
    assert {*tmp_path.iterdir()} == {mine.path, again.path}
    mine.close()
    again.close()


def test_the_engine_has_the_precision_and_the_revision_of_the_training() -> None:
    tiny = load_recipe("tiny")
    assert vllm_backend.engine_options(tiny, on_cpu=False)["dtype"] == "float32"
    assert vllm_backend.engine_options(tiny, on_cpu=True)["enforce_eager"]
    tina = load_recipe("tina_open_rs2", ["model.revision=abc"])
    options = vllm_backend.engine_options(tina, on_cpu=False)
    assert options["dtype"] == "bfloat16"
    assert options["revision"] == options["tokenizer_revision"] == "abc"


def test_the_difference_is_of_what_the_loss_is_of_where_another_temperature_is_drawn_at() -> None:
    plain = load_recipe("tiny", ["grpo.top_p=1.0"])
    assert not vllm_backend.reshaped(plain)
    assert "logprobs_mode" not in vllm_backend.engine_options(plain, on_cpu=False)
    narrow = load_recipe("tiny", ["grpo.top_p=0.9"])
    assert vllm_backend.reshaped(narrow)
    assert vllm_backend.engine_options(narrow, on_cpu=False)["logprobs_mode"] == "raw_logprobs"
    corrected = load_recipe(
        "tiny", ["grpo.top_p=0.9", "grpo.vllm_importance_sampling_correction=true"]
    )
    assert "logprobs_mode" not in vllm_backend.engine_options(corrected, on_cpu=False)


def test_merged_weights_cannot_go_to_a_server_from_a_cpu_and_nothing_stays_replaced(
    tmp_path: Path,
) -> None:
    from trl.trainer import grpo_trainer

    before = grpo_trainer.VLLMGeneration
    server = load_recipe("tiny", ["grpo.use_vllm=true", "rollouts.sync=merged"])
    grpo = server.grpo.model_copy(update={"vllm_mode": "server"})
    with (
        pytest.raises(RecipeError, match=r"rollouts\.sync=adapter, or grpo\.vllm_mode=colocate"),
        vllm_backend.generating(server.model_copy(update={"grpo": grpo}), tmp_path, on_cpu=True),
    ):
        pass
    with vllm_backend.generating(
        load_recipe("tiny", ["grpo.use_vllm=true"]), tmp_path, on_cpu=False
    ):
        assert grpo_trainer.VLLMGeneration is not before
    assert grpo_trainer.VLLMGeneration is before


def test_an_export_names_the_ranks_that_trl_knows_of_vllm() -> None:
    from trl.experimental.async_grpo.async_grpo_trainer import VLLM_LORA_RANKS

    assert tuple(VLLM_LORA_RANKS) == VLLM_RANKS
