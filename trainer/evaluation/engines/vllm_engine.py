"""vLLM for an evaluation: an engine in a process of its own on each visible GPU, or one on the CPU.

The base model is loaded once and adapters are swapped under a new number each, never merged. A process gives all
its memory back when it ends, and takes no other with it when it fails.
"""

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cusp.process import interpreter, parent
from cusp.process.installed import pip_install
from trainer.evaluation.engines.base_model import BaseModel
from trainer.evaluation.engines.completion import (
    EngineError,
    Finished,
    Request,
    completion_of,
    prompt_ids,
)
from trainer.recipe import Sampling, VllmEngine
from trainer.rollouts import platform

NOT_INSTALLED = (
    "the recipe's evaluation generates with vLLM, which is not installed; install it with"
    f" {pip_install('trainer', 'vllm')}, or give evaluation.engine={{kind: hf}} (slower)"
)
END_S = 30.0
LOG_END = 2_000  # characters of a log that may hold the reason


class VllmProcesses:
    """An engine of one base model, shared out over processes; started at the first request."""

    def __init__(
        self, options: VllmEngine, base: BaseModel, rank: int, gpus: Sequence[str], logs: Path
    ) -> None:
        """`rank` is that of the largest adapter; `gpus` are names for CUDA_VISIBLE_DEVICES, none for the CPU."""
        os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its list of ranks that vLLM serves
        if not platform.installed():
            raise EngineError(NOT_INSTALLED)
        self._options, self._base, self._rank = options, base, rank
        self._gpus, self._logs = gpus, logs
        self._processes: list[_Process] = []
        self._numbers: dict[Path, int] = {}

    @property
    def tokenizer(self) -> Any:
        return self._base.tokenizer

    def completions(
        self, adapter: Path | None, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[Finished]:
        """Yield completions as they finish; each process generates every n-th."""
        named = None
        if adapter is not None:
            self._rank = max(self._rank, self._base.check(adapter, merged=False))
            named = self._named(adapter)
        processes = self._started()
        prompts = prompt_ids(requests, self.tokenizer)
        rows = [
            [n, ids, one.seed] for n, (ids, one) in enumerate(zip(prompts, requests, strict=True))
        ]
        order = {
            "adapter": named,
            "sampling": sampling.model_dump(),
            "ends": sorted(self._base.ends),
        }
        shares = [rows[number :: len(processes)] for number in range(len(processes))]
        whole = False
        try:
            for done in _answered(processes, order, shares):
                yield [(n, completion_of(ids, reason, self.tokenizer)) for n, ids, reason in done]
            whole = True
        finally:
            if not whole:  # what they still generate is asked for by nobody
                self.close()

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()
        self._processes = []

    def _named(self, adapter: Path) -> list[object]:
        """Return [name, number, folder]: a folder has one number for the life of the engine."""
        number = self._numbers.setdefault(adapter, len(self._numbers) + 1)
        return [f"{adapter.name}-{number}", number, str(adapter.resolve())]

    def _started(self) -> list["_Process"]:
        """Return the processes, started anew if an adapter has a higher rank than they were made for."""
        from trl.experimental.async_grpo.async_grpo_trainer import round_lora_rank

        rank = round_lora_rank(self._rank)
        if self._processes and self._processes[0].rank != rank:
            self.close()
        if not self._processes:
            options = {
                "model": self._base.name,
                "revision": self._base.revision,
                "dtype": self._base.dtype,
                "max_model_len": self._options.max_model_len,
                "gpu_memory_utilization": self._options.gpu_memory_utilization,
                "skip_tokenizer_init": True,
                "enable_lora": True,
                "max_lora_rank": rank,
                "max_loras": 1,
                "max_cpu_loras": 2,
            }
            self._logs.mkdir(parents=True, exist_ok=True)
            gpus: Sequence[str | None] = self._gpus or [None]
            try:
                for gpu in gpus:
                    self._processes.append(_Process(options, rank, gpu, self._logs))
                for process in self._processes:
                    process.wait_until_ready()
            except BaseException:
                self.close()
                raise
        return self._processes


def _answered(
    processes: Sequence["_Process"], order: dict[str, Any], shares: Sequence[list[Any]]
) -> Iterator[list[Any]]:
    """Yield answers of all processes as they come; EngineError once one of them ends."""
    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    working = 0
    for process, share in zip(processes, shares, strict=True):
        if share:
            process.ask({**order, "requests": share}, answers)
            working += 1
    while working:
        answer = answers.get()
        if "error" in answer:
            raise EngineError(f"vLLM ended: {answer['error']}")
        working -= "end" in answer
        if "done" in answer:
            yield answer["done"]


class _Process:
    """One engine process, and a thread that reads its answers."""

    def __init__(self, options: dict[str, Any], rank: int, gpu: str | None, logs: Path) -> None:
        self.rank = rank
        self._log = logs / f"vllm-{os.getpid()}-{gpu or 'cpu'}.log"
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                interpreter.module("trainer.evaluation.engines.vllm_process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=interpreter.environment(parent.bound_to_this_process(), visible),
            )
        self._send(options)

    def wait_until_ready(self) -> None:
        """Return once the engine has started; EngineError with its reason if it does not."""
        answer = self._answer()
        if "ready" not in answer:
            raise EngineError(f"vLLM cannot be started: {answer['error']}")

    def ask(self, order: dict[str, Any], answers: "queue.SimpleQueue[dict[str, Any]]") -> None:
        """Give an order; its answers come into the queue, an `end` or an `error` last."""
        self._send(order)

        def read() -> None:
            while True:
                answer = self._answer()
                answers.put(answer)
                if "done" not in answer:
                    return

        threading.Thread(target=read, name="cusp-vllm", daemon=True).start()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(OSError):  # an order that it never read
                    pipe.close()
        self._log.unlink(missing_ok=True)

    def _send(self, content: dict[str, Any]) -> None:
        try:
            print(json.dumps(content), file=self._process.stdin, flush=True)
        except OSError as error:
            raise EngineError(f"vLLM ended: {self._last_words()}") from error

    def _answer(self) -> dict[str, Any]:
        stdout = self._process.stdout
        try:
            line = stdout.readline() if stdout is not None else ""
            return dict(json.loads(line))
        except (OSError, ValueError):
            return {"error": self._last_words()}

    def _last_words(self) -> str:
        text = (
            self._log.read_bytes()[-LOG_END:].decode(errors="replace") if self._log.exists() else ""
        )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"exit status {self._process.poll()}, {lines[-1] if lines else 'nothing was said'}"
