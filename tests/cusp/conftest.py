"""A run without a monitor, for the tests of the SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import cusp


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cusp.Run]:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    run = cusp.init("p", "n")
    yield run
    run.finish()
