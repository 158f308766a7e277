"""Migrations begin with an empty database; all other tests with one of this version's schema."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import create_database, drop_database

_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "cusp.db")
        return
    server, name = request.getfixturevalue("postgres"), f"cusp_{os.getpid()}_empty_{next(_numbers)}"
    yield create_database(server, name)
    drop_database(server, name)
