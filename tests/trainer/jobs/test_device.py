"""A job takes no memory of the accelerator beside a living training, and holds one copy of a model at most."""

import dataclasses
import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cusp.ids import new_id
from cusp.process import file_lock
from trainer.box import Box
from trainer.evaluation.selection_set import selection_set
from trainer.jobs.asked_evaluation import pretrained
from trainer.jobs.bench import Accelerator, Bench
from trainer.jobs.run_folder import lock_of
from trainer.recipe import Recipe
from trainer.train import train
from trainer.training.hardware import SMALL, DeviceBusy, device_for

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Path]:
    """The lock of a training that is alive."""
    held = file_lock.take(tmp_path / "lock")
    assert held is not None
    yield tmp_path / "lock"
    held.close()


def device(
    parameters: int, training: Path, *, has_gpu: bool = True
) -> tuple[str, file_lock.Lock | None]:
    box = Box(training.parent, has_gpu=has_gpu, environment={})
    return device_for(parameters, training, box, "evaluates")


def test_beside_a_training_a_small_model_is_scored_on_the_cpu(training: Path) -> None:
    assert device(SMALL - 1, training) == ("cpu", None)


def test_beside_a_training_a_large_one_is_refused_in_a_sentence(training: Path) -> None:
    with pytest.raises(DeviceBusy, match=r"trains the run .* a model of 7\.6e9 parameters"):
        device(7_600_000_000, training)


def test_without_an_accelerator_there_is_nothing_to_share(training: Path) -> None:
    assert device(7_600_000_000, training, has_gpu=False) == ("cpu", None)


def test_once_the_training_has_ended_the_accelerator_is_taken(tmp_path: Path) -> None:
    held = file_lock.take(tmp_path / "lock")
    assert held is not None
    held.close()
    for name in ("lock", "none"):
        chosen, box = device(SMALL, tmp_path / name)
        assert chosen == "cuda"
        assert box is not None
        box.close()


def test_beside_another_runs_training_a_small_model_is_scored_on_the_cpu_and_a_large_one_waits(
    tmp_path: Path,
) -> None:
    box, told = Box(tmp_path, has_gpu=True, environment={}), []
    other = box.take("trains run 01J")
    assert other is not None
    assert device(SMALL - 1, tmp_path / "none") == ("cpu", None)
    with pytest.raises(DeviceBusy, match=r"process \d+ \(trains run 01J, since .* has this box"):
        device(SMALL, tmp_path / "none")

    def tell(words: str) -> None:
        told.append(words)
        other.close()

    assert device_for(SMALL, tmp_path / "none", box, "evaluates", wait=tell)[0] == "cuda"
    assert told == [words for words in told if "(trains run 01J, since" in words] != []


def test_a_bench_lets_the_former_model_go_before_the_next_and_all_at_its_end(
    small: Callable[..., Recipe], cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.evaluation.engines import transformers_engine

    run_id, recipe = new_id(), small()
    root = cusp_dir / "runs" / run_id
    train(recipe, root, run_id=run_id, progress=lambda _: None)
    copies: list[weakref.ref[torch.nn.Module]] = []
    alive: list[int] = []
    build = transformers_engine.with_adapter

    def counted(*arguments: Any) -> torch.nn.Module:
        gc.collect()
        alive.append(sum(copy() is not None for copy in copies))
        model: torch.nn.Module = build(*arguments)
        copies.append(weakref.ref(model))
        return model

    monkeypatch.setattr(transformers_engine, "with_adapter", counted)
    task = selection_set(recipe)
    place = Accelerator(Box(cusp_dir, has_gpu=False), lock_of(cusp_dir, run_id), "scores")
    bench = Bench(recipe, [task], recipe.seed, cusp_dir / "cache", place, lambda _: None)
    for step in (2, 4, 2):
        bench.part(root / f"checkpoint-{step}", task, range(2), lambda: None)
    assert alive == [0, 0, 0]
    bench.close()
    assert all(copy() is None for copy in copies)


def test_kept_rows_are_those_of_the_weights_and_of_any_batch(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"one")
    recipe = small().model_copy(update={"model": pretrained(str(base))})
    task = selection_set(small())

    def key(**sampling: object) -> str:
        place = Accelerator(Box(tmp_path, has_gpu=False), tmp_path / "lock", "evaluates")
        bench = Bench(recipe, [task], 0, tmp_path, place, lambda _: None)
        drawn = task.sampling.model_copy(update=sampling)
        return bench._key(None, dataclasses.replace(task, sampling=drawn))

    before = key()
    assert key(batch_size=1, samples_per_problem=7) == before
    assert key(temperature=0.5) != before
    (base / "model.safetensors").write_bytes(b"other")
    assert key() != before
