"""`cusp export` gives the hub's token to the libraries, as a base may ask for one."""

from pathlib import Path

import pytest

from cusp.cli.export import export
from cusp.process.secret_files import SecretUnreadable


def test_an_export_reads_the_hubs_token_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SecretUnreadable, match="HF_TOKEN_FILE is"):
        export(str(tmp_path), tmp_path / "to")
