"""What is sampled of a step: few, short, spread, and quick to take."""

import time
from collections import defaultdict, deque
from typing import Any

from cusp.trl.samples import ALL_OF_FIRST_POINTS, HEAD, TAIL, Sampler, kept_by, shortened


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
    found = kept_by(Kept(48), 2)
    assert [prompt for prompt, _, _ in found] == ["0?", "24?"]
    assert found[0][2] == {"format": 0.5, "none": None}
    assert len(kept_by(Kept(1), 8)) == 1


def test_a_trainer_that_keeps_nothing_has_no_samples() -> None:
    for trainer in (None, object(), Kept(0)):
        assert kept_by(trainer, 2) == []


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
        kept_by(trainer, 2)
        taken.append(time.perf_counter() - began)
    assert sorted(taken)[len(taken) // 2] < 0.001


def test_a_long_run_has_a_bounded_number_of_samples() -> None:
    trainer, run = Kept(8), Taken()
    sampler = Sampler(trainer, 2)
    for step in range(ALL_OF_FIRST_POINTS + 1_000):
        sampler.send(run, step)  # type: ignore[arg-type]
    assert len(run.steps) == 2 * (ALL_OF_FIRST_POINTS + 100)


def test_a_trainer_that_was_deleted_is_not_held() -> None:
    trainer, run = Kept(8), Taken()
    sampler = Sampler(trainer, 2)
    del trainer
    sampler.send(run, 1)  # type: ignore[arg-type]
    assert run.steps == []
