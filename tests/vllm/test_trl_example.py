"""docs/examples/trl_grpo_vllm.py beside a real monitor: TRL's own way to vLLM, watched, and ended by a real stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"
# TRL 1.16 loads merged weights into the engine. vLLM's build for the CPU packs linear layers once, unless it is
# told not to; on a GPU the example is run as it is.
ON_A_CPU = f"""
import runpy, sys
from vllm.model_executor.layers.linear import LinearBase
LinearBase._cpu_skip_gemm_dispatch = True
sys.path.insert(0, {str(EXAMPLES)!r})
runpy.run_path({str(EXAMPLES / "trl_grpo_vllm.py")!r}, run_name="__main__")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[str]:
    """The address of a monitor from the ordinary environment: vLLM's own has no database."""
    port = free_port()
    command = [str(ROOT / ".venv/bin/python"), "-m", "cusp", "serve", "--port", str(port)]
    process = subprocess.Popen([*command, "--dir", str(tmp_path / "monitor")], cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(lambda: asked(f"{url}/readyz") is not None, 60)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def test_a_trl_training_with_its_own_vllm_is_watched_and_stopped(
    monitor: str, tmp_path: Path
) -> None:
    environment = {
        "CUSP_MODE": "online",  # the other tests of this process train offline
        "CUSP_URL": monitor,
        "CUSP_DIR": str(tmp_path / "cusp"),
        "PYTHONPATH": str(ROOT),
        "MASTER_PORT": str(free_port()),  # TRL's own may be another training's
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    said = tmp_path / "said.txt"
    with said.open("w") as output:  # a pipe that nobody reads would stop it after some 60 steps
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", ON_A_CPU],
            env={**os.environ, **environment},
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    runs = tmp_path / "cusp" / "runs"
    try:
        wait(lambda: process.poll() is not None or runs.is_dir(), 240)
        assert process.poll() is None
        url = f"{monitor}/api/v1/runs/{next(runs.iterdir()).name}"
        wait(lambda: process.poll() is not None or ((asked(url) or {}).get("step") or 0) >= 6, 240)
        asked(f"{url}/stop", {"reason": "seen enough"})
        process.wait(120)
    except (AssertionError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGABRT)  # faulthandler writes where each thread is
        process.wait(20)
        pytest.fail(f"{asked(f'{monitor}/api/v1/runs')}\n{said.read_text()[-12_000:]}")
    finally:
        process.kill()
    out = said.read_text()
    assert process.returncode == 0, out[-3000:]
    run = asked(url)
    assert run is not None
    assert run["status"] == "stopped"
    assert f"kept: step {run['kept']['step']}" in out
    assert set(run["roles"]["made_of"]) >= {"format", "accuracy", "length", "logp_difference"}


def asked(url: str, body: dict[str, str] | None = None) -> dict[str, Any] | None:
    """Return the answer; None while there is none."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(
            Request(url, data, {"Content-Type": "application/json"}), timeout=20
        ) as answer:
            return dict(json.load(answer))
    except OSError:
        return None


def wait(until: Callable[[], bool], most_s: float) -> None:
    end = time.monotonic() + most_s
    while not until():
        assert time.monotonic() < end, f"not after {most_s} s"
        time.sleep(0.5)
