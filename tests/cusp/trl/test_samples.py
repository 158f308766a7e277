"""What is sampled of a step: few, short, spread, and quick to take."""

import time
from collections import defaultdict, deque
from typing import Any

from cusp.protocol.run import RunMetadata
from cusp.trl.samples import (
    ALL_OF_FIRST_POINTS,
    HEAD,
    TAIL,
    Generation,
    Sampler,
    generation_of,
    sampled,
    shortened,
)
from cusp.trl.trainer_reading import TrainerReading


class Kept:
    """What TRL's trainers keep of their last generation."""

    def __init__(self, count: int, length: int = 100) -> None:
        self._logs: dict[str, Any] = {
            "prompt": deque([{"role": "user", "content": f"{n}?"}] for n in range(count)),
            "completion": deque("x" * length + str(n) for n in range(count)),
            "rewards": defaultdict(deque, format=deque([0.5] * count), none=deque([None] * count)),
        }


class Taken:
    """Takes what a run is sent."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def sample(self, step: int, *_: object) -> None:
        self.steps.append(step)


def test_samples_are_spread_over_the_prompts_of_the_generation() -> None:
    found = sampled(generation_of(Kept(48)), 2)
    assert [prompt for prompt, _, _ in found] == ["0?", "24?"]
    assert found[0][2] == {"format": 0.5, "none": None}
    assert len(sampled(generation_of(Kept(1)), 8)) == 1


def test_a_trainer_that_keeps_nothing_has_no_samples() -> None:
    for trainer in (None, object(), Kept(0)):
        assert sampled(generation_of(trainer), 2) == []


def test_a_generation_stays_what_it_was_when_the_trainer_goes_on() -> None:
    trainer = Kept(4)
    taken = generation_of(trainer)
    trainer._logs["completion"].append("the next one")
    trainer._logs["rewards"]["format"].clear()
    assert len(taken.completions) == 4
    assert taken.rewards["format"] == [0.5] * 4


def test_a_long_text_keeps_its_beginning_and_its_answer() -> None:
    cut = shortened("a" * 50_000 + "b" * 50_000)
    assert len(cut) < HEAD + TAIL + 60
    assert cut.startswith("a" * HEAD)
    assert cut.endswith("b" * TAIL)
    assert "96,000 characters left out" in cut


def test_sampling_costs_less_than_a_millisecond() -> None:
    trainer = Kept(512, length=30_000)
    taken: list[float] = []
    for _ in range(50):
        began = time.perf_counter()
        sampled(generation_of(trainer), 2)
        taken.append(time.perf_counter() - began)
    assert sorted(taken)[len(taken) // 2] < 0.001


def test_a_long_run_has_a_bounded_number_of_samples() -> None:
    generation, run = generation_of(Kept(8)), Taken()
    sampler = Sampler(2)
    for step in range(ALL_OF_FIRST_POINTS + 1_000):
        sampler.send(run, step, generation)  # type: ignore[arg-type]
    assert len(run.steps) == 2 * (ALL_OF_FIRST_POINTS + 100)


def test_a_trainer_that_was_deleted_is_not_held() -> None:
    trainer, reading = Kept(8), TrainerReading(RunMetadata(), {})
    reading.of(trainer, None, {}, 2, None)
    assert len(reading.generation().completions) == 8
    del trainer
    assert reading.generation() == Generation()
