"""What a recipe may be that was asked for over the network: nothing of this box is opened or called for it.

A person at the box may name any file; over the network there are the shipped recipes, and names of the hub.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.recipe_loader import RecipeError, load_recipe, recipe_names

# Keys, also of reasoning-gym's own options, whose value is a file or an address, such as grpo.vllm_server_host.
_OF_THIS_BOX = re.compile(r"(\w*_)?(path|file|dir|directory|folder|url|host|port|address)s?")
# What huggingface_hub takes for the name of a repository; no path but a relative one looks like it.
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_REVISION = re.compile(r"\w+([./-]\w+)*", re.ASCII)  # a branch, tag, hash or refs/pr/1


def check_order(recipe: str, overrides: Sequence[str]) -> None:
    """Raise RecipeError for what is no shipped recipe, no override, or names something of this box.

    A value that a named recipe ships is fine, whatever it names.
    """
    if wrong := [text for text in overrides if "=" not in text or text.startswith("-")]:
        raise RecipeError(f"{wrong[0]!r} is no override; use key=value, like grpo.max_steps=60")
    values = [text.partition("=")[2] for text in overrides]
    named = [recipe, *(value[1:] for value in values if value.startswith("@"))]
    for name in named:
        if name not in recipe_names():  # a path would be a file of this box
            raise RecipeError(
                f"this box has no recipe {name!r}; it has {', '.join(recipe_names())}"
            )
    shipped = {leaf for name in named for leaf in _leaves_of(name)}
    for key, value in _leaves_of(recipe, overrides):
        if (key, value) not in shipped and _is_of_this_box(key, value):
            raise RecipeError(
                f"{key} = {value!r:.80} names something of this box or its network, which is not taken over the"
                " network; use a name of the Hugging Face hub, such as OWNER/NAME, or `cusp train` on the box"
            )


def _leaves_of(recipe: str, overrides: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    return _leaves("", load_recipe(recipe, overrides).model_dump(mode="json"))


def _leaves(key: str, value: object) -> Iterator[tuple[str, Any]]:
    """Yield every plain value by its dotted key; items of a list go by their numbers."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, inner in items:
            yield from _leaves(f"{key}.{name}" if key else str(name), inner)
    else:
        yield key, value


def is_hub_name(name: str) -> bool:
    """Return whether this is a name of the hub, and no folder of this box.

    >>> is_hub_name("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"), is_hub_name("/models/base"), is_hub_name("../x")
    (True, False, False)
    """
    return _HUB_NAME.fullmatch(name) is not None and not Path(name).exists()


def _is_of_this_box(key: str, value: object) -> bool:
    """Return whether the value names a file, an address, or what may be a folder in place of a hub's name."""
    if value is None:
        return False
    if key in ("model.id", "data.id"):
        return not is_hub_name(str(value))
    if key in ("model.revision", "data.revision"):
        return not _REVISION.fullmatch(str(value))
    return any(_OF_THIS_BOX.fullmatch(part) for part in key.split("."))
