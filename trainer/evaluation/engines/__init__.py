"""The engines that generate the completions of an evaluation: transformers, vLLM, an OpenAI-compatible server."""

from trainer.evaluation.engines.completion import (
    Completion,
    Draw,
    Engine,
    EngineError,
    Finished,
    Request,
    sample_seed,
)

__all__ = ["Completion", "Draw", "Engine", "EngineError", "Finished", "Request", "sample_seed"]
