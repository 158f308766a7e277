"""What a trainer's rotation deletes is held a while, within bounds, and never in the training's way."""

import itertools
import json
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cusp
from cusp.checkpoints import manifest, rotation


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    monkeypatch.setenv("CUSP_MODE", "offline")


def save(root: Path, step: int, content: bytes = b"weights") -> Path:
    path = root / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(content + str(step).encode())
    (path / "adapter_config.json").write_text("{}")
    (path / "optimizer.pt").write_bytes(b"state" * 100)
    return path


def rotating(root: Path, run_id: str | None = None) -> cusp.Run:
    run = cusp.init("p", "n", root=root, run_id=run_id)
    run.hold()
    return run


def last_words(run: cusp.Run) -> dict[int, tuple[str, str]]:
    """Return by step what the run said last of each checkpoint: its state and path."""
    folder = run.home / "attempts" / run.attempt_id
    lines = [
        line for file in sorted(folder.glob("spool-*")) for line in file.read_text().splitlines()
    ]
    said = [message for message in map(json.loads, lines) if message["kind"] == "checkpoint"]
    return {message["step"]: (message["state"], message["path"]) for message in said}


@given(
    steps=st.sets(st.integers(1, 2_000), min_size=1, max_size=120),
    size=st.integers(1, 1_000),
    most_bytes=st.integers(1, 60_000),
)
def test_the_bounds_are_kept_the_newest_stays_and_the_newest_ones_without_a_gap(
    steps: set[int], size: int, most_bytes: int
) -> None:
    left = steps - set(rotation.evictions(dict.fromkeys(steps, size), most_bytes=most_bytes))
    assert max(steps) in left
    assert len(left) <= rotation.MOST
    assert len(left) == 1 or len(left) * size <= most_bytes
    newest = sorted(steps)[-rotation.NEWEST :]
    assert set(newest) <= left or len(left) * size + size > most_bytes


def test_saving_on_and_on_leaves_a_ladder_whose_gaps_grow_with_age() -> None:
    left: set[int] = set()
    for step in range(5, 5_005, 5):
        left |= {step}
        left -= set(rotation.evictions(dict.fromkeys(left, 1)))
    steps = sorted(left)
    ages = [5_000 - step for step in steps]
    assert ages[0] > 2_000, "something of the beginning is left"
    for older, newer in itertools.pairwise(steps):
        assert newer - older <= max(5, (5_000 - older) * 0.7)


def test_a_checkpoint_that_was_rotated_away_can_be_kept_and_what_is_gone_is_told(
    tmp_path: Path,
) -> None:
    root = tmp_path / "out"
    run = rotating(root)
    for step in (10, 20, 30):
        run.checkpoint(save(root, step), step)
        run.settle()
        shutil.rmtree(root / f"checkpoint-{step - 10}", ignore_errors=True)
    rotation.drop(rotation.folder(root, run.id), 20)
    run.keep([10, 20])
    run.settle()
    assert last_words(run) == {
        10: ("pinned", kept_at(run, 10)),
        20: ("missing", "checkpoint-20"),
        30: ("present", "checkpoint-30"),
    }
    kept = manifest.verify(run.kept_steps[10])
    assert kept.files.keys() == {"adapter_model.safetensors", "adapter_config.json"}
    run.finish()


def kept_at(run: cusp.Run, step: int) -> str:
    """Return the kept checkpoint's path below the root, a place of the run's own."""
    path = run.kept_steps[step].relative_to(run.root).as_posix()
    assert path.startswith(f"pinned/{run.id}/checkpoint-{step}-")
    return path


def saved_and_rotated(run: cusp.Run, root: Path, steps: range) -> None:
    for step in steps:
        run.checkpoint(save(root, step), step)
        run.settle()
        shutil.rmtree(root / f"checkpoint-{step - 1}", ignore_errors=True)


def test_what_must_go_is_told_first_and_can_be_kept_a_while_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command to keep it may have been on its way when the trainer chose to give it up."""
    monkeypatch.setattr(rotation, "MOST", 6)
    monkeypatch.setattr(rotation, "evictions", partial(rotation.evictions, most=6, newest=3))
    root = tmp_path / "out"
    run = rotating(root)
    saved_and_rotated(run, root, range(1, 10))
    gone = [step for step, (state, _) in last_words(run).items() if state == "missing"]
    assert len(gone) >= 2
    run.keep([gone[0]])
    run.settle()
    assert last_words(run)[gone[0]] == ("pinned", kept_at(run, gone[0]))
    assert manifest.verify(run.kept_steps[gone[0]]).step == gone[0]

    monkeypatch.setattr("cusp.checkpoints.registry.GRACE_S", 0.0)
    saved_and_rotated(run, root, range(10, 12))
    run.keep([gone[1]])
    run.settle()
    assert last_words(run)[gone[1]][0] == "missing"
    monkeypatch.setattr("cusp.checkpoints.registry.GRACE_S", 60.0)
    saved_and_rotated(run, root, range(12, 14))
    run.finish()
    assert len(rotation.sizes(rotation.folder(root, run.id))) == 6, (
        "nothing that was given up stays after the run"
    )


def test_the_next_save_may_delete_a_checkpoint_before_it_is_hashed(tmp_path: Path) -> None:
    root = tmp_path / "out"
    run = rotating(root)
    path, hashing = save(root, 10), threading.Event()
    run._shelf._keeper.submit(hashing.wait)  # an earlier checkpoint, large
    run.checkpoint(path, 10)
    shutil.rmtree(path)
    hashing.set()
    run.settle()
    assert last_words(run) == {10: ("present", f"held/{run.id}/checkpoint-10")}
    assert manifest.verify(root / "held" / run.id / "checkpoint-10").step == 10
    run.finish()


@pytest.mark.parametrize("trouble", ["no hard links", "saved over"])
def test_without_hard_links_and_for_a_folder_saved_over_and_over_it_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    root = tmp_path / "out"
    run = rotating(root)
    if trouble == "no hard links":
        monkeypatch.setattr(os, "link", refuse)
        path = save(root, 10)
    else:
        path = save(root, 10).rename(root / "latest")
    run.checkpoint(path, 10)
    run.settle()
    with (path / "adapter_model.safetensors").open("r+b") as file:
        file.write(b"OVERWRITTEN")
    assert manifest.verify(root / "held" / run.id / "checkpoint-10").step == 10
    run.finish()


def test_a_resumed_training_can_keep_what_an_earlier_attempt_held_and_drops_the_abandoned_branch(
    tmp_path: Path,
) -> None:
    root = tmp_path / "out"
    first = rotating(root)
    for step in (10, 20, 30):
        first.checkpoint(save(root, step), step)
    first.settle()
    for step in (10, 30):
        shutil.rmtree(root / f"checkpoint-{step}")
    first.finish("failed", "a crash")
    folder = rotation.folder(root, first.id)
    rotation.reserve(root / "checkpoint-20", folder, 25, copy=False)  # it was killed just then
    second = rotating(root, first.id)
    assert not list(folder.glob(".*"))
    second.log({"reward": 1.0}, 21)
    second.keep([10, 30])
    second.settle()
    assert last_words(second) == {
        10: ("pinned", kept_at(second, 10)),
        20: ("present", "checkpoint-20"),
        30: ("missing", f"held/{first.id}/checkpoint-30"),
    }
    assert rotation.sizes(folder).keys() == {10, 20}
    second.finish()


def test_a_disk_without_room_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "out"
    root.mkdir()
    (root / "held").write_text("a file where the folder should be")
    run = rotating(root)
    run.checkpoint(save(root, 10), 10)
    run.settle()
    assert "could not hold the checkpoint of step 10" in caplog.text
    assert last_words(run)[10] == ("present", "checkpoint-10")
    run.finish()
