"""When a stop comes at an awkward moment: real TRL trainings of eight steps, a real monitor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

import cusp
from cusp.checkpoints import manifest, paths
from cusp.client import Client, ClientError
from cusp.settings import Settings
from monitor.settings import MonitorConfig
from tests.e2e.plain_trl import Bench
from tests.serving import Served, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours
Json = dict[str, Any]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("monitor") / "cusp.db"))) as served:
        yield served


class Person:
    """Asks for stops, and waits each time until the trainer has heard of it."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.callback = cusp.CuspCallback(policy=cusp.Policy(evaluate="none"))
        self.client = Client(Settings(url=served.url))
        self.folder = folder
        self.asked: list[str] = []

    @property
    def run(self) -> cusp.Run:
        assert self.callback.run is not None
        return self.callback.run

    def stop(self, mode: str = "graceful") -> None:
        wait_until(
            lambda: self.run.id in [run["id"] for run in self.client.get("/runs")["runs"]], 20
        )
        command = self.client.post(f"/runs/{self.run.id}/stop", {"reason": "now", "mode": mode})
        self.asked.append(command["id"])
        wait_until(
            lambda: command["id"] in [one.command_id for one in self.run.open_commands()], 20
        )

    def outcome(self) -> tuple[str, int, list[tuple[str, int | None]], list[int]]:
        """Return the run's status and step, state and step of each stop, the steps saved whole."""
        run = self.client.get(f"/runs/{self.run.id}")
        stops = [(c["state"], c["step"]) for c in run["commands"] if c["kind"] == "stop"]
        saved = [manifest.verify(path).step for path in paths.found_in(self.folder)]
        return run["status"], run["step"], stops, saved


@pytest.fixture
def person(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    monkeypatch.setenv("CUSP_URL", served.url)
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    person = Person(served, tmp_path / "out")
    yield person
    person.client.close()


class During(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Calls `act` once, in the named event at that step."""

    def __init__(self, event: str, step: int, act: Callable[[], None]) -> None:
        self.done = False

        def once(args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == step and not self.done:
                self.done = True
                act()

        setattr(self, event, once)


def test_a_stop_asked_before_the_training_begins_ends_it_after_its_first_step(
    bench: Bench, person: Person
) -> None:
    early = During("on_train_begin", 0, person.stop)
    bench.trainer(person.folder, [person.callback, early]).train()
    assert person.outcome() == ("stopped", 1, [("done", 1)], [1])


def test_a_stop_during_a_save_leaves_that_checkpoint_whole_and_ends_with_the_next_step(
    bench: Bench, person: Person
) -> None:
    trainer = bench.trainer(person.folder, [person.callback])
    save = trainer._save_optimizer_and_scheduler

    def slowly(folder: str) -> None:
        if not person.asked:  # the adapter is on disk by now, the optimizer is not
            person.stop()
        save(folder)

    trainer._save_optimizer_and_scheduler = slowly
    trainer.train()
    assert person.outcome() == ("stopped", 5, [("done", 5)], [4, 5])


def test_a_stop_during_an_evaluation_lets_it_finish_and_ends_with_the_next_step(
    bench: Bench, person: Person
) -> None:
    arguments: Json = {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 6}
    within = During("on_prediction_step", 2, person.stop)
    trainer = bench.trainer(person.folder, [person.callback, within], **arguments)
    trainer.train()
    evaluated = [entry["step"] for entry in trainer.state.log_history if "eval_reward" in entry]
    assert evaluated == [2], "the evaluation it came in was not cut off"
    assert person.outcome() == ("stopped", 3, [("done", 3)], [3])


def test_after_save_waits_for_the_regular_save_unless_somebody_is_in_a_hurry(
    bench: Bench, person: Person
) -> None:
    patient = During("on_step_begin", 1, lambda: person.stop("after_save"))
    trainer = bench.trainer(person.folder, [person.callback, patient])
    trainer.train()
    assert person.outcome() == ("stopped", 4, [("done", 4)], [4])
    with pytest.raises(ClientError, match="stopped already"):
        person.stop()

    hurry = During("on_step_begin", 5, person.stop)
    patient = During("on_step_begin", 4, lambda: person.stop("after_save"))
    trainer = bench.trainer(person.folder, [person.callback, patient, hurry])
    trainer.train(resume_from_checkpoint=str(person.folder / "checkpoint-4"))
    assert person.outcome() == ("stopped", 6, [("done", 4), ("done", 6), ("done", 6)], [4, 6])


def test_a_stop_asked_twice_is_one_and_one_that_finds_the_training_over_is_refused(
    bench: Bench, person: Person
) -> None:
    def twice() -> None:
        person.stop()
        person.stop()

    late = During("on_log", 8, twice)
    bench.trainer(person.folder, [person.callback, late]).train()
    assert len(set(person.asked)) == 1
    assert person.outcome() == ("finished", 8, [("refused", 8)], [4, 8])
