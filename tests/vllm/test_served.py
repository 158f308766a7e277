"""A real `vllm serve` that generates for a training with the adapter it is told to load."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.vllm.conftest import Trained
from trainer.rollouts.adapter_server import AdapterServer, ServerError
from trainer.rollouts.measured import MEAN
from trainer.rollouts.server_key import TOKEN, bearer

pytestmark = pytest.mark.filterwarnings("ignore")  # of vLLM, TRL, transformers and torch, not ours

START_S = 240
KEY = "a key that only a test has"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, KEY)


@pytest.fixture(scope="module")
def address(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the embedded model in float32, with room for two adapters."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_folder),
        "--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--max-num-seqs", "48",
        "--enable-lora", "--max-lora-rank", "32", "--max-loras", "2", "--host", "127.0.0.1",
        "--port", str(port), "--logprobs-mode", "processed_logprobs",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        TOKEN: KEY,
    }
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        there = f"http://127.0.0.1:{port}"
        end = time.monotonic() + START_S
        while not _answers(there):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.5)
        yield there
    finally:
        server.terminate()
        server.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False


def models(address: str) -> list[str]:
    return [
        each["id"]
        for each in httpx.get(f"{address}/v1/models", headers=bearer(address)).json()["data"]
    ]


def test_a_server_generates_with_the_adapter_of_each_step_and_forgets_it(
    address: str, trained: Callable[..., Trained]
) -> None:
    before = models(address)
    served = trained(
        "rollouts.sync=adapter", "grpo.vllm_mode=server", f"grpo.vllm_server_base_url={address}",
        "run.stop_at_step=20", "grpo.learning_rate=1e-3",
    )  # fmt: skip
    differences = served.series(MEAN)
    assert len(differences) == 20
    assert max(differences) < 1e-3, differences
    assert served.base["after"] == served.base["before"]
    assert models(address) == before
    assert not list((served.root / "rollouts").iterdir())


def test_what_a_server_refuses_is_a_sentence(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = AdapterServer(address, 1.0, tmp_path, 32)
    with pytest.raises(ServerError, match=r"it must see that folder .* --max-lora-rank 32"):
        server.load(tmp_path / "nothing-here")
    with pytest.raises(ServerError, match=r"no vLLM answers .* grpo\.vllm_server_base_url"):
        AdapterServer(f"http://127.0.0.1:{free_port()}", 0.0, tmp_path, 32)
    monkeypatch.setenv(TOKEN, "another")
    with pytest.raises(ServerError, match=r"401.*give the training the same as VLLM_API_KEY"):
        AdapterServer(address, 1.0, tmp_path, 32)
