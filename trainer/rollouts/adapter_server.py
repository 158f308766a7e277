"""A `vllm serve` that generates for a training: the adapters loaded into it, by HTTP."""

from collections import deque
from pathlib import Path
from typing import Any

import httpx
from trl.experimental.async_grpo.async_grpo_trainer import round_lora_rank
from trl.generation.vllm_client import VLLMClient

from cusp.errors import CuspError
from trainer.rollouts.adapter_folder import AdapterFolders
from trainer.rollouts.server_key import HOSTS, TOKEN, bearer
from trainer.rollouts.server_words import server_words

TIMEOUT_S = 300.0  # to load an adapter: its file, and for the first one the server's warm-up
KEPT = 2  # the adapter in use, and the one before: a server reads a folder late


class ServerError(CuspError, RuntimeError):
    """The vLLM server does not answer or refuses an adapter; the message says how to start it."""


class AdapterServer:
    """Loads adapters into a server under a new name each, and unloads the one before the last."""

    def __init__(self, address: str, timeout_s: float, shared: Path, rank: int) -> None:
        self.address, self._rank = address.rstrip("/"), rank
        self._headers = bearer(self.address)
        try:
            self.client: Any = TokenClient(base_url=self.address, connection_timeout=timeout_s)
        except OSError as error:  # the errors of `requests` are
            raise ServerError(
                f"no vLLM answers at {self.address} after {timeout_s:g} s; start it with"
                f" `{self.start}`, or give its address as grpo.vllm_server_base_url"
            ) from error
        except Exception as error:  # TRL raises a plain one for any answer but 200
            raise ServerError(
                f"the vLLM server at {self.address} does not name its model ({error}); where it was"
                f" started with a key, give the training the same as {TOKEN}, and the name of another"
                f" machine in {HOSTS} as well"
            ) from error
        self.base = str(self.client.model)
        self.folders = AdapterFolders(shared)
        self._loaded: deque[Path] = deque()

    @property
    def start(self) -> str:
        """The command that starts such a server."""
        return (
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve MODEL --enable-lora --max-lora-rank"
            f" {round_lora_rank(self._rank)} --max-loras 2 --logprobs-mode processed_logprobs"
        )

    def load(self, folder: Path) -> None:
        """Load an adapter, generate with it from now on, and unload the one before the last.

        ServerError with the server's own words if it refuses.
        """
        answer = self._post("load_lora_adapter", lora_name=folder.name, lora_path=str(folder))
        if answer.status_code != 200:
            raise ServerError(
                f"the vLLM server at {self.address} did not load the adapter {folder}"
                f" ({answer.status_code}: {server_words(answer)}); it must see that folder under the same"
                f" path, and be started with `{self.start}`"
            )
        self.client.model = folder.name
        self._loaded.append(folder)
        while len(self._loaded) > KEPT:
            self._unload(self._loaded.popleft())

    def close(self) -> None:
        """Unload what is loaded and remove the folders; a server that is gone already is no error."""
        self.client.model = self.base
        while self._loaded:
            try:
                self._unload(self._loaded.popleft())
            except ServerError:
                break
        self.folders.close()

    def _unload(self, folder: Path) -> None:
        self._post("unload_lora_adapter", lora_name=folder.name)
        self.folders.remove([folder])

    def _post(self, what: str, **content: str) -> httpx.Response:
        try:
            return httpx.post(
                f"{self.address}/v1/{what}",
                json=content,
                headers=self._headers,
                timeout=TIMEOUT_S,
            )
        except httpx.HTTPError as error:
            raise ServerError(
                f"the vLLM server at {self.address} does not answer ({type(error).__name__});"
                " start it again and resume the run"
            ) from error


class TokenClient(VLLMClient):  # type: ignore[misc]  # TRL ships no types
    """TRL's client, which also says the server's key."""

    def check_server(self, *arguments: Any, **named: Any) -> None:
        """Wait for the server; called by TRL before the first request that needs the key."""
        self.session.headers.update(bearer(str(self.base_url)))
        super().check_server(*arguments, **named)
