"""Which base model a checkpoint's adapter belongs to, and whether its tensors are those of that model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import AutoConfig, AutoModelForCausalLM

from cusp.run_config import RECIPE_FILE
from trainer.evaluation import adapters
from trainer.evaluation.adapters import AdapterError
from trainer.recipe import PretrainedModel, Recipe
from trainer.recipe_loader import load_recipe
from trainer.training.model import load_base, load_pretrained

Say = Callable[[str], None]
Shapes = dict[str, tuple[int, ...]]
_ABOVE = 3  # a kept checkpoint lies in pinned/<run>/ below the folder with the recipe


@dataclass(frozen=True)
class Origin:
    """The base model of an adapter: a hub id or a folder. `recipe` is the run's, if there is one."""

    name: str
    revision: str | None
    recipe: Recipe | None

    @property
    def is_local(self) -> bool:
        """Whether the base is a folder of this box."""
        return Path(self.name).is_dir()


def origin_of(checkpoint: Path, cache: Path, say: Say) -> Origin:
    """Return the base of a checkpoint: the recipe's in its run's folder, else the adapter's own word.

    AdapterError when neither names one.
    """
    file = next((up / RECIPE_FILE for up in _folders(checkpoint) if _has_recipe(up)), None)
    recipe = load_recipe(file) if file is not None else None
    if recipe is not None and isinstance(recipe.model, PretrainedModel):
        return Origin(recipe.model.id, recipe.model.revision, recipe)
    if recipe is not None:  # a small one that is built here
        base, _ = load_base(recipe, cache, say)
        return Origin(str(base.name_or_path), None, recipe)
    config, _ = adapters.read(checkpoint)
    named = config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise AdapterError(
            f"{checkpoint} lies in no run's folder with a {RECIPE_FILE}, and its adapter names no base"
            " model; put the recipe beside it"
        )
    revision = config.get("revision")
    return Origin(named, revision if isinstance(revision, str) else None, None)


def check_fit(checkpoint: Path, origin: Origin) -> str | None:
    """Raise AdapterError unless the adapter has exactly the tensors of its base, by name and shape.

    The base is built without weights, from its configuration. Where that cannot be had, a sentence that
    nothing was compared.
    """
    _, found = adapters.read(checkpoint)
    try:
        config = _config(origin)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        adapters.check_names(checkpoint, found, _wrapped_away(found))
        return f"its tensors were not compared with the base {origin.name}, which is not here ({first})"
    _check_shapes(checkpoint, origin, found, _expected(checkpoint, config))
    return None


def _check_shapes(checkpoint: Path, origin: Origin, found: Shapes, expected: Shapes) -> None:
    adapters.check_names(checkpoint, found, expected.keys())
    for name, shape in found.items():
        if expected[name] != shape:
            raise AdapterError(
                f"the adapter in {checkpoint} does not fit {origin.name}: {name} has the shape"
                f" {list(shape)}, where that takes {list(expected[name])}"
            )


def _expected(checkpoint: Path, config: Any) -> Shapes:
    try:
        with torch.device("meta"):
            base = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
            model = get_peft_model(base, LoraConfig.from_pretrained(str(checkpoint)))
            tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    except Exception as error:  # a crafted file may make peft raise anything
        said = " ".join(str(error).split()) or "no reason given"
        raise AdapterError(
            f"{checkpoint} cannot be put on its base model ({type(error).__name__}: {said:.300})"
        ) from error
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _wrapped_away(names: Any) -> set[str]:
    """Return the names as an unwrapped model has them: a prefix in the middle is then unexpected."""
    wrappers = ("_orig_mod.", "module.", "_fsdp_wrapped_module.")
    found = set()
    for name in names:
        for wrapper in wrappers:
            name = name.replace(wrapper, "")
        found.add(name)
    return found


def base_model(origin: Origin, cache: Path, say: Say) -> tuple[Any, Any]:
    """Return the base's model and tokenizer as they were trained on; ModelError if they cannot be had."""
    if origin.recipe is not None:
        return load_base(origin.recipe, cache, say)
    return load_pretrained(
        PretrainedModel(
            kind="pretrained",
            id=origin.name,
            revision=origin.revision,
            dtype=_dtype_of(origin),
            attn_implementation="sdpa",
            pad_token=None,
            chat_template=None,
        )
    )


def _dtype_of(origin: Origin) -> Literal["float32", "bfloat16"]:
    """Return the precision in which a base is stored: bfloat16, or float32 for every other one."""
    try:
        config = _config(origin)
    except (OSError, ValueError):
        return "float32"  # loading it says what is wrong
    return "bfloat16" if getattr(config, "dtype", None) == torch.bfloat16 else "float32"


def _config(origin: Origin) -> Any:
    """Return the configuration of a base; OSError or ValueError where it cannot be had."""
    return AutoConfig.from_pretrained(
        origin.name, revision=origin.revision, trust_remote_code=False
    )


def rank_of(checkpoint: Path) -> int:
    """Return the greatest rank of an adapter's layers."""
    config = json.loads((checkpoint / adapters.CONFIG).read_text(encoding="utf-8"))
    pattern = config.get("rank_pattern") or {}
    return max(int(each) for each in (config["r"], *pattern.values()))


def _folders(checkpoint: Path) -> list[Path]:
    whole = checkpoint.absolute()
    return list(whole.parents)[:_ABOVE]


def _has_recipe(folder: Path) -> bool:
    return (folder / RECIPE_FILE).is_file()
