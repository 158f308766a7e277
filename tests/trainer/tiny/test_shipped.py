"""The shipped base model: whose weights they are, and that the code still trains such a base."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import Qwen2ForCausalLM

from tests.small import SMALL
from trainer.recipe import Recipe, TinyModel
from trainer.recipe_loader import load_recipe
from trainer.tiny import base_training, problems, shipped
from trainer.tiny.base import base_model, cache_key
from trainer.tiny.teacher_traces import TraceStyle, write_trace
from trainer.training.model import load_base

ANEW = "train and ship it anew: python -m benchmarks.zoo.ship_base (about a minute)"


def options(*overrides: str, recipe: str = "tiny") -> TinyModel:
    found = load_recipe(recipe, overrides).model
    assert found.kind == "tiny"
    return found


def traces() -> list[tuple[list[int], list[int]]]:
    """Return 400 fresh teacher traces of held-out problems."""
    given, rng = options(), random.Random(1)
    style = TraceStyle(**given.traces.model_dump())
    drawn = islice(problems.stream(rng, given.digits, "report"), 400)
    return [base_training.example(each, write_trace(each, rng, style), given) for each in drawn]


def held_out_loss(model: Qwen2ForCausalLM) -> float:
    """Return the mean loss a token of fresh teacher traces."""
    rows = traces()
    with torch.inference_mode():
        return float(base_training.loss_of(model, rows)) / sum(len(answer) for _, answer in rows)


def predicted(model: Qwen2ForCausalLM) -> torch.Tensor:
    """Return the probabilities (positions, 23) of every next token in a few traces."""
    with torch.inference_mode():
        rows = [
            model(input_ids=torch.tensor([p + c])).logits[0, len(p) - 1 :] for p, c in traces()[:20]
        ]
    return torch.softmax(torch.cat(rows), dim=-1)


@pytest.mark.parametrize("recipe", ["tiny", "tiny_healthy"])
def test_both_recipes_start_from_the_shipped_weights(recipe: str) -> None:
    assert shipped.used_for(options(recipe=recipe)), ANEW


def test_the_shipped_weights_were_trained_by_the_code_as_it_is() -> None:
    assert shipped.record()["sources"] == shipped.source_hash(), ANEW


def test_other_options_and_a_rebuild_are_trained_here() -> None:
    assert not shipped.used_for(options("model.seed=1"))
    assert not shipped.used_for(options("model.rebuild=true"))
    assert cache_key(options("model.rebuild=true")) != cache_key(options())


def test_docstrings_comments_and_layout_make_no_other_base() -> None:
    plain = "def f(x):\n    return x + 1\n"
    worded = '"""A module."""\n\n\ndef f(x):  # one more\n    """Return more."""\n    return x+1\n'
    assert shipped.code_hash([plain]) == shipped.code_hash([worded])
    assert shipped.code_hash([plain]) != shipped.code_hash([plain.replace("1", "2")])
    assert shipped.code_hash(["class A:\n    '''Nothing.'''\n"]) == shipped.code_hash(
        ["class A:\n    pass\n"]
    )


def test_the_base_model_of_the_recipe_is_the_shipped_one_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_training, "make_base", lambda *_: pytest.fail("trained"))
    said: list[str] = []
    model, _ = load_base(load_recipe("tiny"), tmp_path, said.append)
    assert said == ["base model: the shipped weights"]
    again = shipped.base(options()).state_dict()
    assert model.state_dict().keys() == again.keys()
    assert all(torch.equal(one, again[name]) for name, one in model.state_dict().items())


def test_a_rebuild_trains_a_base_of_its_own_folder(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = small().model
    assert given.kind == "tiny"
    file = tmp_path / "base.safetensors"
    shipped.write(given, file)
    monkeypatch.setattr(shipped, "FILE", file)
    said: list[str] = []
    first = base_model(given, tmp_path, said.append)
    second = base_model(given.model_copy(update={"rebuild": True}), tmp_path, said.append)
    assert first != second
    assert said[:2] == ["base model: the shipped weights", "base model: training it here, 4 steps"]
    weights = "model.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()


@pytest.mark.timeout(400)
def test_trained_anew_it_is_the_shipped_base() -> None:
    """Equal bits by the same machine and versions; elsewhere rounding differs, and training amplifies it.

    Measured with ATEN_CPU_CAPABILITY=default and =avx2 beside avx512: loss .0549 and .0550 beside .0550, mean
    total variation of the predictions .012 and .013 (single predictions up to 1.0).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = shipped.made_from(options())
        model = base_training.make_base(options(), lambda _: None)
    finally:
        torch.set_num_threads(threads)
    there = shipped.base(options())
    if made == shipped.record():
        again = there.state_dict()
        assert all(torch.equal(one, again[name]) for name, one in model.state_dict().items())
    assert held_out_loss(model) == pytest.approx(held_out_loss(there), abs=0.005)
    off = (predicted(model) - predicted(there)).abs().sum(dim=-1) / 2  # total variation
    assert float(off.mean()) < 0.05


def test_the_option_of_the_command_line_is_in_the_runs_recipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cusp", "train", "tiny", "--rebuild-base", *SMALL]
    own = {
        **os.environ,
        "CUSP_DIR": str(tmp_path),
    }  # without the base that another test has trained
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env=own
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "base model: training it here, 4 steps" in done.stdout
    (written,) = tmp_path.glob("runs/*/recipe.yaml")
    model = load_recipe(written).model
    assert model.kind == "tiny"
    assert model.rebuild
