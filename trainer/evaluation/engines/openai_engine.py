"""Completions from a server with the OpenAI protocol that loads adapters while it runs, such as `vllm serve`.

Prompts are sent as tokens, so that no server adds any of its own. Its key is in CUSP_EVALUATION_KEY.
"""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import httpx

from trainer.evaluation.engines.base_model import BaseModel
from trainer.evaluation.engines.completion import (
    Completion,
    EngineError,
    Finished,
    Request,
    completion_of,
    prompt_ids,
)
from trainer.recipe import OpenAIEngine, Sampling
from trainer.rollouts.server_key import bearer
from trainer.rollouts.server_words import server_words

KEY = "CUSP_EVALUATION_KEY"
AT_ONCE = 128  # requests; `vllm serve` runs at most 256 at once by default (--max-num-seqs)
TIMEOUT = httpx.Timeout(10.0, read=3600.0, pool=None)  # a completion of 32k tokens takes minutes
TRIES, WAIT_S = 6, 0.5  # of a request that a restart or a busy server refuses: 15 s in all
RESTARTS = 3  # of the server that one request outlasts; more is a fault that repeats
START = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve MODEL --enable-lora --max-lora-rank {rank}"
_NUMBERS = itertools.count(1)


class OpenAIServer:
    """A server of one base model, which is told to load each adapter from its folder."""

    def __init__(self, options: OpenAIEngine, base: BaseModel) -> None:
        """EngineError when no server answers there or it has another model."""
        self._base, self._model, self._url = base, options.model, options.base_url.rstrip("/")
        self._url = self._url.removesuffix("/v1")
        headers = bearer(self._url, KEY)
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT)
        self._adapter: tuple[Path, str] | None = None
        self._loads = 0  # how often an adapter was loaded
        self._restoring = threading.Lock()
        try:
            self._check()
        except BaseException:
            self._http.close()
            raise

    @property
    def tokenizer(self) -> Any:
        return self._base.tokenizer

    def completions(
        self, adapter: Path | None, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[Finished]:
        """Yield completions as they finish, `sampling.batch_size` in flight, and 128 at most."""
        model = self._model if adapter is None else self._served(adapter)
        prompts = prompt_ids(requests, self.tokenizer)
        pool = ThreadPoolExecutor(min(sampling.batch_size, AT_ONCE), "cusp-openai")
        try:
            futures = {
                pool.submit(self._one, model, prompt, each.seed, sampling): place
                for place, (prompt, each) in enumerate(zip(prompts, requests, strict=True))
            }
            for future in as_completed(futures):
                yield [(futures[future], future.result())]
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Have the server forget the adapter; one that is gone already is no error."""
        with contextlib.suppress(EngineError):
            self._forget()
        self._http.close()

    def _check(self) -> None:
        answer = self._accepted(self._sent("GET", "models"), "models")
        names = [str(each.get("id")) for each in self._read(answer).get("data", [])]
        if self._model not in names:
            raise EngineError(
                f"the server at {self._url} has no model {self._model!r}, it has {', '.join(names)};"
                " give the name as evaluation.engine.model"
            )

    def _served(self, adapter: Path) -> str:
        """Return the name under which the server has an adapter, loaded now unless it is the last one."""
        if self._adapter is not None and self._adapter[0] == adapter:
            return self._adapter[1]
        rank = self._base.check(adapter, merged=False)
        self._forget()
        # A name is used once: vLLM keys its prefix cache on it.
        name = f"{adapter.name}-{os.getpid()}-{time.time_ns():x}-{next(_NUMBERS)}"
        self._load(adapter, name, rank)
        self._adapter = (adapter, name)
        return name

    def _load(self, adapter: Path, name: str, rank: int) -> None:
        content = {"lora_name": name, "lora_path": str(adapter.resolve())}
        answer = self._sent("POST", "load_lora_adapter", content)
        self._loads += 1
        if answer.is_error:
            raise EngineError(
                f"the server at {self._url} did not load the adapter {adapter} ({server_words(answer)}); it must"
                f" see that folder under the same path, and be started with `{START.format(rank=rank)}`"
            )

    def _restore(self, loads: int) -> None:
        """Load the adapter once more, under its name, unless another request has since there were so many `loads`.

        A server that was restarted has lost it.
        """
        with self._restoring:
            if self._adapter is not None and self._loads == loads:
                adapter, name = self._adapter
                self._load(adapter, name, self._base.check(adapter, merged=False))

    def _forget(self) -> None:
        if self._adapter is not None:
            self._sent("POST", "unload_lora_adapter", {"lora_name": self._adapter[1]})
            self._adapter = None

    def _one(self, model: str, prompt: list[int], seed: int, sampling: Sampling) -> Completion:
        content = {
            "model": model,
            "prompt": prompt,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
            # Of vLLM; a server fills what is missing from the model's own defaults.
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(self._base.ends),
            "return_token_ids": True,
        }
        answer = self._accepted(self._completed(content), "completions")
        try:
            found = self._read(answer)
            choice = found["choices"][0]
            reason = str(choice.get("finish_reason"))
            if ids := choice.get("token_ids"):
                return completion_of(ids, reason, self.tokenizer)
            tokens = int(found["usage"]["completion_tokens"])
            return Completion(choice["text"], tokens, "length" if reason == "length" else "stop")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise self._unreadable(answer) from error

    def _completed(self, content: dict[str, Any]) -> httpx.Response:
        """Return the answer to a request; a server that was restarted gets the adapter again, RESTARTS times."""
        for left in reversed(range(RESTARTS + 1)):
            loads = self._loads
            answer = self._sent("POST", "completions", content)
            if answer.status_code != 404 or content["model"] == self._model or not left:
                break
            self._restore(loads)
        return answer

    def _accepted(self, answer: httpx.Response, what: str) -> httpx.Response:
        """Return the answer; EngineError for a refusal."""
        if not answer.is_error:
            return answer
        of_key = f"; its key is read from {KEY}, for this machine and the hosts in CUSP_VLLM_HOSTS"
        raise EngineError(
            f"the server at {self._url} refused {what} with {answer.status_code} ({server_words(answer)})"
            f"{of_key if answer.status_code in (401, 403) else ''}"
        )

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the object of an answer; EngineError for anything else."""
        try:
            found = answer.json()
        except ValueError as error:
            raise self._unreadable(answer) from error
        if not isinstance(found, dict):
            raise self._unreadable(answer)
        return found

    def _unreadable(self, answer: httpx.Response) -> EngineError:
        return EngineError(
            f"the server at {self._url} answered {answer.text.strip()[:80]!r}, which is not of the OpenAI protocol;"
            " give the address of one that has it as evaluation.engine.base_url"
        )

    def _sent(self, how: str, what: str, content: dict[str, Any] | None = None) -> httpx.Response:
        """Return the answer, asked for again where the server is busy or away for a moment."""
        for number in range(TRIES):
            last = number == TRIES - 1
            try:
                answer = self._http.request(how, f"{self._url}/v1/{what}", json=content)
                if last or (answer.status_code < 500 and answer.status_code != 429):
                    return answer
            except httpx.ReadTimeout as error:  # asked again, it would generate the same as long
                raise EngineError(
                    f"the server at {self._url} took longer than {TIMEOUT.read} s for {what}; ask for fewer tokens"
                    " (max_new_tokens), or for fewer completions at once (batch_size)"
                ) from error
            except httpx.TransportError as error:
                if last:
                    raise EngineError(
                        f"no server answers at {self._url} ({type(error).__name__}); start one, or give its"
                        " address as evaluation.engine.base_url"
                    ) from error
            time.sleep(WAIT_S * 2**number)
        raise AssertionError("the last try returns or raises")
