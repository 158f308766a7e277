"""The zoo's files: what is written is read back, by problem and sample, and nothing is unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from benchmarks.zoo import storage

RNG = np.random.default_rng(3)
STEPS = (0, 10, 20)


def scored() -> dict[str, dict[int, storage.Bits]]:
    sizes = {"selection": (7, 2), "report": (11, 2)}
    return {name: {s: RNG.random(size) < 0.5 for s in STEPS} for name, size in sizes.items()}


def written(file: Path, problems: dict[str, dict[int, storage.Bits]]) -> None:
    rows: list[dict[str, float]] = [{"step": step} for step in range(21)]
    for row in rows[1:]:
        row |= {"format_reward": 0.5, "rewards/format_reward/std": 0.1}
    for split, found in problems.items():
        for step, bits in found.items():
            rows[step][split] = float(bits.mean())
    storage.write(file, rows, problems)


def test_scores_by_problem_are_read_back(tmp_path: Path) -> None:
    file, problems = tmp_path / "tiny_s0.csv.gz", scored()
    written(file, problems)
    case = storage.read(file)
    for split, found in problems.items():
        assert case.problems[split].keys() == found.keys()
        assert all(np.array_equal(bits, case.problems[split][s]) for s, bits in found.items())
    means = {step: float(bits.mean()) for step, bits in problems["selection"].items()}
    assert case.selection == pytest.approx(means, abs=1e-6)
    assert len(case.points) == 20
    assert case.points[0] == (1, {"format_reward": 0.5, "rewards/format_reward/std": 0.1})


def test_a_run_without_scores_by_problem_has_none(tmp_path: Path) -> None:
    file = tmp_path / "tiny_s0.csv.gz"
    written(file, scored())
    storage.problems_file(file).unlink()
    assert storage.read(file).problems == {}


def test_a_bit_a_sample_is_stored(tmp_path: Path) -> None:
    many = {
        split: {step: RNG.random((500, 2)) < 0.5 for step in range(21)} for split in storage.SPLITS
    }
    storage.write_problems(tmp_path / "many.problems.npz", many)
    assert (tmp_path / "many.problems.npz").stat().st_size < 2 * 21 * 1000 / 8 + 2_000


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny_s0.csv.gz"
    written(file, scored())
    storage.problems_file(file).write_bytes(pickle.dumps({"steps": [0]}))
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.read(file)


def test_what_trl_logs_has_the_zoos_names() -> None:
    logs = {"rewards/format_reward/mean": 0.5, "rewards/format_reward/std": 0.1, "epoch": 1.0}
    named = storage.logged(logs)
    assert named["format_reward"] == 0.5
    assert named["rewards/format_reward/std"] == 0.1


def test_each_zoo_is_read_with_its_own_runs() -> None:
    old = storage.load("head16")
    assert len(old) == 135
    assert all(not case.problems for case in old)
    assert storage.current() in storage.ZOOS
