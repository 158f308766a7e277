"""Checkpoints: complete or not there, pinned for good, found only below their root."""

from pathlib import Path

import pytest

from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints import paths
from cusp.checkpoints.manifest import CheckpointError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint-40"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    (path / "adapter_config.json").write_text("{}")
    return path


def test_a_checkpoint_verifies_after_its_manifest_is_written(saved: Path) -> None:
    manifest = manifest_checkpoints.write_manifest(saved, 40)
    assert manifest_checkpoints.verify(saved) == manifest
    assert manifest.step == 40
    assert set(manifest.files) == {"adapter_model.safetensors", "adapter_config.json"}


def test_a_flipped_bit_is_found(saved: Path) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    (saved / "adapter_model.safetensors").write_bytes(b"weightz" * 100)
    with pytest.raises(CheckpointError, match="has changed"):
        manifest_checkpoints.verify(saved)


def test_a_missing_file_is_found(saved: Path) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    (saved / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match="missing"):
        manifest_checkpoints.verify(saved)
    assert not manifest_checkpoints.is_complete(saved)


def test_a_directory_without_manifest_is_not_the_latest(saved: Path) -> None:
    manifest_checkpoints.write_manifest(saved, 40)
    (saved.parent / "checkpoint-50").mkdir()
    assert paths.latest(saved.parent) == saved


def test_an_empty_directory_cannot_be_registered(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no files"):
        manifest_checkpoints.write_manifest(tmp_path, 1)


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x", "", "a\0b", "nowhere"])
def test_a_path_that_leads_out_of_the_root_is_refused(saved: Path, path: str) -> None:
    with pytest.raises(CheckpointError):
        paths.resolve(saved.parent, path)


def test_a_symbolic_link_is_refused(saved: Path) -> None:
    (saved.parent / "link").symlink_to(saved)
    with pytest.raises(CheckpointError, match="symbolic link"):
        paths.resolve(saved.parent, "link")
    assert paths.resolve(saved.parent, "checkpoint-40") == saved
