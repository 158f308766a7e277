"""The `cusp` command: help with examples, JSON, and errors as one sentence."""

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cusp.cli.app import app
from cusp.cli.demo.processes import free_port
from cusp.cli.show import kept_checkpoint
from tests.conftest import MonitorProcess
from tests.waiting import wait_until

COMMANDS = [
    "demo",
    "serve",
    "train",
    "worker",
    "sync",
    "runs",
    "show",
    "stop",
    "promote",
    "pin",
    "check",
]


def cusp_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "cusp", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


TOKEN_COMMANDS = [["token", name] for name in ("create", "list", "revoke")]
WEBHOOK_COMMANDS = [["webhook", name] for name in ("add", "list", "test", "retry", "remove")]
RUNS_COMMANDS = [["runs", name] for name in ("delete", "restore", "purge")]


@pytest.mark.parametrize(
    "command",
    [
        [],
        *[[name] for name in COMMANDS],
        ["db", "upgrade"],
        *TOKEN_COMMANDS,
        *WEBHOOK_COMMANDS,
        *RUNS_COMMANDS,
    ],
)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert not command or "Example" in result.output


def test_no_monitor_is_one_sentence_with_the_way_out() -> None:
    result = cusp_command("runs", CUSP_URL="http://127.0.0.1:9")
    assert result.returncode == 2
    assert "start one with `cusp serve`" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = cusp_command("serve", "--port", port, "--dir", str(tmp_path))
    assert result.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unwritable_data_folder_is_named_with_the_way_out() -> None:
    result = cusp_command("serve", "--port", "0", "--dir", "/proc/nowhere")
    assert result.returncode == 2
    assert "/proc/nowhere" in result.stderr
    assert "CUSP_DIR" in result.stderr
    assert "Traceback" not in result.stderr


def test_listening_beyond_loopback_without_a_token_is_refused(tmp_path: Path) -> None:
    result = cusp_command("serve", "--host", "0.0.0.0", "--port", "0", "--dir", str(tmp_path))
    assert result.returncode == 2
    assert "CUSP_TOKEN" in result.stderr


def test_an_unknown_recipe_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    result = cusp_command("train", "tiny", "grpo.learning_rat=1", CUSP_DIR=str(tmp_path))
    assert result.returncode == 2
    assert "learning_rat" in result.stderr
    assert "learning_rate" in result.stderr
    assert "Traceback" not in result.stderr


def test_runs_are_listed_shown_and_acted_on(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cusp

    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    run = cusp.init("p", "first")
    path = run.root / "checkpoint-3"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"x")
    run.log({"reward": 1.0}, 3)
    run.checkpoint(path, 3)
    run.settle()
    assert run.finish()
    invoke = CliRunner().invoke
    assert "first" in invoke(app, ["runs"]).output
    listed = json.loads(invoke(app, ["runs", "--json"]).output)
    assert [one["id"] for one in listed["runs"]] == [run.id]
    assert (listed["total"], listed["next"]) == (1, None)
    assert "checkpoints" in invoke(app, ["show", "first"]).output
    assert "production now points at step 3" in invoke(app, ["promote", "first", "3"]).output
    shown = json.loads(invoke(app, ["show", run.id[-8:], "--json"]).output)
    assert shown["checkpoint_list"][0]["aliases"] == ["production"]
    missing = cusp_command("promote", "first", "4", CUSP_URL=monitor_process.url)
    assert "no checkpoint of step 4; there are 3" in missing.stderr
    unknown = cusp_command("show", "nothing", CUSP_URL=monitor_process.url)
    assert "no run is called 'nothing'" in unknown.stderr


def test_show_says_why_a_run_ended(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cusp

    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    with contextlib.suppress(RuntimeError), cusp.init("p", "broken") as run:
        run.log({"reward": 1.0}, 3)
        raise RuntimeError("[no] memory")
    wait_until(lambda: monitor_process.get(f"/runs/{run.id}")["status"] == "failed", 20)
    lines = CliRunner().invoke(app, ["show", "broken"]).output.splitlines()
    assert "failed: RuntimeError: [no] memory" in lines


def test_the_list_calls_the_same_checkpoint_kept_as_the_dashboard() -> None:
    before, best = {"id": "A", "step": 20}, {"id": "B", "step": 30}
    assert kept_checkpoint({"pre-transition": before, "best": best}) == before
    assert kept_checkpoint({"best": best}) == best
    assert kept_checkpoint({"production": best}) == {}


def test_a_token_is_made_listed_and_revoked_from_the_command_line(tmp_path: Path) -> None:
    key = "the-bootstrap-token-of-a-test"
    monitor = MonitorProcess(tmp_path, free_port(0), token=key)
    monitor.start()
    try:
        there = {"CUSP_URL": monitor.url, "CUSP_TOKEN": key}
        made = json.loads(
            cusp_command("token", "create", "box 7", "--scope", "read", "--json", **there).stdout
        )
        own = {**there, "CUSP_TOKEN": made["token"]}
        assert cusp_command("runs", **own).returncode == 0
        refused = cusp_command("token", "list", **own)
        assert (refused.returncode, "needs the scope 'admin'" in refused.stderr) == (2, True)
        listed = json.loads(cusp_command("token", "list", "--json", **there).stdout)
        assert [(one["name"], one["scopes"]) for one in listed] == [("box 7", ["read"])]
        assert cusp_command("token", "revoke", made["id"], **there).returncode == 0
        revoked = cusp_command("runs", **own).stderr
        assert revoked == (
            f"cusp: the monitor at {monitor.url} refuses the token; set CUSP_TOKEN to one it knows\n"
        )
        without = cusp_command("runs", **{**own, "CUSP_TOKEN": ""}).stderr
        assert without == (
            f"cusp: a token is needed at {monitor.url}: set CUSP_TOKEN, or CUSP_TOKEN_FILE to a file that"
            " holds it (`make env` writes .secrets/cusp_token)\n"
        )
        page = cusp_command("runs", **{**there, "CUSP_URL": f"{monitor.url}/runs"}).stderr
        assert page.startswith(f"cusp: nothing is at {monitor.url}/runs/api/v1/runs")
        assert "without the path of a page" in page
    finally:
        monitor.kill()
