"""A real `vllm serve` on the CPU, and random adapters of its model."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
from peft import LoraConfig, get_peft_model

from trainer.rollouts.server_key import TOKEN

START_S = 240
KEY = "a key that only a test has"


class Server:
    """A server of a model folder in float32, with room for two adapters; `wait` returns its address."""

    def __init__(self, folder: Path, log: Path, length: int) -> None:
        port, self._log = free_port(), log
        self.address = f"http://127.0.0.1:{port}"
        command = [
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder),
            "--dtype", "float32", "--max-model-len", str(length), "--enforce-eager",
            "--max-num-seqs", "48", "--enable-lora", "--max-lora-rank", "32", "--max-loras", "2",
            "--host", "127.0.0.1", "--port", str(port), "--logprobs-mode", "processed_logprobs",
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
            self._process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)

    def wait(self) -> str:
        end = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < end, self._log.read_text()[-3000:]
            time.sleep(0.5)
        return self.address

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)


@contextmanager
def serving(folder: Path, log: Path, length: int) -> Iterator[Server]:
    """Yield a server that has been started and may not answer yet."""
    server = Server(folder, log, length)
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def random_adapters(model: Any, folder: Path, size: float) -> list[Path]:
    """Save three adapters of different rank and modules, which change what the model says."""
    places = []
    for number, (rank, modules) in enumerate(
        [(32, ["q_proj", "v_proj"]), (8, ["up_proj", "down_proj"]), (16, ["k_proj", "o_proj"])], 1
    ):
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=modules, task_type="CAUSAL_LM"
        )
        adapted = get_peft_model(model, config)
        generator = torch.Generator().manual_seed(number)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=size, generator=generator)
        adapted.save_pretrained(folder / f"checkpoint-{number}")
        model = adapted.unload()
        places.append(folder / f"checkpoint-{number}")
    return places
