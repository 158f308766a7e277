"""A base model that an engine elsewhere holds: its name, its tokenizer, and which adapters fit it.

Nothing of its weights is loaded here: the shapes of an adapter are compared with those of a model on the device `meta`.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from trainer.evaluation.adapters import AdapterError, check_fitting
from trainer.evaluation.engines.completion import end_ids
from trainer.recipe import Recipe
from trainer.training.model import Located, located


class BaseModel:
    """What an engine in another process, or a server, has to be told of a recipe's base model."""

    def __init__(self, recipe: Recipe, cache: Path, say: Callable[[str], None]) -> None:
        """ModelError when the model cannot be had."""
        found: Located = located(recipe, cache, say)
        self.name, self.revision, self.dtype = found.name, found.revision, found.dtype
        self.tokenizer, self._hub_id = found.tokenizer, found.hub_id

    @cached_property
    def ends(self) -> set[int]:
        """The tokens that end a completion."""
        from transformers import GenerationConfig

        try:
            config = GenerationConfig.from_pretrained(self.name, revision=self.revision)
        except OSError:  # a folder without generation_config.json
            config = self._config
        return end_ids(config, self.tokenizer)

    def check(self, adapter: Path, *, merged: bool) -> int:
        """Return the rank of an adapter; AdapterError unless it fits and, not `merged`, vLLM can serve it."""
        config = check_fitting(self._empty, adapter, self._hub_id)
        if not merged:
            kinds = {
                "DoRA": config.use_dora,
                "modules_to_save": config.modules_to_save,
                "trained biases": config.bias != "none",
            }
            if found := [name for name, there in kinds.items() if there]:
                raise AdapterError(
                    f"the adapter in {adapter} has {' and '.join(found)}, which vLLM cannot serve; give"
                    " evaluation.engine={kind: hf}"
                )
        return int(max([config.r, *(config.rank_pattern or {}).values()]))

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(
            self.name, revision=self.revision, trust_remote_code=False
        )

    @cached_property
    def _empty(self) -> Any:
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(self._config, trust_remote_code=False)
