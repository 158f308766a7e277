"""What a run's checkpoints take: bounded by a budget, refused in a sentence before the disk is full."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cusp
from cusp.checkpoints import disk, rotation
from cusp.checkpoints.room import Room
from cusp.settings import SettingsError, from_environment

KIB = 1 << 10
Usage = namedtuple("Usage", ("total", "used", "free"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    monkeypatch.setenv("CUSP_MODE", "offline")
    monkeypatch.setenv("CUSP_DISK_BUDGET", "40K")
    return cusp.init("p", "n", root=tmp_path / "out")


def save(run: cusp.Run, step: int, size: int = 4 * KIB) -> Path:
    path = run.root / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(step.to_bytes(4, "big") * (size // 4))
    run.checkpoint(path, step)
    assert run.settle()
    return path


def steps(run: cusp.Run) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in run.root.glob("checkpoint-*"))


def test_a_budget_holds_and_leaves_the_newest_and_ever_sparser_older_ones(run: cusp.Run) -> None:
    for step in range(10, 310, 10):
        save(run, step)
        assert disk.size_of(run.root) <= 40 * KIB
        assert run.save_refusal() is None, "the next one always has room"
    left = steps(run)
    assert left[-3:] == [280, 290, 300]
    assert left[0] < 150, "an early one is still there"
    assert len(left) >= 6


def test_a_suspicion_keeps_the_last_before_it_and_all_after_and_then_refuses(run: cusp.Run) -> None:
    for step in range(10, 60, 10):
        save(run, step)
    run._suspect(35)  # what the monitor's reply does
    for step in range(60, 130, 5):
        if run.save_refusal() is None:
            save(run, step)
    assert steps(run)[:3] == [30, 40, 50]
    why = run.save_refusal()
    assert why is not None
    assert "CUSP_DISK_BUDGET" in why
    run._suspect(None)
    before = steps(run)
    save(run, 200)
    assert len(steps(run)) < len(before) + 1
    assert run.save_refusal() is None


@pytest.fixture(params=["held", "the trainer's own"])
def full(request: pytest.FixtureRequest, run: cusp.Run) -> cusp.Run:
    """A run of which a save was refused for the budget, by what a suspicion needs or by what is held."""
    if request.param == "held":
        run.hold()
    for step in range(10, 60, 10):
        save(run, step)
    run._suspect(5)  # what the monitor's reply does
    for step in range(60, 130, 5):
        if run.save_refusal() is None:
            path = save(run, step)
            if request.param == "held":  # what `save_total_limit=1` does
                for older in {*run.root.glob("checkpoint-*")} - {path}:
                    shutil.rmtree(older)
        assert run.settle()
    return run


def test_a_refusal_ends_with_its_reason_though_nothing_is_saved_meanwhile(full: cusp.Run) -> None:
    full._suspect(None)
    full.save_refusal()  # may still be one: room is made in the background
    assert full.settle()
    assert full.save_refusal() is None
    save(full, 300)
    assert full.settle()
    assert full.save_refusal() is None


def test_what_people_delete_makes_room_again(run: cusp.Run) -> None:
    paths = [save(run, step) for step in range(10, 60, 10)]
    run._suspect(5)
    paths += [save(run, step) for step in range(60, 100, 10)]
    assert run.save_refusal() is not None
    assert run.settle()
    assert run.save_refusal() is not None, "none of them can be spared"
    for path in paths[:4]:
        shutil.rmtree(path)
    assert run.settle()
    run.save_refusal()
    assert run.settle()
    assert run.save_refusal() is None


def test_what_is_pinned_or_let_go_counts_at_once(run: cusp.Run) -> None:
    save(run, 10, size=16 * KIB)
    assert run.save_refusal() is None
    run.keep(10)
    assert run.settle()
    assert run.save_refusal() is not None


def test_what_is_pinned_or_of_another_run_or_the_best_is_never_deleted(run: cusp.Run) -> None:
    save(run, 10)
    run.keep(10)
    other = run.root / "checkpoint-15"
    other.mkdir()
    (other / "notes.txt").write_text("not registered by this run")
    for step in range(20, 200, 10):
        path = run.root / f"checkpoint-{step}"
        path.mkdir()
        (path / "adapter_model.safetensors").write_bytes(bytes(4 * KIB))
        (path / "trainer_state.json").write_text('{"best_model_checkpoint": "out/checkpoint-30"}')
        run.checkpoint(path, step)
        assert run.settle()
    assert run.kept_steps[10].is_dir()
    assert other.is_dir()
    assert 30 in steps(run)
    assert 40 not in steps(run)


def test_a_full_disk_is_refused_with_the_way_out_and_room_again_is_room(
    run: cusp.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 10, size=8 * KIB)
    run._shelf.room.budget = None
    assert run.save_refusal() is None
    left = disk.SPARE + 8 * KIB  # 5 % more is expected of the next
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, left))
    why = run.save_refusal()
    assert why is not None
    assert "make room, or set CUSP_DISK_BUDGET" in why
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, left + KIB))
    assert run.save_refusal() is None


def test_a_first_save_is_estimated_from_the_trained_parameters(run: cusp.Run) -> None:
    run.expect_saves(disk.expected(10_000, weights_only=False))
    why = run.save_refusal()
    assert why is not None
    assert "takes 0.12 MiB" in why
    run.expect_saves(disk.expected(1_000, weights_only=False))
    assert run.save_refusal() is None


def test_a_disk_that_cannot_be_asked_has_room(tmp_path: Path) -> None:
    def fails(_: object) -> None:
        raise OSError("no such device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", fails)
        assert disk.refusal(tmp_path, 1 << 60, 0, None) is None


@pytest.mark.parametrize("value", ["much", "-1G", "0", "5 GB GB", "1e9"])
def test_a_budget_that_is_no_size_is_named(value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CUSP_DISK_BUDGET is .* use a size like 50GiB"):
        from_environment({"CUSP_DISK_BUDGET": value, "CUSP_DIR": str(tmp_path)})


@given(
    own=st.dictionaries(st.integers(1, 2_000), st.integers(1, 100), min_size=1, max_size=60),
    budget=st.integers(1, 4_000),
    since=st.none() | st.integers(0, 2_000),
)
def test_the_newest_and_what_a_suspicion_needs_stay_whatever_the_budget(
    own: dict[int, int], budget: int, since: int | None
) -> None:
    room = Room(budget)
    room.since, room.used, room.first = since, sum(own.values()), 100
    left = own.keys() - set(room.too_many(own))
    assert max(own) in left
    assert rotation.needed(own, since) & own.keys() <= left
    if since is None and len(left) > 1:
        assert sum(own[step] for step in left) + room.needed <= budget
