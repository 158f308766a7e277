"""The script that installs beside a given torch pins it by its metadata, as installers compare with that."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"torch=\$\(\S+ -c '(?P<program>[^']*)'\)")


def test_a_torch_whose_build_is_in_its_version_only_is_pinned_by_its_metadata(
    tmp_path: Path,
) -> None:
    """PyPI's torch for CUDA is 2.13.0 there and says 2.13.0+cu130 of itself."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '2.13.0+cu130'\n")
    info = tmp_path / "torch-2.13.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    (found,) = PINNED.finditer((ROOT / "docker/install.sh").read_text())
    said = subprocess.check_output(
        [sys.executable, "-c", found["program"]],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
    )
    assert said == "2.13.0\n"


def test_what_ci_tests_vllm_with_is_installed_as_the_images_are() -> None:
    assert "sh docker/install.sh" in (ROOT / ".ci/vllm").read_text()
    assert "sh docker/install.sh" in (ROOT / "docker/trainer.Dockerfile").read_text()
