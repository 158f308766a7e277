"""A secret in a file is taken where its variable says nothing."""

from pathlib import Path

import pytest

from cusp import settings
from cusp.process.secret_files import SecretUnreadable, give_to_libraries, secret
from monitor.settings import from_environment


def test_the_variable_comes_before_the_file_and_the_file_before_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-file-0123456789\n")
    given = {"CUSP_TOKEN_FILE": str(file), "CUSP_DIR": str(tmp_path)}
    assert secret("CUSP_TOKEN", given) == "of-the-file-0123456789"
    assert secret("CUSP_TOKEN", {**given, "CUSP_TOKEN": "its own"}) == "its own"
    assert settings.from_environment(given).token == "of-the-file-0123456789"
    assert from_environment(given).token == "of-the-file-0123456789"
    file.write_text("\n")
    assert secret("CUSP_TOKEN", given) is None


def test_a_library_finds_it_in_the_variable(tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("hf_x\n")
    given = {"HF_TOKEN_FILE": str(tmp_path / "hub")}
    give_to_libraries("HF_TOKEN", given)
    assert given["HF_TOKEN"] == "hf_x"


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(SecretUnreadable, match="CUSP_TOKEN_FILE is '/nowhere/x', which cannot be"):
        secret("CUSP_TOKEN", {"CUSP_TOKEN_FILE": "/nowhere/x"})
