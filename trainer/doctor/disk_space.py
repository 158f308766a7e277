"""Check of the disk: what is free in CUSP_DIR against what a recipe writes."""

import math
import re
import shutil
from pathlib import Path

from cusp.process.machine import NoFolder, usable
from trainer.doctor.check import Check, failure, ok, warning
from trainer.recipe import PretrainedModel, Recipe

GIB = 2**30
LEAST, ENOUGH = 1 * GIB, 20 * GIB
"""Without a recipe: less than the first is a failure; the second holds a 1.5e9 model and 30 checkpoints of it."""
WEIGHTS = {"tiny": 1e6, "smollm2": 135e6}  # at most 1e6 with the shipped options; SmolLM2-135M
BYTES_A_WEIGHT = 2  # bfloat16 on the hub
# A LoRA weight, float32, and AdamW's two moments of it in every checkpoint.
BYTES_A_LORA_WEIGHT = 12
# LoRA weights a rank and base weight, all seven projections of Qwen2.5-1.5B (28 layers, widths 1536, 256,
# 8960): 28 * 41,216 a rank, of 1.54e9. Larger models have less.
LORA_SHARE_A_RANK = 28 * 41_216 / 1.54e9


def needed(recipe: Recipe) -> int:
    """Return the bytes that a training of the recipe writes, by the size in the model's name; an estimate."""
    model = recipe.model
    weights = parameters(model.id) if isinstance(model, PretrainedModel) else WEIGHTS[model.kind]
    saves = math.ceil(recipe.last_step / recipe.grpo.save_steps)
    checkpoint = weights * LORA_SHARE_A_RANK * recipe.lora.r * BYTES_A_LORA_WEIGHT
    return math.ceil(weights * BYTES_A_WEIGHT + saves * checkpoint)


def parameters(model_id: str) -> float:
    """Return the number of weights in a model's name, 1.5e9 where it names none.

    >>> parameters("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"), parameters("SmolLM2-135M-Instruct")
    (1500000000.0, 135000000.0)
    """
    found = re.findall(r"(\d+(?:\.\d+)?)([BM])\b", model_id, re.IGNORECASE)
    if not found:
        return 1.5e9
    number, unit = found[-1]
    return float(number) * (1e9 if unit.upper() == "B" else 1e6)


def disk(directory: Path, name: str | None, recipe: Recipe | None) -> Check:
    """Return whether CUSP_DIR can be written in and has room for the recipe, or for any."""
    try:
        free = shutil.disk_usage(usable(directory)).free
    except NoFolder as error:
        return failure("disk", str(error), "set CUSP_DIR to a folder that you may write in")
    words = f"{free / GIB:.1f} GiB are free in {directory}"
    wanted = needed(recipe) if recipe else None
    if wanted is not None:
        words += f"; {name} takes about {wanted / GIB:.1f} GiB with all its checkpoints"
    way = "free some, or set CUSP_DIR to a larger disk"
    if free < (wanted or LEAST):
        return failure("disk", words, way)
    return warning("disk", words, way) if wanted is None and free < ENOUGH else ok("disk", words)
