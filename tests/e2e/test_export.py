"""A checkpoint is exported by a worker that the monitor asked, and by the command on the box."""

import json
import threading
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cusp.checkpoints import manifest
from cusp.cli.app import app
from cusp.client import Client, ClientError
from cusp.ids import new_id
from cusp.settings import Settings
from tests.conftest import MonitorProcess
from tests.small import SMALL
from trainer.jobs.client import MonitorClient
from trainer.recipe_loader import load_recipe
from trainer.train import train
from trainer.worker import Worker

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours


def test_an_export_asked_of_the_monitor_and_one_by_hand(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "box"))
    run_id, box = new_id(), tmp_path / "box"
    train(load_recipe("tiny", SMALL), box / "runs" / run_id, run_id=run_id, progress=lambda _: None)
    said: list[str] = []
    with Client(Settings(url=monitor_process.url)) as client:
        last = client.get(f"/runs/{run_id}/checkpoints")["checkpoints"][-1]
        asked = client.post(f"/checkpoints/{last['id']}/export", {"merged": True})
        assert (asked["kind"], asked["state"]) == ("export", "queued")
        assert asked["exported"]["merged"] is True
        assert asked["exported"]["folder"] is None
        stopping = threading.Event()
        monitor = MonitorClient(monitor_process.url, None, stopping)
        worker = Worker(monitor, box, stopping, said.append, "w")
        for _ in range(2):  # the second time it is there already
            while any(one.kind == "export" for one in monitor.waiting()):
                worker.work(once=True)
            client.post(f"/checkpoints/{last['id']}/export", {"merged": True})
        worker.work(exit_when_idle=True)
        done = [j for j in client.get("/jobs", run_id=run_id)["jobs"] if j["kind"] == "export"]
        assert {job["state"] for job in done} == {"done"}, said
        made = done[0]["exported"]
        assert {json.dumps(job["exported"]) for job in done} == {json.dumps(made)}
        into = Path(made["folder"])
        assert into.parent == box / "runs" / run_id / "exports"
        assert manifest.verify(into).sha256 == made["sha256"]
        assert 0 <= made["lost"] < 0.01
        page = httpx.get(f"{monitor_process.url}/runs/{run_id}").text
        assert made["folder"] in page
        card = (into / "README.md").read_text()
        assert f"tiny (`{run_id}`)" in card
        assert "## Verdict" in card
        lost = client.post(
            f"/checkpoints/{last['id']}/check", {"state": "missing", "sha256": last["sha256"]}
        )
        assert lost["state"] == "missing"
        with pytest.raises(ClientError, match="is missing"):
            client.post(f"/checkpoints/{last['id']}/export")
    monitor.close()
    given = ["export", run_id, "--step", "2", "--to", str(tmp_path / "mine"), "--json"]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    assert manifest.verify(tmp_path / "mine").step == 2
    assert str(tmp_path / "mine") in answer.output
    with pytest.raises(ClientError, match="no alias 'gone'; its aliases"):
        CliRunner().invoke(
            app, ["export", run_id, "--alias", "gone", "--to", "x"], catch_exceptions=False
        )
