"""The three engines of an evaluation give the same greedy rows: transformers, vLLM, a real `vllm serve`."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.servers import KEY, Server, random_adapters, serving
from trainer.box import Box
from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.engines import Request
from trainer.evaluation.engines.of_section import engine_of
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.selection_set import selection_set
from trainer.jobs.bench import Accelerator, Bench
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.training.model import load_base, located

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of vLLM, TRL, transformers and torch, not ours
    pytest.mark.timeout(600),
]

VLLM = {"kind": "vllm", "gpu_memory_utilization": 0.3, "max_model_len": 256}
SMOL = (
    "model.warm_start=null",
    "evaluation.selection_problems=3",
    "evaluation.sampling.max_new_tokens=12",
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_EVALUATION_KEY", KEY)


@pytest.fixture(scope="module")
def smol(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = located(load_recipe("smol", SMOL), tiny_folder.parent, print).name
    with serving(Path(folder), tmp_path_factory.mktemp("smol") / "log", 256) as server:
        yield server


def rows(
    recipe: Recipe, engine: dict[str, Any], adapters: list[Path], cache: Path, tmp_path: Path
) -> list[tuple[SampleRow, ...]]:
    """Return the rows of the base and of each adapter, of one life of an engine."""
    assert recipe.evaluation is not None
    section = recipe.evaluation.model_copy(
        update={"engine": load_recipe("tiny", [f"evaluation.engine={json.dumps(engine)}"]).evaluation.engine}  # type: ignore[union-attr]
    )  # fmt: skip
    recipe = recipe.model_copy(update={"evaluation": section})
    task = selection_set(recipe)
    place = Accelerator(Box(tmp_path, has_gpu=False), tmp_path / "lock", "scores")
    bench = Bench(recipe, [task], 0, cache, place, print)
    try:
        return [
            bench.score(path, str(path), task, lambda _: None).rows for path in (None, *adapters)
        ]
    finally:
        bench.close()


def compared(recipe: Recipe, server: Server, cache: Path, tmp_path: Path, size: float) -> None:
    """Assert that all engines give equal rows, which differ between the four models."""
    model, _ = load_base(recipe, cache, print)
    adapters = random_adapters(model, tmp_path, size)
    by_model = rows(recipe, {"kind": "hf"}, adapters, cache, tmp_path)
    assert len({str(each) for each in by_model}) == 4
    assert rows(recipe, VLLM, adapters, cache, tmp_path) == by_model
    name = located(recipe, cache, print).name
    served = {"kind": "openai", "base_url": f"{server.wait()}/v1", "model": name}
    assert rows(recipe, served, adapters, cache, tmp_path) == by_model


def test_greedy_rows_of_tiny_are_equal_token_for_token(
    tiny_server: Server, tiny_folder: Path, tmp_path: Path
) -> None:
    short = ("evaluation.selection_problems=24", "evaluation.sampling.max_new_tokens=40")
    recipe = load_recipe("tiny", [*short, "evaluation.sampling.temperature=0"])
    compared(recipe, tiny_server, tiny_folder.parent, tmp_path, 0.1)


def test_greedy_rows_of_smol_are_equal_token_for_token(
    smol: Server, tiny_folder: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("smol", [*SMOL, "evaluation.sampling.temperature=0"])
    compared(recipe, smol, tiny_folder.parent, tmp_path, 0.1)


def test_seeded_prompts_that_fill_more_than_a_step_are_answered(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """4,096 tokens are vLLM's step: a prompt at its end was cut, and the engine died."""
    recipe, sampling = load_recipe("tiny"), load_recipe("smol").evaluation.sampling  # type: ignore[union-attr]
    section = load_recipe("tiny", [f"evaluation.engine={json.dumps(VLLM)}"]).evaluation
    assert section is not None
    asked = [Request(f"<|user|>{number:02}" + "1" * 200, number) for number in range(30)]
    short = sampling.model_copy(update={"max_new_tokens": 3})
    with closing(
        engine_of(recipe, section.engine, tiny_folder.parent, place=lambda _: "cpu", say=print)
    ) as engine:
        first, again = (
            sorted(
                (one for each in engine.completions(None, asked, short) for one in each),
                key=lambda one: one[0],
            )
            for _ in range(2)
        )
    assert [place for place, _ in first] == list(range(30))
    assert first == again
    assert len({one.token_ids for _, one in first}) > 1


def test_vllm_says_why_it_cannot_start_or_generate(tiny_folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    with pytest.raises(Exception, match=r"vLLM cannot be started: .*"):
        rows(recipe, {**VLLM, "max_model_len": 10**6}, [], tiny_folder.parent, tmp_path)
    with pytest.raises(AdapterError, match=r"holds no adapter_model\.safetensors"):
        rows(recipe, VLLM, [tmp_path], tiny_folder.parent, tmp_path)
