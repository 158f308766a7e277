"""The engines that an evaluation generates with."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.recipe.sections import Count, Section, Share


class HfEngine(Section):
    """transformers in the worker's process, on the device that it finds."""

    kind: Literal["hf"]


class VllmEngine(Section):
    """One vLLM engine a base model in a process of the worker; adapters are swapped, never merged."""

    kind: Literal["vllm"]
    gpu_memory_utilization: Share
    max_model_len: Count | None


class OpenAIEngine(Section):
    """Any server with the OpenAI protocol that loads adapters while it runs, such as `vllm serve`.

    Its key is in the worker's environment (`CUSP_EVALUATION_KEY`), never in a recipe.
    """

    kind: Literal["openai"]
    base_url: str
    model: str


Engine = Annotated[HfEngine | VllmEngine | OpenAIEngine, Field(discriminator="kind")]
