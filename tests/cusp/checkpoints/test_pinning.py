"""A kept checkpoint shares nothing with what trainers save over, and is what it says or is not there."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from cusp.checkpoints import branches, copies, paths, pinning
from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints.manifest import CheckpointError
from cusp.ids import new_id

RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint-40"
    (path / "deeper").mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    (path / "deeper" / "adapter_config.json").write_text("{}")
    return path


def keep(path: Path) -> Path:
    return pinning.pin(path, pinning.folder(path.parent, RUN))


def over(path: Path, content: bytes = b"others") -> None:
    """Save over a file as safetensors does: the same inode is opened and emptied."""
    inode = (path / "adapter_model.safetensors").stat().st_ino
    with (path / "adapter_model.safetensors").open("wb") as file:
        file.write(content)
    assert (path / "adapter_model.safetensors").stat().st_ino == inode


def test_it_outlives_rotation_and_being_saved_over_in_place(saved: Path) -> None:
    manifest = manifest_checkpoints.write_manifest(saved, 40, run_id=RUN)
    place = keep(saved)
    assert place == saved.parent / "pinned" / RUN / f"checkpoint-40-{manifest.sha256[:16]}"
    assert keep(saved) == place
    assert pinning.pin(place, place.parent) == place
    over(saved)
    shutil.rmtree(saved)
    assert manifest_checkpoints.verify(place) == manifest
    assert manifest.run_id == RUN
    for file in manifest_checkpoints.files_of(place):
        assert file.stat().st_nlink == 1
        assert file.stat().st_mode & 0o222 == 0, "read-only"


def test_each_save_of_a_step_has_a_place_of_its_own(saved: Path) -> None:
    first = manifest_checkpoints.write_manifest(saved, 40, run_id=RUN)
    one = keep(saved)
    over(saved)
    second = manifest_checkpoints.write_manifest(saved, 40, run_id=RUN)
    two = keep(saved)
    assert first.checkpoint_id != second.checkpoint_id
    assert [manifest_checkpoints.verify(place) for place in (one, two)] == [first, second]


def test_what_was_saved_over_since_it_was_registered_is_not_kept_under_its_name(
    saved: Path,
) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    over(saved)
    with pytest.raises(CheckpointError, match="has changed"):
        keep(saved)
    assert not list((saved.parent / "pinned" / RUN).iterdir()), "no part is left"


def test_a_kept_one_that_was_broken_is_made_anew_from_a_whole_one_and_nothing_is_deleted(
    saved: Path,
) -> None:
    manifest = manifest_checkpoints.write_manifest(saved, 40)
    place = keep(saved)
    (place / "adapter_model.safetensors").chmod(0o644)
    (place / "adapter_model.safetensors").write_bytes(b"flipped")
    assert keep(saved) == place
    assert manifest_checkpoints.verify(place) == manifest
    (broken,) = place.parent.glob(".*broken*")
    assert (broken / "adapter_model.safetensors").read_bytes() == b"flipped"
    (place / "adapter_model.safetensors").chmod(0o644)
    (place / "adapter_model.safetensors").write_bytes(b"flipped")
    with pytest.raises(CheckpointError, match="has changed"):
        pinning.pin(place, place.parent)


def test_a_full_disk_keeps_it_by_hard_links_and_says_so(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(source: Path, target: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    manifest = manifest_checkpoints.write_manifest(saved, 40)
    monkeypatch.setattr(pinning, "copy", full)
    place = keep(saved)
    assert "no room for a copy" in caplog.text
    shutil.rmtree(saved)
    assert manifest_checkpoints.verify(place) == manifest
    assert (place / "adapter_model.safetensors").stat().st_mode & 0o200, (
        "a trainer must write to it"
    )


def test_a_copy_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x")
    with pytest.raises(OSError, match="File exists"):
        copies.copy(tmp_path / "there", tmp_path / "there")
    with pytest.raises(FileNotFoundError):
        copies.copy(tmp_path / "nowhere", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_name_that_is_too_long_and_a_folder_that_is_a_file_are_errors_with_the_path(
    saved: Path,
) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    with pytest.raises(OSError, match="too long"):
        pinning.pin(saved, saved.parent / ("x" * 300))
    (saved.parent / "pinned").write_text("a file")
    with pytest.raises(OSError, match="pinned"):
        keep(saved)


def test_a_file_that_became_a_link_is_never_followed(saved: Path, tmp_path: Path) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    (saved / "adapter_model.safetensors").rename(tmp_path / "outside")
    (saved / "adapter_model.safetensors").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="symbolic link"):
        keep(saved)


def test_a_manifest_that_names_files_elsewhere_is_none(saved: Path) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    text = (saved / "manifest.json").read_text()
    (saved / "manifest.json").write_text(text.replace("adapter_model", "../../adapter_model"))
    with pytest.raises(CheckpointError, match="no file of the checkpoint"):
        manifest_checkpoints.read_manifest(saved)


def test_a_fresh_run_in_a_used_folder_leaves_the_others_manifests_and_splits_shared_files(
    tmp_path: Path,
) -> None:
    manifests = {}
    for step, run_id in ((10, RUN), (20, new_id())):
        path = tmp_path / f"checkpoint-{step}"
        path.mkdir()
        (path / "adapter_model.safetensors").write_bytes(b"weights")
        os.link(path / "adapter_model.safetensors", tmp_path / f"held-{step}")
        manifests[step] = manifest_checkpoints.write_manifest(path, step, run_id=run_id)
    branches.abandon_later(tmp_path, RUN, after=0)
    assert not manifest_checkpoints.is_complete(tmp_path / "checkpoint-10"), (
        "its own branch is given up"
    )
    assert manifest_checkpoints.last_registered(tmp_path / "checkpoint-10") == manifests[10]
    assert manifest_checkpoints.verify(tmp_path / "checkpoint-20") == manifests[20], (
        "another run's is not"
    )
    assert paths.latest(tmp_path) == tmp_path / "checkpoint-20"
    assert paths.latest(tmp_path, RUN) is None
    for step in (10, 20):
        over(tmp_path / f"checkpoint-{step}")
        assert (tmp_path / f"held-{step}").read_bytes() == b"weights"


def test_registering_the_same_files_again_is_the_same_checkpoint(saved: Path) -> None:
    first = manifest_checkpoints.write_manifest(saved, 40, run_id=RUN)
    assert manifest_checkpoints.write_manifest(saved, 40, run_id=RUN) == first
    assert manifest_checkpoints.write_manifest(saved, 50, run_id=RUN) != first


@pytest.mark.parametrize(("umask", "file", "kept"), [(0o022, 0o644, 0o444), (0o077, 0o600, 0o400)])
def test_weights_are_as_readable_as_their_folder(
    tmp_path: Path, umask: int, file: int, kept: int
) -> None:
    """safetensors makes files of mode 0600; another container reads them as another user."""
    before = os.umask(umask)
    try:
        path = tmp_path / "checkpoint-40"
        path.mkdir()
        weights = path / "adapter_model.safetensors"
        weights.touch(mode=0o600)
        copies.let_others_read(path)
        assert weights.stat().st_mode & 0o777 == file
        manifest_checkpoints.write_manifest(path, 40, run_id=RUN)
        assert {f.stat().st_mode & 0o777 for f in keep(path).iterdir()} == {kept}
    finally:
        os.umask(before)
