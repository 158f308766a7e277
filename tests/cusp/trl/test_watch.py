"""What a person tells `cusp.watch`, on a real transformers trainer: bad arguments are sentences."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainingArguments

import cusp
from cusp.errors import CuspError

pytestmark = pytest.mark.filterwarnings("ignore:::(transformers|torch|accelerate)")


class Line(torch.nn.Module):
    """The smallest model that a trainer trains."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.slope * x - labels) ** 2).mean()}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what makes a trainer; nothing is sent."""
    monkeypatch.setenv("CUSP_MODE", "offline")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))

    def trainer(**chosen: Any) -> Any:
        arguments = {"max_steps": 3, "logging_steps": 1, "save_steps": 2, **chosen}
        return Trainer(
            model=Line(),
            args=TrainingArguments(
                output_dir=str(tmp_path / "out"),
                **{"use_cpu": True, "disable_tqdm": True, "report_to": [], **arguments},
            ),
            train_dataset=[{"x": torch.ones(1), "labels": torch.ones(1)}] * 16,
        )

    return trainer


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"policy": "stpo"}, "'stop', 'propose' or 'watch'"),
        ({"policy": 3}, "policy is 3"),
        ({"roles": {"fromat": ["a"]}}, "'fromat' is no role"),
        ({"roles": ["format"]}, "roles is a list"),
        ({"roles": {"format": 7}}, "roles['format'] is 7"),
        ({"roles": {"format": [7]}}, "roles holds 7"),
        ({"roles": {"format": "a", "accuracy": ["a"]}}, "a key has one role"),
        ({"roles": {"format": [str(n) for n in range(65)]}}, "65 keys"),
        ({"name": 7}, "name is 7"),
        ({"project": ""}, "project is ''"),
        ({"tags": "one"}, "tags is 'one'"),
        ({"config": ["lr"]}, "config is a list"),
        ({"metadata": {"save_steps": 5}}, "metadata is a dict"),
        ({"samples": -1}, "samples is -1"),
        ({"samples": True}, "samples is True"),
        ({"evaluate": "math500"}, "evaluate is 'math500'"),
    ],
)
def test_an_argument_that_means_nothing_is_a_sentence_before_training(
    make: Callable[..., Any], given: dict[str, Any], said: str
) -> None:
    trainer = make()
    before = list(trainer.callback_handler.callbacks)
    with pytest.raises(CuspError) as error:
        cusp.watch(trainer, **given)
    assert said in str(error.value)
    assert trainer.callback_handler.callbacks == before


def test_what_is_no_trainer_is_named() -> None:
    with pytest.raises(CuspError, match="not dict"):
        cusp.watch({})


def test_a_trainer_without_reward_functions_is_watched_as_well(
    make: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make(run_name="a line")
    watched = cusp.watch(trainer, roles={"format": "my/metric"})
    assert (watched.run, watched.kept, watched.url) == (None, None, None)
    trainer.train()
    assert watched.run is not None
    assert watched.run.name == "a line"
    assert watched.kept is None
    assert watched.run.last_checkpoint is not None
    assert watched.run.last_checkpoint.step == 3
    printed = capsys.readouterr().out
    assert "my/metric" in printed
    assert "cusp sync" in printed


@pytest.mark.parametrize("name", ["same", "./same/", None])
def test_a_run_name_that_is_only_the_output_folder_is_none(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = make()
    trainer.args.output_dir, trainer.args.run_name = "same", name
    watched = cusp.watch(trainer)
    trainer.train()
    assert watched.run is not None
    assert watched.run.name.startswith("run-")


def test_the_name_given_goes_before_the_environment_and_that_before_run_name(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_RUN_NAME", "of the shell")
    for given, name in ((None, "of the shell"), ("mine", "mine")):
        trainer = make(run_name="of the arguments")
        watched = cusp.watch(trainer, name=given)
        trainer.train()
        assert watched.run is not None
        assert watched.run.name == name


def test_a_fault_of_ours_is_logged_once_and_the_training_goes_on(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("our own mistake")

    monkeypatch.setattr("cusp.trl.samples.Sampler.send", broken)
    trainer = make(max_steps=5)
    watched = cusp.watch(trainer)
    with caplog.at_level(logging.ERROR, logger="cusp"):
        trainer.train()
    assert trainer.state.global_step == 5
    assert watched.run is not None
    assert watched.run.finished
    said = [record for record in caplog.records if "fault of Cusp" in record.message]
    assert len(said) == 1
    assert said[0].exc_info is not None


@pytest.mark.parametrize("broken", ["reward_weights", "reward_func_names", "_logs"])
def test_a_trainer_of_an_unknown_kind_costs_nothing_but_what_cannot_be_read(
    make: Callable[..., Any], broken: str
) -> None:
    trainer = make()
    setattr(trainer, broken, object())
    cusp.watch(trainer)
    trainer.train()
    assert trainer.state.global_step == 3


def test_a_callback_on_a_trainer_that_has_one_does_nothing(
    make: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make()
    for _ in range(2):
        trainer.add_callback(cusp.CuspCallback())
    trainer.train()
    assert len(list((tmp_path / "cusp" / "runs").iterdir())) == 1
    assert "twice" in caplog.text


def test_the_state_of_a_watched_training_is_saved_as_before(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = make(max_steps=2)
    cusp.watch(trainer)
    trainer.train()
    assert "_cusp" not in (tmp_path / "out/checkpoint-2/trainer_state.json").read_text()


def test_evaluate_is_called_on_the_last_checkpoint_and_an_error_in_it_costs_nothing(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, called = make(), []

    def evaluate(path: Path) -> list[int]:
        called.append(path)
        return [1, 0, 1, 1]

    watched = cusp.watch(trainer, evaluate=evaluate)
    trainer.train()
    assert [path.name for path in called] == ["checkpoint-3"]
    assert watched.scores == {3: [1.0, 0.0, 1.0, 1.0]}
    assert "solves 0.750 of 4 problems" in capsys.readouterr().out

    trainer = make()
    watched = cusp.watch(trainer, evaluate=lambda path: [7])
    trainer.train()
    assert watched.scores == {}
    assert "failed" in caplog.text
