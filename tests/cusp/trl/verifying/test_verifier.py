"""Which verifications a training takes on: by its user's function only where one process may call it."""

from pathlib import Path

import pytest
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import DistributedType  # type: ignore[import-untyped]

import cusp
from cusp.protocol.run import RunMetadata
from cusp.trl.verifying.verifier import CommandVerifier
from tests.cusp.test_commands import answers, command, hear, save, sent


def right(path: Path) -> list[float]:
    return [1.0]


def spread(monkeypatch: pytest.MonkeyPatch, kind: DistributedType, processes: int) -> None:
    """Let accelerate tell of such a training; its sharding itself needs several GPUs."""
    PartialState()
    monkeypatch.setitem(PartialState._shared_state, "distributed_type", kind)
    monkeypatch.setitem(PartialState._shared_state, "num_processes", processes)


@pytest.mark.parametrize("kind", [DistributedType.DEEPSPEED, DistributedType.FSDP])
def test_a_function_is_not_called_on_one_rank_of_a_sharded_training(
    run: cusp.Run, kind: DistributedType, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread(monkeypatch, kind, 2)
    verifier, asked = CommandVerifier(), command("verify", 4)
    save(run, 4)
    hear(run, asked)
    assert verifier.announced(RunMetadata(), right).verifies is None
    assert verifier.proposed(run, right) is None
    (refused,) = answers(run, asked)
    assert f"the weights of this training are spread over 2 ({kind.value})" in refused["reason"]


@pytest.mark.parametrize(
    ("kind", "processes"),
    [
        (DistributedType.NO, 1),
        (DistributedType.MULTI_GPU, 2),
        (DistributedType.FSDP, 1),
    ],
)
def test_it_is_called_where_a_process_has_the_whole_weights(
    run: cusp.Run, kind: DistributedType, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread(monkeypatch, kind, processes)
    verifier, asked = CommandVerifier(), command("verify", 4)
    save(run, 4)
    hear(run, asked)
    proposed = verifier.proposed(run, right)
    assert proposed is not None
    assert proposed[0] == asked


def test_nothing_is_taken_on_while_a_stop_waits(run: cusp.Run) -> None:
    verifier = CommandVerifier()
    save(run, 4)
    hear(run, command("verify", 4), command("stop"))
    assert verifier.proposed(run, right) is None


def test_another_function_scores_the_earlier_checkpoints_anew(run: cusp.Run) -> None:
    def harder(path: Path) -> list[float]:
        return [0.0]

    verifier = CommandVerifier()
    saved = {step: save(run, step) for step in (4, 6, 8)}
    first, second = command("verify", 4), command("verify", 4)
    for asked, step, evaluate in ((first, 6, right), (second, 8, harder)):
        hear(run, asked)
        assert verifier.proposed(run, evaluate) is not None
        verifier.await_save()
        verifier.at_save(run, step, saved[step], evaluate)
    scores = [each["scores"] for each in sent(run, "verification")]
    assert scores == [{"4": [1.0], "6": [1.0]}, {"4": [0.0], "8": [0.0]}]
