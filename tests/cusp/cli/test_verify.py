"""`cusp verify --wait` for a verification that is not told of any more."""

from pathlib import Path

import pytest

import cusp
from cusp.cli.verify import Gone, _again
from cusp.client import Client
from cusp.ids import new_id
from cusp.settings import Settings
from tests.conftest import MonitorProcess


def test_a_verification_that_is_gone_meanwhile_is_a_sentence(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_process.start()
    for name, value in (("DIR", str(tmp_path)), ("URL", monitor_process.url), ("MODE", "online")):
        monkeypatch.setenv(f"CUSP_{name}", value)
    run, gone = cusp.init("p", "n"), new_id()
    assert run.finish()
    with (
        Client(Settings(url=monitor_process.url)) as client,
        pytest.raises(Gone, match=f"{gone} is no longer among those of run {run.id}"),
    ):
        _again(client, run.id, gone)
