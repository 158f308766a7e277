"""A recipe that trains in a second: a smaller base model, hardly taught, on few problems."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small import SMALL
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe


@pytest.fixture
def cusp_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Cusp folder of a test; the base model in its cache is shared between tests."""
    folder = tmp_path_factory.getbasetemp() / "cusp"
    monkeypatch.setenv("CUSP_DIR", str(folder))
    monkeypatch.setenv("CUSP_MODE", "offline")
    for name in ("CUSP_RUN_ID", "CUSP_TOKEN", "CUSP_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def small(cusp_dir: Path) -> Callable[..., Recipe]:
    """Returns the small recipe with further overrides."""
    return lambda *overrides: load_recipe("tiny", [*SMALL, *overrides])
