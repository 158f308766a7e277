"""`cusp evaluate`: a plan from what was measured on a run, and a job for one that has no recipe."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cusp
from cusp.cli.app import app
from cusp.errors import CuspError
from tests.conftest import MonitorProcess

SHORT = ("--suite", "smoke", "--samples", "2")


@pytest.fixture
def run(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[cusp.Run]:
    """A run of a loop of one's own, which has ended with one checkpoint."""
    monitor_process.start()
    for name, value in (("DIR", str(tmp_path)), ("URL", monitor_process.url), ("MODE", "online")):
        monkeypatch.setenv(f"CUSP_{name}", value)
    monkeypatch.setenv("CUSP_GPU_HOURLY_USD", "1.5")
    run = cusp.init("p", "mine", policy=cusp.Policy(evaluate="none"))
    folder = run.root / "checkpoint-30"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    run.checkpoint(folder, 30)
    yield run
    run.finish()


def evaluate(run: cusp.Run, *options: str) -> str:
    arguments = ["evaluate", run.id, *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout


def test_a_plan_is_told_from_the_lengths_of_the_training(run: cusp.Run) -> None:
    run.evaluation("own", step=30, pass_at_1=0.5, n=40)  # says nothing of tokens
    for step in range(1, 31):
        run.log({"completion_length": 100.0 if step <= 10 else 200.0}, step=step)
    assert run.finish()
    told = json.loads(evaluate(run, *SHORT, "--plan", "--json"))
    # 20 problems to choose on, 40 to report on, two samples of each, the base model and one checkpoint.
    assert (told["candidates"], told["completions"]) == (2, 2 * 60 * 2)
    assert told["tokens"] == 200 * told["completions"]
    assert (told["seconds"], told["usd"]) == (None, None)
    cut = json.loads(evaluate(run, *SHORT, "--max-new-tokens", "50", "--plan", "--json"))
    assert cut["tokens"] == 50 * cut["completions"]  # shorter than the training's
    words = evaluate(run, *SHORT, "--plan")
    assert (
        "2 candidates: 240 completions of about 48,000 tokens; lengths of the training's" in words
    )
    assert "no evaluation of the run has measured a speed yet" in words
    assert told["base"] is None
    named = evaluate(run, *SHORT, "--plan", "--base", "Qwen/Qwen3-0.6B")
    assert "2 candidates of Qwen/Qwen3-0.6B: 240 completions" in named
    with pytest.raises(CuspError, match="has no recipe; name what to score it on with --suite"):
        evaluate(run, "--plan")
    with pytest.raises(CuspError, match="'/models/none' is no name of the Hugging Face hub"):
        evaluate(run, *SHORT, "--plan", "--base", "/models/none")


def test_a_run_without_a_recipe_is_queued_with_what_is_asked_for(run: cusp.Run) -> None:
    assert run.finish()
    with pytest.raises(CuspError, match="was not started with `cusp train`"):
        evaluate(run)
    with pytest.raises(CuspError, match="nor logged completion lengths"):
        evaluate(run, *SHORT, "--plan")
    job = json.loads(evaluate(run, *SHORT, "--base", "Qwen/Qwen3-0.6B", "--json"))
    assert (job["kind"], job["state"]) == ("evaluate", "queued")


def test_the_plan_of_a_run_with_a_recipe_refuses_another_base_as_the_evaluation_does(
    run: cusp.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.recipe_loader import load_recipe

    assert run.finish()
    monkeypatch.delenv("CUSP_RUN_ID", raising=False)
    trained = cusp.init("p", "trained", config=load_recipe("tiny").model_dump(mode="json"))
    trained.log({"completion_length": 20.0}, step=1)
    assert trained.finish()
    assert json.loads(evaluate(trained, "--plan", "--json"))["base"] == "tiny"
    with pytest.raises(CuspError, match="has a recipe, which names its base model"):
        evaluate(trained, "--plan", "--base", "Qwen/Qwen3-0.6B")
