"""Real GRPO-LoRA trainings by TRL, a few steps long."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

import cusp
from cusp.checkpoints import manifest, paths
from cusp.ids import new_id
from cusp.run_config import RECIPE_FILE
from cusp.start import RunInUse
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.train import main, train
from trainer.training.batch_size import divided
from trainer.training.data import DataError
from trainer.training.hardware import adapted_to_hardware

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours

TINY_LENGTHS = (
    "grpo.max_completion_length=12",
    "grpo.max_steps=40",
    "grpo.save_steps=1",
    "run.stop_at_step=2",
)


def quiet(_: str) -> None:
    """No progress wanted."""


def log_of(checkpoint: Path) -> list[dict[str, Any]]:
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    return [entry for entry in state["log_history"] if "reward" in entry]


def weights_of(checkpoint: Path) -> dict[str, bytes]:
    tensors = load_file(checkpoint / "adapter_model.safetensors")
    return {name: tensor.tobytes() for name, tensor in tensors.items()}


def test_the_same_seed_gives_the_same_training_and_a_resumed_one_continues_it_exactly(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    whole, parts, other = tmp_path / "whole", tmp_path / "parts", tmp_path / "other"
    assert train(small(), whole, progress=quiet) == 4
    torch.rand(7)  # whatever was drawn before, such as for making the base model, has no say
    assert train(small("run.stop_at_step=2"), parts, progress=quiet) == 2
    assert weights_of(parts / "checkpoint-2") == weights_of(whole / "checkpoint-2")
    manifest.write_manifest(parts / "checkpoint-2", 2)
    (parts / "checkpoint-3").mkdir()  # a crash in the middle of saving
    assert train(small(), parts, resume=True, progress=quiet) == 4
    assert weights_of(parts / "checkpoint-4") == weights_of(whole / "checkpoint-4")
    assert [entry["step"] for entry in log_of(parts / "checkpoint-4")] == [1, 2, 3, 4]
    train(small("seed=1"), other, progress=quiet)
    assert weights_of(other / "checkpoint-4") != weights_of(whole / "checkpoint-4")


def test_a_run_spools_its_points_checkpoints_and_samples_with_its_metadata(
    small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    run_id = new_id()
    root = cusp_dir / "runs" / run_id
    train(small(), root, run_id=run_id, progress=quiet)
    folder = next((root / "attempts").iterdir())
    start = json.loads((folder / "start.json").read_text())
    assert start["metadata"]["max_steps"] == 4
    assert start["metadata"]["completions_per_point"] == 12
    assert start["metadata"]["completion_limit_tokens"] == 12
    assert start["metadata"]["rewards"]["cosine_reward"]["graded"]
    assert start["metadata"]["trainable_parameters"] < start["metadata"]["model_parameters"]
    spooled = "".join(file.read_text() for file in folder.glob("*.jsonl"))
    for word in ("format_reward", "accuracy_reward", "completion_length", "sample"):
        assert f'"{word}"' in spooled
    assert '"verifier_failures":0.0' in spooled.replace(" ", "")
    assert paths.latest(root) == root / "checkpoint-4"
    assert load_recipe(root / RECIPE_FILE) == small()


def test_the_tina_recipe_trains_with_the_model_and_data_of_the_tiny_one(
    cusp_dir: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("tina_open_rs2", ["model=@tiny", "data=@tiny", *TINY_LENGTHS])
    recipe = recipe.model_copy(update={"model": small_model()})
    said: list[str] = []
    assert train(recipe, tmp_path, progress=said.append) == 2
    assert any("grpo.use_vllm=false" in line for line in said)
    entry = log_of(tmp_path / "checkpoint-2")[-1]
    assert {"rewards/format_reward/mean", "rewards/accuracy_reward/mean", "kl"} <= entry.keys()
    assert (
        load_recipe(tmp_path / RECIPE_FILE)
        == adapted_to_hardware(divided(recipe, 1), has_gpu=False)[0]
    )


def small_model() -> Any:
    overrides = ["model.hidden_size=16", "model.layers=1", "model.heads=2", "model.sft_steps=4"]
    return load_recipe("tiny", [*overrides, "model.sft_batch_size=16"]).model


def test_rewards_that_are_none_for_a_whole_step_do_not_end_the_training(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    file = tmp_path / "problems.jsonl"
    rows = [{"problem": f"{n}+11=", "solution": "no integer"} for n in range(10, 20)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    jsonl = (
        f"data={{kind: jsonl, path: {file}, problem_column: problem, solution_column: solution,"
        " solution_in_dollars: false, system_prompt: null, max_prompt_tokens: 16}"
    )
    assert train(small(jsonl), tmp_path / "run", progress=quiet) == 4
    entry = log_of(tmp_path / "run" / "checkpoint-4")[-1]
    assert entry["rewards/accuracy_reward/mean"] is None
    assert entry["rewards/format_reward/mean"] is not None
    assert entry["verifier_failures"] == 1.0


def test_data_that_cannot_be_read_are_refused_in_a_sentence(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    file = tmp_path / "problems.jsonl"
    jsonl = (
        f"data={{kind: jsonl, path: {file}, problem_column: problem, solution_column: answer,"
        " solution_in_dollars: false, system_prompt: null, max_prompt_tokens: 2}"
    )
    with pytest.raises(DataError, match="there is no file"):
        train(small(jsonl), tmp_path / "run", progress=quiet)
    file.write_text('{"problem": "1+1="}\n')
    with pytest.raises(DataError, match="no column 'answer'; it has problem"):
        train(small(jsonl), tmp_path / "run", progress=quiet)
    file.write_text('{"problem": "10+10=", "answer": "20"}\n')
    with pytest.raises(DataError, match=r"raise data\.max_prompt_tokens"):
        train(small(jsonl), tmp_path / "run", progress=quiet)


def test_an_unreachable_data_set_is_a_sentence_with_the_way_out(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match=r"knoveleng/open-rs could not be loaded.*data\.kind"):
        train(
            load_recipe("tina_open_rs2", ["model=@tiny"]).model_copy(
                update={"model": small_model()}
            ),
            tmp_path,
            progress=quiet,
        )


def test_a_second_trainer_of_the_same_run_is_refused_and_changes_nothing(
    small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    first = cusp.init(run_id=new_id())
    try:
        with pytest.raises(RunInUse, match="is being trained by process"):
            train(small(), first.home, run_id=first.id, progress=quiet)
        assert not (first.home / RECIPE_FILE).exists()
    finally:
        first.finish()


def test_a_data_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "file"))
    assert main(["tiny"]) == 2
    assert "set CUSP_DIR to a folder that you may write in" in capsys.readouterr().err


def test_the_command_line_refuses_in_one_line(
    cusp_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tiny", "grpo.learning_rat=1"]) == 2
    assert "did you mean grpo.learning_rate?" in capsys.readouterr().err
    assert main(["--resume", "--run-id", new_id()]) == 2
    assert "no recipe given" in capsys.readouterr().err
