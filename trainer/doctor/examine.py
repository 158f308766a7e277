"""All checks of this box, in the order in which a training meets them."""

import os
from importlib.util import find_spec

from cusp.errors import CuspError
from cusp.settings import from_environment
from trainer.doctor import device, disk_space, network, software
from trainer.doctor.check import Check, failure


def examine(recipe_name: str | None, *, need_gpu: bool) -> list[Check]:
    """Return a finding of each check; a recipe says how much room is needed."""
    found = [software.python(), software.torch()]
    seen, cuda, usable = device.seen_by_driver(), None, 0
    if find_spec("torch") is not None:
        import torch

        from trainer.launch import visible_gpus

        cuda, usable = torch.version.cuda, visible_gpus()
    found += [device.driver(seen, cuda), device.gpus(seen, usable, needed=need_gpu)]
    try:
        place = from_environment()
    except CuspError as error:
        return [*found, failure("settings", str(error), "correct it (docs/reference/settings.md)")]
    found += [
        device.holder(place.directory, has_gpu=usable > 0),
        *_of_recipe(place.directory, recipe_name),
    ]
    found += [software.hub_token(os.environ), software.model_cache(os.environ)]
    found += [software.compiler(), software.vllm()]
    return found + network.monitor(place)


def _of_recipe(directory: "os.PathLike[str]", name: str | None) -> list[Check]:
    """Return what the recipe needs of the disk and of the tasks; without one only the disk."""
    from pathlib import Path

    if name is None:
        return [disk_space.disk(Path(directory), None, None)]
    try:
        from trainer.recipe_loader import load_recipe

        recipe = load_recipe(name)
    except (CuspError, ImportError) as error:
        words = f"the recipe cannot be read: {error}"
        return [failure("disk", words, "name a recipe that is there")]
    return [
        disk_space.disk(Path(directory), name, recipe),
        software.held_out(recipe),
    ]
