"""The embedded task: disjoint sets, one language, a base model that its options determine."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from trainer.recipe import Recipe, TinyModel
from trainer.recipe_loader import load_recipe
from trainer.tiny import tokenizer
from trainer.tiny.base import base_model, cache_key
from trainer.tiny.base_training import make_base
from trainer.tiny.problems import Addition, draw, split_of, tiny_problems
from trainer.tiny.teacher_traces import TraceStyle, write_trace

PERFECT = TraceStyle(0, 0, 0, 0, 0)


def tiny_model(recipe: Recipe) -> TinyModel:
    assert recipe.model.kind == "tiny"
    return recipe.model


def test_training_selection_and_report_share_no_problem_whatever_the_seeds() -> None:
    sets = [draw(seed, 300, 2, split) for seed in (1, 2) for split in ("selection", "report")]
    sets.append(draw(1, 500, 2, "train"))
    for problems in sets:
        assert len({split_of(each) for each in problems}) == 1
        assert len(set(problems)) == len(problems)
    assert not {*sets[0], *sets[2]} & {*sets[1], *sets[3]}


def test_the_recipe_trains_on_training_problems_only_most_of_them_hard() -> None:
    data = load_recipe("tiny").data
    assert data.kind == "tiny"
    problems = tiny_problems(data)
    assert {split_of(each) for each in problems} == {"train"}
    assert sum(each.first >= 100 for each in problems) == 154
    assert problems == tiny_problems(data)


def test_asking_for_none_gives_none() -> None:
    assert draw(0, 0, 3, "train") == []


def test_asking_for_more_problems_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for at most"):
        draw(0, 2_000, 2, "selection")


def test_a_perfect_trace_solves_the_problem_in_form() -> None:
    rng = random.Random(0)
    for problem in draw(0, 50, 3, "train"):
        trace = write_trace(problem, rng, PERFECT)
        assert trace.endswith(f"\n</think>\n\\boxed{{{problem.answer}}}<|eos|>")


def test_carries_are_written_out() -> None:
    trace = write_trace(Addition(57, 68), random.Random(0), PERFECT)
    assert trace.startswith("7+8+0=15\n5+6+1=12\n</think>")


def test_the_tokenizer_reads_its_language_back_and_agrees_with_the_fast_path(
    tmp_path: Path,
) -> None:
    tokenizer.make_tokenizer().save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = tokenizer.prompt_text("57+68=") + "7+8+0=15\nwait\n</think>\n\\boxed{125}<|eos|>"
    assert len(tokenizer.TOKENS) == 23
    assert loaded(text)["input_ids"] == tokenizer.encode(text)
    assert loaded.decode(tokenizer.encode(text)) == text
    asked = [{"role": "user", "content": "57+68="}]
    prompt = loaded.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert prompt == tokenizer.prompt_text("57+68=")


def test_the_same_options_give_the_same_weights_and_another_seed_others(
    small: Callable[..., Recipe],
) -> None:
    def weights(*overrides: str) -> str:
        model = make_base(tiny_model(small(*overrides)), progress=lambda _: None)
        parts = [each.detach().numpy().tobytes() for each in model.parameters()]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    assert weights() == weights()
    assert weights() != weights("model.seed=1")


def test_the_base_model_is_made_once_and_its_key_covers_every_option(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    said: list[str] = []
    options = tiny_model(small())
    folder = base_model(options, tmp_path, said.append)
    assert (folder / "model.safetensors").is_file()
    assert said
    assert base_model(options, tmp_path, lambda _: pytest.fail("made again")) == folder
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == [folder.name]
    others = [tiny_model(small(each)) for each in ("model.seed=1", "model.traces.slip=0.1")]
    assert len({cache_key(each) for each in (options, *others)}) == 3


def test_the_shipped_base_model_has_about_a_tenth_of_a_million_parameters() -> None:
    options = tiny_model(load_recipe("tiny", ["model.sft_steps=1", "model.sft_batch_size=4"]))
    model = make_base(options, lambda _: None)
    assert 90_000 < sum(each.numel() for each in model.parameters()) < 130_000
