"""Which problems a step trained on, in the run's folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cusp.checkpoints import manifest
from trainer.recipe import Recipe
from trainer.train import train
from trainer.training.data import training_set
from trainer.training.prompt_log import PROMPTS_FILE, prompts_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours


def quiet(_: str) -> None:
    """No progress wanted."""


def test_each_step_says_its_problems_and_a_resumed_training_the_same_ones(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small(), whole, progress=quiet)
    steps = prompts_of(whole)
    known = set(training_set(small(), None)["id"])
    assert sorted(steps) == [1, 2, 3, 4]
    for by_rank in steps.values():
        assert list(by_rank) == [0]
        assert len(by_rank[0]) == 2  # 12 completions of groups of 6
        assert set(by_rank[0]) <= known
    assert len({tuple(by_rank[0]) for by_rank in steps.values()}) == 4

    train(small("run.stop_at_step=3"), parts, progress=quiet)
    manifest.write_manifest(parts / "checkpoint-2", 2)
    train(small(), parts, resume=True, progress=quiet)
    assert prompts_of(parts) == steps
    assert len((parts / PROMPTS_FILE).read_text().splitlines()) >= 4


def test_a_generation_of_several_steps_is_in_the_line_of_the_first(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(small("grpo.num_iterations=2"), tmp_path, progress=quiet)
    assert sorted(prompts_of(tmp_path)) == [1, 3]


def test_a_line_that_was_cut_off_is_not_read(tmp_path: Path) -> None:
    assert prompts_of(tmp_path) == {}
    whole = '{"step": 1, "rank": 0, "ids": ["a"]}\n{"step": 1, "rank": 1, "ids": ["b"]}\n'
    (tmp_path / PROMPTS_FILE).write_text(whole + '{"step": 1, "ra')
    assert prompts_of(tmp_path) == {1: {0: ["a"], 1: ["b"]}}
    (tmp_path / PROMPTS_FILE).write_text('{"step": 1, "ra' + whole + "3\n[]\n" + whole)
    assert prompts_of(tmp_path) == {1: {0: ["a"], 1: ["b"]}}


def test_a_full_disk_costs_the_lines_and_is_said_once(
    small: Callable[..., Recipe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PROMPTS_FILE).symlink_to("/dev/full")
    train(small(), tmp_path, progress=quiet)
    said = [each.message for each in caplog.records if PROMPTS_FILE in each.message]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert "step 1" in said[0]
