"""What the examples train: a model of 0.1 M parameters that adds numbers, so that each runs anywhere in a minute.

In a training of your own the model's name, the data set and the rewards stand here.
"""

import random
import re

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from cusp import settings
from trainer.recipe_loader import load_recipe
from trainer.tiny.base import base_model
from trainer.tiny.problems import draw, tiny_row
from trainer.tiny.teacher_traces import TraceStyle, write_trace

torch.set_num_threads(1)  # faster for a model this small
RECIPE = load_recipe("tiny")
MODEL = str(base_model(RECIPE.model, settings.from_environment().directory / "cache"))


def tokenizer():
    return PreTrainedTokenizerFast.from_pretrained(MODEL)


def problems(count=256):
    """Rows with a `prompt` (messages) and its `solution`; six of ten are beyond the base model."""
    easy = round(0.4 * count)
    drawn = draw(11, easy, 2, "train") + draw(11, count - easy, 3, "train")
    random.Random(11).shuffle(drawn)
    return Dataset.from_list([tiny_row(one) for one in drawn])


def worked_examples(count=256):
    """Rows with a `prompt` and a `completion`, for supervised training."""
    rng, style = random.Random(0), TraceStyle(0.1, 0.2, 0.1, 0.05, 0.02)
    return Dataset.from_list(
        [
            {
                "prompt": f"<|user|>{one.question}<|assistant|><think>\n",
                "completion": write_trace(one, rng, style),
            }
            for one in draw(12, count, 2, "train")
        ]
    )


def format_reward(completions, **columns):
    """1 for a thought that is closed once, on a line of its own."""
    return [float(text(one).count("\n</think>\n") == 1) for one in completions]


def correctness_reward(completions, solution, **columns):
    """2 for the right sum in the last box."""
    boxes = [re.findall(r"\\boxed\{(\d+)\}", text(one)) for one in completions]
    return [2.0 * (box[-1:] == [right]) for box, right in zip(boxes, solution, strict=True)]


def text(completion):
    return completion if isinstance(completion, str) else completion[0]["content"]
