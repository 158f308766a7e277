"""The process of a vLLM engine: reads orders as lines of JSON, writes the answers as they finish.

`python -m trainer.evaluation.engines.vllm_process` with the arguments of `vllm.LLM` as JSON on the first line. An
order is `{"adapter": [name, number, folder] | null, "sampling": {...}, "ends": [...], "requests": [[place, tokens,
seed], ...]}`; its lines are `{"done": [[place, tokens, reason], ...]}`, then `{"end": true}`, or `{"error": words}`.
"""

import json
import os
import sys
from typing import IO, Any

from cusp.process import parent


def main() -> None:
    """Answer orders until the input ends."""
    parent.end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what vLLM and its libraries print is no answer
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # this process is the engine's own
    try:
        engine = _engine(json.loads(sys.stdin.readline()))
    except Exception as error:  # whatever a library raises is said to the worker, which says it on
        _write(answers, {"error": _words(error)})
        return
    _write(answers, {"ready": True})
    served = Adapters(engine)
    for line in sys.stdin:
        try:
            for done in served.answers(json.loads(line)):
                _write(answers, {"done": done})
            _write(answers, {"end": True})
        except Exception as error:
            _write(answers, {"error": _words(error)})


class Adapters:
    """Answers orders with one engine; an adapter stays loaded until another one is asked for."""

    def __init__(self, engine: Any) -> None:
        self._core = engine.llm_engine
        self._loaded: tuple[list[Any] | None, Any] = (None, None)

    def answers(self, order: dict[str, Any]) -> Any:
        """Yield lists of answers to an order."""
        from trainer.evaluation.engines.vllm_stream import stream
        from trainer.recipe import Sampling

        requests = [(place, ids, seed) for place, ids, seed in order["requests"]]
        sampling = Sampling.model_validate(order["sampling"])
        adapter = self._request(order["adapter"])
        return stream(self._core, requests, sampling, order["ends"], adapter)

    def _request(self, adapter: list[Any] | None) -> Any:
        from vllm.lora.request import LoRARequest

        if self._loaded[0] == adapter:
            return self._loaded[1]
        before, self._loaded = self._loaded[1], (None, None)
        if before is not None:
            self._core.remove_lora(before.lora_int_id)
        if adapter is not None:
            name, number, folder = adapter
            request = LoRARequest(name, number, folder)
            self._core.add_lora(
                request
            )  # now, so that a fault is told before anything is generated
            self._loaded = (adapter, request)
        return self._loaded[1]


def _engine(options: dict[str, Any]) -> Any:
    from trainer.rollouts import platform

    platform.quiet()
    if platform.runs_on_cpu():
        platform.prepare_cpu()
        # Compiling needs a C++ compiler and a minute. A prompt cut in two would have its random state set back, which
        # vLLM's runner cannot do on a CPU ("CPU Generator does not use offset").
        options = {**options, "enforce_eager": True, "enable_chunked_prefill": False}
    from vllm import LLM

    return LLM(**options)


def _write(answers: IO[str], content: dict[str, Any]) -> None:
    print(json.dumps(content), file=answers, flush=True)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()):.500}"


if __name__ == "__main__":
    main()
