"""What a run cost, computed by hand from hours, tokens and parameters; what is not known is None."""

import pytest

from cusp.protocol.flops import training_flops
from monitor.runs.costs import Training, Work, costs

N, LORA = (
    1_777_088_000,
    36_929_536,
)  # Tina: DeepSeek-R1-Distill-Qwen-1.5B and r 32 on all linear layers
PER_TOKEN = training_flops(N + LORA, LORA, generates=True, recomputes=True)
TINA = Training(
    gpus=2,
    usd_an_hour=1.0,
    parameters=N + LORA,
    flops_per_token=PER_TOKEN,
    seconds=7_200.0,
    step=400,
    tokens=[(100, 1e8), (200, 2e8), (400, 4e8)],
)


def test_a_training_with_lora_and_checkpointing_takes_some_eight_operations_a_parameter() -> None:
    """Generation, forward, backward to the activations and the forward pass again: 2 N each."""
    assert pytest.approx(8 * (N + LORA) + 2 * LORA) == PER_TOKEN
    full = training_flops(N, N, generates=False)
    assert full == 6 * N, "Kaplan et al.: 6 N a token"
    twice = training_flops(N, N, generates=False, passes=2, scored=1)
    assert twice == 14 * N


def test_the_parts_add_up_and_nothing_counts_twice() -> None:
    found = costs(
        TINA,
        [Work(1_800.0, 1e6), Work(1_800.0, 1e6)],
        [Work(360.0, 1e5, within=True), Work(720.0, 1e5)],
        transition=200,
        stopped_of=500,
    )
    assert found["training"] == {
        "gpu_hours": 4.0,
        "usd": 4.0,
        "tokens": 4e8,
        "flops": pytest.approx(4e8 * PER_TOKEN),
    }
    assert found["evaluation"]["usd"] == 1.0, "a job has one GPU"
    assert found["evaluation"]["flops"] == pytest.approx(2e6 * 2 * (N + LORA))
    assert found["verification"]["usd"] == pytest.approx(0.4), "both GPUs wait for one within"
    assert found["total"]["usd"] == pytest.approx(5.2), "the training's hours hold the first one"
    assert found["total"]["tokens"] == pytest.approx(4e8 + 2e6 + 2e5)
    assert found["per_step"]["usd"] == pytest.approx(0.01)
    assert (found["at_transition"]["usd"], found["at_transition"]["tokens"]) == (2.0, 2e8)
    assert found["saved"]["usd"] == pytest.approx(1.0)
    assert found["saved"]["flops"] == pytest.approx(1e8 * PER_TOKEN)


def test_without_price_gpus_tokens_or_parameters_nothing_is_made_up() -> None:
    nothing = Training(0, None, None, None, 60.0, None)
    found = costs(nothing, [Work(60.0, 10.0)], [], transition=None, stopped_of=None)
    assert set(found["total"].values()) == {None}
    assert (found["per_step"], found["saved"], found["at_transition"]) == (None, None, None)
    free = costs(Training(2, None, N, PER_TOKEN, 3_600.0, 10), [], [], transition=5, stopped_of=20)
    assert (free["training"]["gpu_hours"], free["training"]["usd"]) == (2.0, None)
    assert free["saved"] == {"gpu_hours": 2.0, "usd": None, "tokens": None, "flops": None}


def test_a_price_of_0_is_a_price_and_no_step_yet_is_no_discount() -> None:
    given = Training(2, 0.0, N, PER_TOKEN, 3_600.0, 10)
    found = costs(given, [], [Work(60.0, 1.0)], transition=5, stopped_of=20)
    parts = ("training", "evaluation", "verification", "total", "per_step", "at_transition")
    assert [found[part]["usd"] for part in (*parts, "saved")] == [0.0] * 7
    assert Training(2, 1.5, N, None, 3_600.0, None).spent().usd == 3.0


def test_a_training_beyond_its_steps_saved_nothing_rather_than_less() -> None:
    saved = TINA.saved(300)
    assert saved is not None
    assert saved.usd == 0.0
