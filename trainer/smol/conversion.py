"""Converts the packaged GGUF file to safetensors in bfloat16, with the tokens set that end and pad a text."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cusp.process.installed import pip_install
from trainer.cached_folder import WEIGHTS
from trainer.smol.packaged import SmolError

# The file calls <|im_start|> the end of a text, so that a generation runs on, and has no pad token.
END, PAD = "<|im_end|>", "<|endoftext|>"
_TIED = "lm_head.weight"  # the embedding's own tensor


def converted(file: Path) -> tuple[Any, Any]:
    """Return (model, tokenizer) of the GGUF file, the model in float32 on the CPU.

    Raises SmolError when the reader of such files is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaForCausalLM

    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
            read = AutoModelForCausalLM.from_pretrained(
                **place, dtype=torch.float32, use_safetensors=True
            )
    except ImportError as error:
        raise SmolError(
            "the small model needs the package gguf to be read; install it with"
            f" {pip_install('trainer', 'smol')}"
        ) from error
    tokenizer.eos_token, tokenizer.pad_token = END, PAD
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    # A model read from GGUF refuses to be saved: a new one gets its tensors.
    config = read.config
    del config.quantization_config
    config.update({"bos_token_id": None, "eos_token_id": end, "pad_token_id": pad})
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    return model, tokenizer


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the files of `save_pretrained`, which itself writes weights on rank 0 only; bfloat16."""
    model.config.architectures = [type(model).__name__]
    model.config.dtype = torch.bfloat16
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    weights = {
        name: one.to(torch.bfloat16).contiguous()
        for name, one in model.state_dict().items()
        if name != _TIED
    }
    save_file(weights, str(folder / WEIGHTS), metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
